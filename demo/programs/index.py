"""Reads a log and keeps an index of it in memory: which lines hold a word. Grows with every line."""
import sys

index = {}
with open(sys.argv[1]) as log:
    for number, line in enumerate(log):
        for word in line.split():
            index.setdefault(word, []).append((number, len(line)))
print(len(index), "words", sum(len(places) for places in index.values()), "places")
