"""`forestall replay` from end to end: figures against an oracle and against golden lines, records, errors."""
import csv
import json
import os
import pathlib
import random
import struct
import subprocess

import oracle
import pytest
from messages import MessageCodec

HERE = pathlib.Path(__file__).parent
BIN = pathlib.Path(os.environ["FORESTALL_BIN"])
CORPUS = pathlib.Path(os.environ["FORESTALL_SOURCE"]) / "tests/model/corpus/small.records"
KEYS = {"policy", "executions", "failures", "retries", "wastage_gib_h", "slack_mean", "ooms_to_recover",
        "changes_per_execution"}


def replay(*arguments, status=0):
    done = subprocess.run([BIN / "forestall", "replay", *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stderr
    return done


def lines(*arguments):
    return [json.loads(line) for line in replay("--json", *arguments).stdout.splitlines()]


def read_rows(path):
    for row in csv.DictReader(path.open()):
        yield {"code": row["code"], "runtime_s": float(row["runtime_s"]), "peak": float(row["peak_memory_bytes"]),
               "requested": float(row["requested_memory_bytes"]), "input": float(row["input_bytes"]) if row["input_bytes"]
               else None, "evaluate": row["evaluate"] != "0"}


@pytest.mark.parametrize("failure_at", [1.0, 0.3])
def test_simple_rules_agree_with_the_oracle(failure_at):
    rows = list(read_rows(HERE / "mixed.csv"))
    found = lines("--policy", ",".join(oracle.RULES), "--failure-at", failure_at, "--node", "8G", HERE / "mixed.csv")
    assert {line["policy"] for line in found} == set(oracle.RULES)
    for line in found:
        expected = oracle.replay(line["policy"], rows, failure_at, 8 * 2**30)
        assert {key: line[key] for key in expected} == pytest.approx(expected, rel=1e-6), line["policy"]
        assert line["executions"] == 114


def test_all_policies_as_before():
    """Golden lines of the rivals; ours may get better, but not worse than the best of them here."""
    found = lines(HERE / "mixed.csv")
    assert all(KEYS <= set(line) for line in found)
    ours, rivals = found[0], found[1:]
    assert ours["policy"] == "ours" and len(rivals) == 16
    golden = HERE / "mixed.jsonl"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text("".join(json.dumps(line) + "\n" for line in rivals))
    for line, expected in zip(rivals, map(json.loads, golden.read_text().splitlines()), strict=True):
        assert line == pytest.approx(expected, rel=1e-6)


def test_vpa_needs_many_ooms_where_the_need_grows(tmp_path):
    for good, ooms in ((1, 4), (10, 8), (50, 28), (100, 52), (300, 143)):
        path = tmp_path / f"step-{good}.csv"
        rows = [f"a,{i * 60},60,{(512 if i < good else 2048) << 20},{600 << 20}" for i in range(good + 1)]
        path.write_text("\n".join(["code,start_s,runtime_s,peak_memory_bytes,requested_memory_bytes", *rows]))
        (line,) = lines("--policy", "vpa", path)
        assert (line["ooms_to_recover"], line["failures"], line["executions"]) == (ooms, ooms, good + 1)


def test_recorded_series():
    found = {line["policy"]: line for line in lines("--policy", "ours,static,headroom,vpa", CORPUS)}
    assert len({line["executions"] for line in found.values()}) == 1 and found["ours"]["executions"] > 10
    assert found["ours"]["failures"] <= found["static"]["failures"]
    assert found["ours"]["wastage_gib_h"] < found["static"]["wastage_gib_h"]
    braked = lines("--policy", "ours", "--request-share", "0.5", CORPUS)[0]
    bare = lines("--policy", "ours", "--request-share", "0.5", "--no-brake", CORPUS)[0]
    assert braked["failures"] <= bare["failures"] and bare["stalled_s"] == 0


def growing_records(codec, like, peaks_mib):
    """Each grows evenly for 20 s to its peak; 128 MiB are asked for."""
    for number, peak_mib in enumerate(peaks_mib):
        start = 1700000000000000 + number * 600 * 10**6
        base = {**like["series"][0], "limits": dict.fromkeys(like["first_limits"], 0)}
        points = []
        for i in range(1, 201):
            memory = (peak_mib << 20) * i // 200
            points.append({**base, "time_us": start + i * 100000, "counters": {
                **base["counters"], "memory_bytes": memory, "memory_usage_bytes": memory, "memory_peak_bytes": memory,
                "cpu_usage_us": i * 90000}})
        framed = codec.encode("ExecutionRecord", {
            **like, "execution": number.to_bytes(16, "big"), "attempt": 1, "code": "growing", "started_us": start,
            "ended_us": start + 20 * 10**6, "outcome": "FINISHED", "cause": "NONE", "raised": [], "adjustments": [],
            "totals": {**points[-1]["counters"], "oom_kills": 0}, "series": points, "series_inclusion": 1.0,
            "series_stride": 1, "propensity": 1.0,
            "request": {**like["request"], "hints": {}, "limits": {**base["limits"], "memory_bytes": 128 << 20}}})
        yield struct.pack(">I", len(framed)) + framed


def test_growing_programs__starts_need_not_cover_the_largest(tmp_path):
    """What is too small is raised while it runs, and that is learned: peaks lie eightfold apart, and nothing fails."""
    codec, path, seed = MessageCodec(), tmp_path / "growing.records", 5
    print(f"seed {seed}")
    draw = random.Random(seed)
    size = struct.unpack(">I", CORPUS.read_bytes()[:4])[0]
    like = codec.decode(CORPUS.read_bytes()[4:4 + size], "ExecutionRecord")[1]
    path.write_bytes(b"".join(growing_records(codec, like, [int(100 * 8**draw.random()) for _ in range(30)])))
    found = {line["policy"]: line for line in lines("--policy", "all", path)}
    ours = found.pop("ours")
    assert ours["executions"] == 30 and ours["failures"] == 0
    assert ours["wastage_gib_h"] < 0.75 * min(line["wastage_gib_h"] for line in found.values())


def test_dead_letter_is_told_what_would_have_saved_it(tmp_path):
    codec = MessageCodec()
    data = CORPUS.read_bytes()
    size, at, record = 0, 0, None
    while at < len(data):
        size = struct.unpack(">I", data[at:at + 4])[0]
        record = codec.decode(data[at + 4:at + 4 + size], "ExecutionRecord")[1]
        at += 4 + size
        if record["outcome"] == "OOM_KILLED" and len(record["series"]) > 5:
            break
    assert record["outcome"] == "OOM_KILLED"
    record["raised"] = ["MEMORY"]
    dead = {"record": record, "risks": [], "decisions": [], "model_version": "", "reason": "", "dead_us": 1,
            "replayed_as": None}
    framed = codec.encode("DeadExecution", dead)
    path = tmp_path / "dead.records"
    path.write_bytes(struct.pack(">I", len(framed)) + framed)
    (line,) = lines(path)
    assert line["code"] == record["code"] and line["cause"] == "memory"
    assert line["needed"] > record["highest_limits"]["memory_bytes"] > 0
    assert "static" not in line["saved_by"] and "MiB from the start" in line["advice"]
    assert "dead letter" in replay(path).stdout


def test_table_for_people():
    out = replay("--policy", "ours,static", HERE / "mixed.csv").stdout.splitlines()
    assert out[0].split()[:4] == ["policy", "executions", "failures", "retries"]
    assert [line.split()[0] for line in out[1:]] == ["ours", "static"]
    assert "flotilla" in replay("--policy", "list").stdout


@pytest.mark.parametrize("arguments, status, says", [
    ([], 2, "a FILE is needed"),
    (["--policy", "nobody", "x.csv"], 2, "--policy nobody is not known"),
    (["--failure-at", "2", "x.csv"], 2, "--failure-at 2 is not a number from 0 to 1"),
    (["/nonexistent.csv"], 1, "/nonexistent.csv: No such file"),
    (["--model", "/nonexistent.safetensors", CORPUS], 1, "/nonexistent.safetensors: No such file"),
])
def test_errors_say_what_is_wrong(arguments, status, says):
    done = replay(*arguments, status=status)
    assert says in done.stderr and not done.stdout and done.stderr.count("\n") == 1


def test_model_of_other_features_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    make_model = pathlib.Path(os.environ["FORESTALL_TESTS"]) / "make_model"
    subprocess.run([make_model, path, "other-features"], check=True, stdout=subprocess.DEVNULL, timeout=60)
    assert "made for features version" in replay("--model", path, CORPUS, status=1).stderr


def test_bad_row_names_file_and_line(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("code,start_s,runtime_s,peak_memory_bytes,requested_memory_bytes\na,0,1,2,3\na,0,1,two,3\n")
    assert f"{path}:3: peak_memory_bytes two" in replay(path, status=1).stderr
