"""Loads a batch, works on it, drops it: a sawtooth whose teeth may grow.   batches.py COUNT KIB GROWTH SEED PAUSE_S"""
import random
import sys
import time

from report import progress

count, kib, growth, seed, pause = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
chance = random.Random(seed)
for batch in range(count):
    rows = []
    for _ in range(int(kib * growth ** batch * chance.uniform(0.7, 1.3)) // 64):
        rows.append(chance.randbytes(65536))
        if pause and len(rows) % 64 == 0:
            time.sleep(pause)
    total = sum(len(set(row[:4096])) for row in rows)
    progress(batch + 1, count)
    del rows
    time.sleep(pause * 4)
print(total)
