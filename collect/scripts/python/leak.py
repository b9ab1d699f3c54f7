"""Answers requests and forgets to let some of them go: a slow leak over a plateau.
leak.py BASE_MIB REQUESTS LEAK_BYTES PAUSE_S SEED"""
import random
import sys
import time

from report import progress

base, requests, leak, pause, seed = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
chance = random.Random(seed)
state = {number: chance.randbytes(1024) for number in range(base * 900)}
forgotten = []
for request in range(requests):
    answer = sorted(chance.randbytes(2000))
    if chance.random() < 0.5:
        forgotten.append(bytes(leak * 2))
        forgotten[-1] = bytes(answer[:16]) + chance.randbytes(leak * 2)
    if request % 100 == 0:
        progress(request, requests)
    time.sleep(pause)
print(len(state), len(forgotten))
