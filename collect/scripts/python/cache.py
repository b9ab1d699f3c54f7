"""A cache with a bound: grows to it, then works on without growing.   cache.py ENTRIES BYTES REQUESTS SEED PAUSE_S"""
import collections
import random
import sys
import time

from report import progress

entries, size, requests, seed, pause = *map(int, sys.argv[1:5]), float(sys.argv[5])
chance = random.Random(seed)
cache, hits = collections.OrderedDict(), 0
for request in range(requests):
    key = int(chance.paretovariate(0.6)) % (entries * 4)
    if key in cache:
        cache.move_to_end(key)
        hits += 1
    else:
        cache[key] = chance.randbytes(size)
        if len(cache) > entries:
            cache.popitem(last=False)
    if request % 500 == 0:
        progress(request, requests)
        time.sleep(pause)
print(hits)
