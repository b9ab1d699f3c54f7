"""Counts primes by trial division: CPU and nothing else, with its progress.   primes.py UP_TO"""
import sys

from report import progress

limit, primes = int(sys.argv[1]), [2]
for number in range(3, limit, 2):
    for divisor in primes:
        if divisor * divisor > number:
            primes.append(number)
            break
        if number % divisor == 0:
            break
    if number % 1001 == 0:
        progress(number, limit)
print(len(primes))
