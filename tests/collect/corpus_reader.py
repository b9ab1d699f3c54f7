"""Reads a corpus of collect.py: each manifest line with its record."""
import json
import pathlib
import statistics

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


def check_record(line, record):
    """What must hold for any run."""
    assert (record["outcome"], record["cause"]) == (line["outcome"].upper(), line["cause"].upper())
    assert record["code"] == line["code"] and record["totals"]["memory_peak_bytes"] == line["peak_bytes"]
    assert record["request"]["timeout_ms"] == line["timeout_ms"]
    assert {name: value for name, value in record["first_limits"].items() if value} == line["limits"]
    assert len(record["series"]) == line["points"] and record["series_stride"] == 1
    assert (record["outcome"] == "OOM_KILLED") == (record["totals"]["oom_kills"] > 0)
    if line["limits"].get("memory_bytes"):
        assert record["totals"]["memory_peak_bytes"] <= line["limits"]["memory_bytes"]
    times = [point["time_us"] for point in record["series"]]
    assert times == sorted(times) and times[0] - record["started_us"] < 500000
    if len(times) > 10:  # the machine may be busy, the clock of the samples is absolute
        steps = [after - before for before, after in zip(times, times[1:])]
        assert 80000 < statistics.median(steps) < 120000
        assert len(times) > 0.7 * (record["ended_us"] - record["started_us"]) / 100000
