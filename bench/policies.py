#!/usr/bin/env python3
"""Rival policies on the scenarios that decide, and on the recorded corpus: one JSON object per line.

    bench/policies.py [--corpus DIR] [--seeds N] [--policy NAME,...]

Every line is one policy on one scenario, summed over the seeds, as `forestall replay` prints it, with the scenario's
name; then a line per scenario with the best rival and what ours is beside it, and one over all scenarios. The
scenarios are made here from a seed; what they are stands beside each. Series are written as records and replayed in a
closed loop. Noise of a neighbour's I/O and a throttled CPU change no memory and have no scenario here.
"""
import argparse
import csv
import json
import math
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))
from messages import MessageCodec  # noqa: E402

BIN = pathlib.Path(os.environ.get("FORESTALL_BIN", ROOT / "build/release/bin"))
MIB = 2**20
SUMMED = ("executions", "failures", "retries", "wastage_gib_h", "slack_gib_h", "failed_gib_h", "first_try_finished",
          "given_up", "stalled_s")
STEP_RUNS = (1, 10, 50, 100, 300)


# --- finished executions: yields code, runtime_s, peak bytes, requested bytes, input bytes or None

def noisy(draw, mib, share=0.03):
    return mib * MIB * draw.uniform(1 - share, 1 + share)


def flat(draw):
    """512 MiB, 3 % up and down; twice of it requested."""
    for _ in range(200):
        yield "flat", draw.uniform(20, 58), noisy(draw, 512), 1024 * MIB, None


def exactly_flat(draw):
    """Always the same 512 MiB."""
    for _ in range(100):
        yield "exact", 60, 512 * MIB, 1024 * MIB, None


def spread(draw):
    """Log-normal peaks, 25 % standard deviation."""
    for _ in range(300):
        yield "spread", draw.uniform(20, 58), 400 * MIB * math.exp(draw.gauss(0, 0.25)), 1024 * MIB, None


def step_after(good):
    def step(draw):
        for i in range(good + 40):
            yield "step", 60, (512 if i < good else 2048) * MIB, 600 * MIB, None
    step.__doc__ = f"512 MiB, and 2048 after {good} good runs: a new version."
    return step


def fall(draw):
    """2048 MiB, and 512 after 60 runs."""
    for i in range(120):
        yield "fall", 60, noisy(draw, 2048 if i < 60 else 512), 2200 * MIB, None


def drift(draw):
    """1 % more with every run, 2 % noise."""
    for i in range(200):
        yield "drift", draw.uniform(20, 58), noisy(draw, 200 * 1.01**i, 0.02), 512 * MIB, None


def two_sizes(draw):
    """200 or 1200 MiB (1:6), one in four large, at random; nothing tells which."""
    for _ in range(300):
        yield "two", draw.uniform(20, 58), noisy(draw, draw.choice((200, 200, 200, 1200))), 1500 * MIB, None


