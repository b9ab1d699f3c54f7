"""Writes mixed.csv: three codes, flat, growing with the input, and of two sizes; the first rows only teach."""
import csv
import random
import sys


def main():
    draw = random.Random(11)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["code", "start_s", "runtime_s", "peak_memory_bytes", "requested_memory_bytes", "input_bytes",
                     "evaluate"])
    for i in range(120):
        code = ("flat", "by-input", "two-sizes")[i % 3]
        size = draw.randrange(1, 200) * 1000000
        peak = {"flat": 400e6 * draw.uniform(0.97, 1.03), "by-input": 50e6 + 4.5 * size * draw.uniform(0.95, 1.05),
                "two-sizes": draw.choice([200e6, 200e6, 200e6, 1200e6]) * draw.uniform(0.98, 1.02)}[code]
        writer.writerow([code, i * 90, draw.randrange(5, 80), int(peak), 600000000,
                         size if code == "by-input" else "", int(i >= 6)])


main()
