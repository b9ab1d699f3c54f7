"""Builds a random graph in dictionaries and walks it: linear growth, then flat.   graph.py NODES DEGREE SEED PAUSE_S"""
import collections
import random
import sys
import time

from report import progress

nodes, degree, seed, pause = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
chance = random.Random(seed)
edges = collections.defaultdict(list)
for node in range(nodes):
    for _ in range(degree):
        edges[node].append((chance.randrange(nodes), chance.random()))
    if node % 2000 == 0:
        progress(node, nodes * 1.3)
        time.sleep(pause)
seen, waiting = {0}, collections.deque([0])
while waiting:
    for target, _ in edges[waiting.popleft()]:
        if target not in seen:
            seen.add(target)
            waiting.append(target)
print(len(seen))
