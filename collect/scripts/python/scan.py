"""Reads a file in blocks and sums it up, with its progress: the disk and nothing else.   scan.py FILE"""
import os
import sys
import zlib

from report import progress

total, read, checksum = os.path.getsize(sys.argv[1]), 0, 0
with open(sys.argv[1], "rb", buffering=0) as file:
    while block := file.read(1 << 20):
        checksum = zlib.adler32(block, checksum)
        read += len(block)
        progress(read, total)
print(checksum)
