"""The whole loop: the built programs on a real Kafka broker, a real Redis and real cgroups, read by another language."""
import os
import pathlib
import subprocess
import sys

import pytest

from cluster import SOURCE_DIRECTORY
from instance import Instance, cgroups_of_forestall
from messages import TOPIC_MESSAGES, MessageCodec

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="cgroups need root")
GROW = [sys.executable, "-c", """
import sys, time
kept = []
for number in range(60):
    kept.append(bytearray(b"x" * (2 << 20)))
    end = time.monotonic() + 0.04
    while time.monotonic() < end:
        pass
print("grown", len(kept))
"""]
GROW_PEAK = 120 << 20  # what it allocates; the interpreter's own memory comes on top


@pytest.fixture(scope="module")
def forestall():
    before = cgroups_of_forestall()
    with Instance() as instance:
        yield instance
        instance.local.stop(60)
        assert cgroups_of_forestall() == before, "cgroups left behind"


def unlimited_peak(instance, argv):
    record = instance.directory / "unlimited.record"
    subprocess.run([instance.program("forestall-record"), "--out", record, "--stdout", "/dev/null", "--", *argv],
                   check=True, stderr=subprocess.DEVNULL, timeout=60)
    data = record.read_bytes()
    return MessageCodec().decode(data[4:], "ExecutionRecord")[1]["totals"]["memory_peak_bytes"]


def of_code(instance, topic, code):
    return [message for _, message in instance.read_messages(topic)
            if message and (message.get("code") or message.get("request", {}).get("code")) == code]


def test_run__memory_limit_too_low__saved_in_first_attempt_and_next_starts_with_enough(forestall):
    status, out, _, report = forestall.run(GROW, code="e2e-grow", memory="48M")
    assert (status, out) == (0, "grown 60\n")
    assert report["outcome"] == "finished" and report["attempts"] == 1 and report["exit_status"] == 0
    assert report["first_limit_bytes"] == 48 << 20
    assert report["final_limit_bytes"] >= report["peak_bytes"] > GROW_PEAK
    peak = unlimited_peak(forestall, GROW)
    assert abs(report["peak_bytes"] - peak) <= 0.1 * peak
    assert report["adjustments"] and report["max_probability"] > 0

    status, _, _, following = forestall.run(GROW, code="e2e-grow", memory="48M")
    assert status == 0 and following["attempts"] == 1
    assert not [one for one in following["adjustments"] if one["direction"] == "raise"], following["adjustments"]
    assert following["first_limit_bytes"] >= peak


def test_topics__after_a_saved_run__tell_the_same_story_to_another_language(forestall):
    records = of_code(forestall, "executions.finished", "e2e-grow")
    assert [record["outcome"] for record in records] == ["FINISHED", "FINISHED"]
    execution = records[0]["execution"]

    states = [state for _, state in forestall.read_messages("executions.state") if state and state["execution"] == execution]
    assert [state["phase"] for state in states].count("DONE") == 1 and states[-1]["phase"] == "DONE"
    assert states[-1]["outcome"] == "FINISHED"

    events = [event for _, event in forestall.read_messages("executions.events") if event["execution"] == execution]
    kinds = [event["kind"] for event in events]
    assert kinds.count("ACCEPTED") == kinds.count("STARTED") == kinds.count("FINISHED") == 1
    assert kinds.index("ACCEPTED") < kinds.index("STARTED") < kinds.index("FINISHED")

    ticks = [tick for _, tick in forestall.read_messages("telemetry")
             if any(sample["execution"] == execution for sample in tick["samples"])]
    sequences = [(tick["epoch"], tick["sequence"]) for tick in ticks]
    assert sequences == sorted(set(sequences)) and len(ticks) > 10

    risks = [risk for _, risk in forestall.read_messages("risks") if risk["execution"] == execution]
    assert risks and all(0 <= risk["probability"] <= 1 for risk in risks)
    marks = [(risk["attempt"], risk["epoch"], risk["sequence"]) for risk in risks]
    assert len(marks) == len(set(marks)), "a risk was published twice"

    orders = [order for _, order in forestall.read_messages("adjustments") if order["execution"] == execution]
    met = [one["adjustment"] for one in records[0]["adjustments"]]
    assert met and all(order["reason"] for order in orders + met)
    assert {order["decision"] for order in orders} >= {one["decision"] for one in met if one["model_version"] != "agent"}
    assert [one["adjusted"]["adjustment"] for one in events if one["kind"] == "ADJUSTED"] == met

    profiles = of_code(forestall, "codes", "e2e-grow")
    assert profiles and profiles[-1]["runs"] == 2
    first, second = profiles[-1]["recent"]  # the same command twice, as its samples told
    assert first["finished"] and second["finished"] and first["command"] == second["command"] != 0
    assert {sample["command"] for tick in ticks for sample in tick["samples"] if sample["execution"] == execution} == {first["command"]}
    schemas = [message.value() for message in forestall.read_topic("schemas")]
    assert any(b'"ExecutionState"' in schema for schema in schemas) and any(b'"Tick"' in schema for schema in schemas)
    assert not forestall.read_topic("quarantine")


