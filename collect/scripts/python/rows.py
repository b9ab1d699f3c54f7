"""Reads rows, keeps them in steps with rests between: stairs.   rows.py STAIRS ROWS REST_S SEED"""
import random
import sys
import time

from report import progress

stairs, rows, rest, seed = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
chance = random.Random(seed)
table = []
for stair in range(stairs):
    for number in range(rows):
        table.append({"id": number, "name": "row %d" % number, "value": chance.random()})
    progress(stair + 1, stairs)
    time.sleep(rest * chance.uniform(0.5, 1.5))
table.sort(key=lambda row: row["value"])
print(len(table))
