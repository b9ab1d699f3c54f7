"""Reads a corpus of collect.py: each manifest line with its record."""
import json
import pathlib

from messages import MessageCodec


def read_corpus(directory):
    """[(line, record)]; fails when the two do not agree about where a record begins and ends."""
    directory, codec, found = pathlib.Path(directory), MessageCodec(), []
    for line in map(json.loads, (directory / "manifest.jsonl").read_text().splitlines()):
        with open(directory / line["file"], "rb") as file:
            file.seek(line["offset"])
            data = file.read(line["size"])
        assert len(data) == line["size"] and int.from_bytes(data[:4], "big") == len(data) - 4, line["key"]
        found.append((line, codec.decode(data[4:], "ExecutionRecord")[1]))
    return found


def record_bytes(directory):
    """What the manifest accounts for in each records file."""
    ends = {}
    for line in map(json.loads, (pathlib.Path(directory) / "manifest.jsonl").read_text().splitlines()):
        ends[line["file"]] = max(ends.get(line["file"], 0), line["offset"] + line["size"])
    return ends
