"""Works, grows a little and fails by its own fault.   fault.py MIB AFTER_S exit|abort|segv|raise|recursion"""
import ctypes
import os
import sys
import time

mib, after, way = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
held = []
for _ in range(mib):
    held.append(bytearray(b"\x01") * (1 << 20))
    time.sleep(after / mib)
if way == "exit":
    sys.exit(3)
if way == "abort":
    os.abort()
if way == "segv":
    ctypes.string_at(0)
if way == "recursion":
    def deeper(level):
        return deeper(level + 1) + level
    deeper(0)
raise ValueError(held[0][0])
