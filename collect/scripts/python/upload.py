"""Sends blocks to a port, with its progress.   upload.py HOST PORT MIB"""
import socket
import sys

from report import progress

mib, block = int(sys.argv[3]), bytes(1 << 16)
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as peer:
    for number in range(mib * 16):
        peer.sendall(block)
        progress(number + 1, mib * 16)
