#!/usr/bin/env python3
"""What the first, second, fifth, tenth and twentieth execution of a new code cost, replayed.

    make bench-learning CORPUS=DIR

Each code is one recording of a held-out program (split `test` of `make collect`) that grows: twenty executions whose memory
differs by 5 % (log-normal), each asking for what somebody guessed: --least to --most times what the recording needed
(log-uniform; one guess for all executions of a code). The cost of execution k is what a replay of the
first k cost more than one of the first k - 1: GiB*h of slack and of failed tries. One JSON object per policy and k.
"""
import argparse
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
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "collect")]
from cases import chosen_variants  # noqa: E402
from command import MEMORY, TEST  # noqa: E402
from messages import MessageCodec  # noqa: E402

BIN = pathlib.Path(os.environ.get("FORESTALL_BIN", ROOT / "build/release/bin"))
MIB = 1 << 20
SHOWN = (1, 2, 5, 10, 20)
POLICIES = "ours,headroom,eta,eta-fast,linear,static,last-size,witt-percentile,vpa-fair"
GROWING = {(program.name, variant.name) for program, variant in chosen_variants(None) if MEMORY in variant.traits}
MEMORY_FIELDS = ("memory_bytes", "memory_usage_bytes", "memory_peak_bytes")
ASKED_FOR = "data_bytes"  # GAUGE_DATA of schemas/hints.h


def recordings(corpus, codec):
    """(code, record) of each held-out growing run without a limit."""
    for number, text in enumerate((corpus / "manifest.jsonl").read_text().splitlines()):
        line = json.loads(text)
        if line["split"] != TEST or line["kind"] != "free" or line["outcome"] != "finished" or line["peak_bytes"] < 32 * MIB or \
                not 600 <= line["duration_ms"] <= 30000 or (line["program"], line["variant"]) not in GROWING:
            continue
        with open(corpus / line["file"], "rb") as file:
            file.seek(line["offset"] + 4)
            record = codec.decode(file.read(line["size"] - 4), "ExecutionRecord")[1]
        if len(record["series"]) >= 4:
            yield f"{line['program']}-{number}", record


def more_memory(counters, factor):
    custom = [{**gauge, "value": gauge["value"] * factor} if gauge["name"] == ASKED_FOR else gauge for gauge in counters["custom"]]
    return {**counters, **{name: int(counters[name] * factor) for name in MEMORY_FIELDS}, "custom": custom}


def scaled(record, code, number, factor, limit):
    """Execution `number` of the code, an hour after the one before."""
    later = number * 3600 * 10**6
    points = [{**point, "time_us": point["time_us"] + later, "counters": more_memory(point["counters"], factor)} for point in record["series"]]
    return {**record, "code": code, "started_us": record["started_us"] + later, "ended_us": record["ended_us"] + later, "series": points,
            "execution": random.Random(f"{code}/{number}").randbytes(16),
            "totals": more_memory(record["totals"], factor),
            "request": {**record["request"], "limits": {**record["request"]["limits"], "memory_bytes": limit}}}


def replay(path):
    done = subprocess.run([BIN / "forestall", "replay", "--json", "--policy", POLICIES, path], stdout=subprocess.PIPE, text=True, check=True)
    return {line["policy"]: line for line in map(json.loads, done.stdout.splitlines())}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("--least", type=float, default=0.3)
    parser.add_argument("--most", type=float, default=4)
    options = parser.parse_args()
    codec, executions = MessageCodec(), []
    for code, record in recordings(options.corpus, codec):
        chance = random.Random(code)
        guess = math.exp(chance.uniform(math.log(options.least), math.log(options.most)))
        limit = max(int(record["totals"]["memory_peak_bytes"] * guess) // MIB, 8) * MIB
        executions.append([codec.encode("ExecutionRecord", scaled(record, code, number, math.exp(chance.gauss(0, 0.05)), limit))
                           for number in range(max(SHOWN))])
    if not executions:
        sys.exit(f"learning-curve: no held-out growing programs in {options.corpus}")
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "executions.records"
        up_to = {}
        for count in sorted({k - 1 for k in SHOWN} | set(SHOWN)):
            if count:
                path.write_bytes(b"".join(struct.pack(">I", len(one)) + one for code in executions for one in code[:count]))
                up_to[count] = replay(path)
    nothing = {"wastage_gib_h": 0, "failures": 0, "first_try_finished": 0, "slack_gib_h": 0}
    for policy in POLICIES.split(","):
        for k in SHOWN:
            after, before = up_to[k][policy], up_to[k - 1][policy] if k > 1 else nothing
            print(json.dumps({"bench": "learning-curve", "policy": policy, "execution": k, "codes": len(executions), "asked": [options.least, options.most],
                              "cost_gib_h": round(after["wastage_gib_h"] - before["wastage_gib_h"], 6),
                              "finished_first": round((after["first_try_finished"] - before["first_try_finished"]) / len(executions), 4),
                              "failures": after["failures"] - before["failures"]}))


main()
