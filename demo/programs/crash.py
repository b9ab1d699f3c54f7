"""Has a bug: it fails the same way however much it is given."""
import sys

table = [row * row for row in range(400_000)]
print(table[len(table)], file=sys.stderr)