def test_redis__after_a_raise__equals_the_newest_allocation(forestall):
    newest = of_code(forestall, "allocations", "e2e-grow")[-1]
    held = forestall.redis_client().hgetall("forestall:allocation:{e2e-grow}")
    assert int(held["revision"]) == newest["revision"]
    assert int(held["memory_bytes"]) == newest["limits"]["memory_bytes"]
    assert held["raised"] == ",".join(cause.lower() for cause in newest["raised"]) == "memory"
    assert int(held["runs"]) == newest["runs"]


def test_run__own_bug__neither_raised_nor_run_again(forestall):
    status, _, err, report = forestall.run([sys.executable, "-c", "raise SystemExit(7)"], code="e2e-bug", memory="64M",
                                           max_attempts=3)
    assert status == 7 and report["outcome"] == "crashed" and report["cause"] == "other"
    assert report["attempts"] == 1 and not report["adjustments"]
    verdicts = of_code(forestall, "verdicts", "e2e-bug")
    assert len(verdicts) == 1 and not verdicts[0]["retry"] and not verdicts[0]["dead_lettered"]


def test_run__needs_more_than_its_ceiling__dead_letter_with_telemetry(forestall):
    forestall.forestall("allocation", "set", "--ceiling-memory", "72M", "e2e-ceiling")
    status, _, _, report = forestall.run(GROW, code="e2e-ceiling", memory="48M", max_attempts=3)
    assert status != 0 and report["outcome"] == "dead_lettered" and report["cause"] == "memory"
    assert report["final_limit_bytes"] == 72 << 20
    dead = [one for _, one in forestall.read_messages("executions.dlq") if one["record"]["code"] == "e2e-ceiling"]
    assert len(dead) == 1
    assert dead[0]["record"]["series"] and dead[0]["risks"] and dead[0]["decisions"] and dead[0]["model_version"]
    assert report["execution"] in forestall.forestall("dlq", "ls").stdout


PROGRAMS = {
    "sort": ["sort", "-r", "{text}"],
    "sed": ["sed", "-n", "s/a/b/gp", "{text}"],
    "od": ["od", "-c", "{text}"],
    "tar": ["tar", "-cf", "-", "-C", "{directory}", "text"],
    "bash": ["bash", "-c", "for i in $(seq 500); do echo $i; done; echo err >&2; exit 3"],
    "missing file": ["cat", "/nonexistent-file"],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_run__any_program__behaves_as_without(forestall, name):
    (forestall.directory / "text").write_text("".join(f"line {number * 7919 % 10007} banana\n" for number in range(20000)))
    argv = [word.format(text=forestall.directory / "text", directory=forestall.directory) for word in PROGRAMS[name]]
    plain = subprocess.run(argv, capture_output=True, text=True)
    status, out, err, report = forestall.run(argv, memory="64M")
    assert (status, out, err) == (plain.returncode, plain.stdout, plain.stderr)
    assert report["code"] == argv[0] and report["attempts"] == 1


def test_explain__of_a_saved_run__names_samples_risks_and_reasons(forestall):
    execution = of_code(forestall, "executions.finished", "e2e-grow")[0]["execution"]
    identity = "-".join(execution.hex()[start:end] for start, end in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
    text = forestall.forestall("explain", identity).stdout
    assert "e2e-grow" in text and "raise" in text and "finished" in text
    assert identity in forestall.forestall("status").stdout


def test_schemas__in_the_repository__are_those_of_the_topics():
    names = {path.stem for path in pathlib.Path(SOURCE_DIRECTORY / "schemas").glob("*.avsc")}
    assert len(TOPIC_MESSAGES) <= len(names)
