"""Counts words and pairs of a text: growth that slows down.   words.py FILE"""
import collections
import os
import sys

from report import progress

total, read = os.path.getsize(sys.argv[1]), 0
words, pairs, last = collections.Counter(), collections.Counter(), ""
with open(sys.argv[1], encoding="latin-1") as lines:
    for number, line in enumerate(lines):
        read += len(line)
        for word in line.split():
            words[word] += 1
            pairs[last, word] += 1
            last = word
        if number % 5000 == 0:
            progress(read, total)
print(len(words), pairs.most_common(3))