def two_sizes_in_turns(draw):
    """The same two sizes, in stretches of twenty."""
    for i in range(300):
        yield "turns", draw.uniform(20, 58), noisy(draw, 1200 if i // 20 % 2 else 200), 1500 * MIB, None


def by_input(draw):
    """Linear in the input with 5 % noise, inputs over two decades; six codes."""
    for i in range(600):
        code, size = i % 6, 10**draw.uniform(6.5, 8.5)
        peak = (60 + 40 * code) * MIB + (1 + code) * size * draw.uniform(0.95, 1.05)
        yield f"linear-{code}", 10 + size / 1e7, peak, 3072 * MIB, size


def by_power(draw):
    """Input to the power of 0.7 with 10 % noise; some codes pay no heed to it."""
    for i in range(600):
        code, size = i % 6, 10**draw.uniform(6, 9)
        peak = 30 * MIB + 1200 * size**0.7 if code < 4 else (100 + 50 * code) * MIB
        yield f"power-{code}", 10 + size / 2e7, peak * draw.uniform(0.9, 1.1), 4096 * MIB, size


def without_input(scenario):
    def hidden(draw):
        for code, runtime, peak, requested, _ in scenario(draw):
            yield code, runtime, peak, requested, None
    hidden.__doc__ = scenario.__doc__[:-1] + "; nobody says how large the input is."
    return hidden


def cold(draw):
    """Two hundred codes of three runs each."""
    sizes = [2**draw.uniform(6, 12) for _ in range(200)]
    for _ in range(3):
        for code, size in enumerate(sizes):
            yield f"cold-{code}", draw.uniform(20, 58), noisy(draw, size, 0.05), size * 2**draw.uniform(-0.5, 2) * MIB, None


FINISHED = {
    "flat": flat, "flat-exactly": exactly_flat, "spread": spread, **{f"step-{n}": step_after(n) for n in STEP_RUNS},
    "fall": fall, "drift": drift, "two-sizes": two_sizes, "two-sizes-in-turns": two_sizes_in_turns,
    "by-input": by_input, "by-input-hidden": without_input(by_input), "by-power": by_power,
    "by-power-hidden": without_input(by_power), "cold-start": cold,
}


# --- series: name: memory in MiB over seconds

SERIES = {
    "leak": lambda draw, t: 20 + 12 * t,
    "sawtooth": lambda draw, t: 60 + 160 * (t / 4 % 1),
    "spike": lambda draw, t: 900 if 12 <= t < 12.6 else 80,
    "plateaus": lambda draw, t: 60 * 2**int(t / 8),
    "fast-ramp": lambda draw, t: 40 + min(max(t - 5, 0) * 800, 1200),
    "cap-below-peak": lambda draw, t: 100 + 25 * min(t, 20),
    "growing": lambda draw, t: 20 + 10 * t,
}
REQUESTS_MIB = {"cap-below-peak": 128}
RUNS = {"growing": 40}


def scale_of(draw, name):
    """Of one run beside the others; growing programs have another input each time, up to eight times as large."""
    return 2**draw.uniform(-1.5, 1.5) if name == "growing" else draw.uniform(0.97, 1.03)


def series_record(codec, draw, name, number):
    curve, seconds, scale = SERIES[name], 30, scale_of(draw, name)
    start = 1700000000000000 + number * 600 * 10**6
    counters = {"custom": [], "brake_engaged": False, "tasks": 1}
    schema = codec.template("ExecutionRecord")
    points, peak = [], 0
    for i in range(1, seconds * 10 + 1):
        memory = int(max(curve(draw, i / 10), 1) * scale * MIB)
        peak = max(peak, memory)
        points.append({"time_us": start + i * 100000, "limits": schema["first_limits"], "counters": {
            **schema["totals"], **counters, "memory_bytes": memory, "memory_usage_bytes": memory,
            "memory_peak_bytes": peak, "cpu_usage_us": i * 90000}})
    request = REQUESTS_MIB.get(name, 256)
    return codec.encode("ExecutionRecord", {
        **schema, "attempt": 1, "code": name, "started_us": start, "ended_us": start + seconds * 10**6,
        "outcome": "FINISHED", "totals": points[-1]["counters"], "series": points, "series_inclusion": 1.0,
        "series_stride": 1, "propensity": 1.0,
        "request": {**schema["request"], "limits": {**schema["first_limits"], "memory_bytes": request * MIB}}})


class RecordMaker(MessageCodec):
    def template(self, name):
        """A message of this name with nothing in it."""
        return self._empty(self._names[name][1], {})

    def _empty(self, schema, known):
        if isinstance(schema, list):
            return self._empty(schema[0], known)
        if isinstance(schema, str):
            return self._empty(known[schema], known) if schema in known else {
                "string": "", "bytes": b"", "boolean": False, "null": None, "float": 0.0, "double": 0.0}.get(schema, 0)
        kind = schema["type"]
        if kind in ("record", "fixed", "enum"):
            known[schema["name"]] = schema
        if kind == "record":
            return {field["name"]: self._empty(field["type"], known) for field in schema["fields"]}
        return {"array": [], "map": {}, "enum": (schema.get("symbols") or [None])[0],
                "fixed": bytes(schema.get("size", 0))}.get(kind) if kind in ("array", "map", "enum", "fixed") \
            else self._empty(kind, known)


# --- running

def write_rows(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["code", "start_s", "runtime_s", "peak_memory_bytes", "requested_memory_bytes", "input_bytes"])
        for i, (code, runtime, peak, requested, size) in enumerate(rows):
            writer.writerow([code, i * 60, f"{runtime:.3f}", int(peak), int(requested), "" if size is None else int(size)])


def write_series(path, codec, draw, name):
    with path.open("wb") as file:
        for number in range(RUNS.get(name, 5)):
            framed = series_record(codec, draw, name, number)
            file.write(struct.pack(">I", len(framed)) + framed)


def replay(policies, *arguments):
    done = subprocess.run([BIN / "forestall", "replay", "--json", "--policy", policies, *map(str, arguments)],
                          stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"policy"')]


def add_up(name, runs):
    """One line per policy: sums over the seeds, slack and changes weighted, the worst recovery."""
    for lines in zip(*runs):
        out = {"scenario": name, "policy": lines[0]["policy"], "seeds": len(lines)}
        out.update({key: round(sum(line[key] for line in lines), 6) for key in SUMMED})
        executions = max(out["executions"], 1)
        for key in ("slack_mean", "changes_per_execution", "limit_over_peak_p50"):
            out[key] = round(sum(line[key] * line["executions"] for line in lines) / executions, 4)
        out["ooms_to_recover"] = max(line["ooms_to_recover"] for line in lines)
        yield out


def summary(name, lines):
    ours = [line for line in lines if line["policy"] == "ours"]
    rivals = [line for line in lines if line["policy"] != "ours" and line["given_up"] == 0]
    if not ours or not rivals:
        return None
    best = min(rivals, key=lambda line: line["wastage_gib_h"])
    return {"scenario": name, "summary": True, "best_rival": best["policy"], "best_wastage_gib_h": best["wastage_gib_h"],
            "best_failures": best["failures"], "ours_wastage_gib_h": ours[0]["wastage_gib_h"],
            "ours_failures": ours[0]["failures"], "ours_over_best": round(
                ours[0]["wastage_gib_h"] / best["wastage_gib_h"], 4) if best["wastage_gib_h"] else None}


def scenarios(options, directory):
    """(name, [[a line per policy] per seed])"""
    codec = RecordMaker()
    for name, make in FINISHED.items():
        runs = []
        for seed in range(options.seeds):
            path = directory / f"{name}-{seed}.csv"
            write_rows(path, make(random.Random(f"{name.removesuffix('-hidden')}-{seed}")))
            runs.append(replay(options.policy, path))
        yield name, runs
    for name in SERIES:
        path = directory / f"{name}.records"
        write_series(path, codec, random.Random(name), name)
        yield "series-" + name, [replay(options.policy, path)]
    corpora = {"corpus-small": ROOT / "tests/model/corpus/small.records"}
    if options.corpus and options.corpus.is_dir():
        corpora["corpus"] = options.corpus
    for name, path in corpora.items():
        for share in ("0.5", "2"):
            yield f"{name}-requests-x{share}", [replay(options.policy, "--request-share", share, path)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=pathlib.Path, help="records of make collect; left out when it is not there")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--policy", default="all")
    options = parser.parse_args()
    every = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, runs in scenarios(options, pathlib.Path(directory)):
            lines = list(add_up(name, runs))
            for line in lines:
                print(json.dumps(line))
                every.setdefault(line["policy"], []).append(line)
            if short := summary(name, lines):
                print(json.dumps(short), flush=True)
    totals = [{"policy": policy, **{key: round(sum(line[key] for line in lines), 6) for key in SUMMED}}
              for policy, lines in every.items()]
    for line in totals:
        print(json.dumps({"scenario": "all", **line}))
    if short := summary("all", totals):
        print(json.dumps(short))


main()
