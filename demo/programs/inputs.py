#!/usr/bin/env python3
"""Writes the demo's input files into a directory: the same bytes on every machine.

    inputs.py DIRECTORY
"""
import json
import pathlib
import random
import sys

SEED = 20260101
WORDS = 40_000


def make_words(rng):
    letters = "etaoinshrdlucmfwypvbgkqjxz"
    return ["".join(rng.choices(letters, k=rng.randint(3, 11))) for _ in range(WORDS)]


def write_text(path, rng, words, size_bytes):
    """Lines as of a log: skewed words and numbers that never repeat."""
    written = 0
    with path.open("w") as out:
        while written < size_bytes:
            line = f"{rng.getrandbits(48):012x} " + " ".join(
                words[int(rng.paretovariate(0.6)) % WORDS] for _ in range(12)) + "\n"
            written += out.write(line)


def write_json(path, rng, words, records):
    with path.open("w") as out:
        for _ in range(records):
            json.dump({"id": rng.getrandbits(40), "name": words[rng.randrange(WORDS)],
                       "tags": [words[rng.randrange(WORDS)] for _ in range(4)], "score": rng.random()}, out)
            out.write("\n")


def write_c_source(path, rng, functions):
    """One translation unit as generators make them: thousands of functions with tables and branches."""
    with path.open("w") as out:
        out.write("#include <stddef.h>\n")
        for number in range(functions):
            table = ", ".join(str(rng.randrange(1 << 16)) for _ in range(24))
            out.write(f"static const int table_{number}[] = {{{table}}};\n"
                      f"int function_{number}(int a, int b)\n{{\n    int sum = a;\n"
                      f"    for (size_t i = 0; i < 24; i++) {{\n"
                      f"        if (table_{number}[i] % (b + {number % 7 + 2}))\n            sum += table_{number}[i] * b;\n"
                      f"        else\n            sum ^= (sum << {number % 5 + 1}) + a;\n    }}\n"
                      f"    return sum + {number};\n}}\n")


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)
    words = make_words(rng)
    write_text(directory / "log.txt", rng, words, 26_000_000)
    write_text(directory / "short.txt", rng, words, 13_000_000)
    write_json(directory / "records.json", rng, words, 150_000)
    write_c_source(directory / "generated.c", rng, 3_000)


if __name__ == "__main__":
    main()
