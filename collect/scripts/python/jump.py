"""Computes quietly, then needs much at once.   jump.py BASE_MIB QUIET_S JUMP_MIB STEPS AFTER_S"""
import hashlib
import sys
import time

base, quiet, jump, steps, after = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])


def work(seconds):
    end, data = time.monotonic() + seconds, b"forestall"
    while time.monotonic() < end:
        for _ in range(2000):
            data = hashlib.sha1(data).digest()
        time.sleep(0.02)


held = [b"\x01" * (base << 20)]
for _ in range(steps):
    work(quiet / steps)
    held.append(bytearray(b"\x02") * ((jump // steps) << 20))
work(after)
print(sum(len(block) for block in held))
