#!/usr/bin/env python3
"""Picks a small varied part of a corpus: the same choice from the same corpus.

    sample.py CORPUS OUT [--runs N] [--max-kib N]     writes OUT/small.records and OUT/manifest.jsonl

Every kind of ending comes, then every kind of run and program, longer series before shorter ones."""
import argparse
import collections
import json
import pathlib
import sys

LEAST_POINTS = 12         # shorter series show little
FINISHED = ("finished", "none")
FINISHED_EXTRA = 3        # as in life, most runs end well; unlimited ones can be cut at any limit
LARGEST_BYTES = 24 << 10  # one record must not take the place of many


def choose(lines, runs):
    """Takes by turns from the endings (outcome and cause), within one the program and kind seen least so far."""
    groups = collections.defaultdict(list)
    for line in lines:
        if line["points"] >= LEAST_POINTS and line["size"] <= LARGEST_BYTES:
            groups[line["outcome"], line["cause"]].append(line)
    seen, chosen = collections.Counter(), []
    while len(chosen) < runs and any(groups.values()):
        for ending in sorted(groups) + [FINISHED] * FINISHED_EXTRA:
            if not groups[ending] or len(chosen) == runs:
                continue
            best = min(groups[ending], key=lambda line: (seen[line["program"]] + seen[line["kind"]] + seen[line["code"]],
                                                         -line["peak_bytes"], line["key"]))
            groups[ending].remove(best)
            seen.update((best["program"], best["kind"], best["code"]))
            chosen.append(best)
    return sorted(chosen, key=lambda line: line["key"])


def write(corpus, lines, out, max_bytes):
    """Returns how many records fitted."""
    out.mkdir(parents=True, exist_ok=True)
    offset = count = 0
    with open(out / "small.records", "wb") as records, open(out / "manifest.jsonl", "w") as manifest:
        for line in lines:
            if offset + line["size"] > max_bytes:
                continue
            with open(corpus / line["file"], "rb") as source:
                source.seek(line["offset"])
                records.write(source.read(line["size"]))
            manifest.write(json.dumps({**line, "file": "small.records", "offset": offset}) + "\n")
            offset += line["size"]
            count += 1
    return count


def main(arguments):
    parser = argparse.ArgumentParser(prog="sample.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--max-kib", type=int, default=1024)
    options = parser.parse_args(arguments)
    lines = [json.loads(text) for text in (options.corpus / "manifest.jsonl").read_text().splitlines()]
    count = write(options.corpus, choose(lines, options.runs), options.out, options.max_kib << 10)
    print(f"sample: {count} runs of {len(lines)} in {options.out}")
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
