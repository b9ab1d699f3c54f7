"""forestall-allocate on a real broker and a real Redis: decisions, allocations, verdicts, dead letters."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stand import MIB, limits, new_execution, now_us, open_stand, quantiles  # noqa: E402
from process import wait_until  # noqa: E402


@pytest.fixture(scope="module")
def stand():
    running = open_stand()
    yield running
    assert running.program.stop() == 0, running.program.log_tail()
    running.cluster.close()


def test_alarm__raised__adjustment_allocation_and_redis(stand):
    execution, before_us = new_execution(), now_us()
    risk = stand.alarm(execution, code="alarmed")
    stand.send_risk(risk)
    adjustment = stand.wait_for("adjustments", lambda message: message["code"] == "alarmed")[0]
    assert adjustment["execution"] == execution and adjustment["attempt"] == 1 and adjustment["node"] == "node-1"
    assert (adjustment["epoch"], adjustment["sequence"]) == (1, risk["sequence"])
    assert adjustment["direction"] == "RAISE" and adjustment["cause"] == "MEMORY" and adjustment["decision"] >= 1
    assert 64 * MIB < adjustment["limits"]["memory_bytes"] <= 1.5 * 58 * MIB
    assert adjustment["decided_us"] >= before_us and 0 < adjustment["expires_us"] - adjustment["decided_us"] < 60_000_000
    assert "58 of 64 MiB" in adjustment["reason"] and adjustment["model_version"] == "model-1"
    found = stand.wait_redis("alarmed")
    assert int(found["memory_bytes"]) == adjustment["limits"]["memory_bytes"] and found["raised"] == "memory"
    assert found["before_memory_bytes"] == str(64 * MIB)


def test_record__finished__allocation_with_margin(stand):
    stand.send_record(stand.record(new_execution(), code="finished", peak_mib=100, limit_mib=256))
    found = stand.wait_redis("finished")
    assert 1.1 * 100 * MIB < int(found["memory_bytes"]) < 1.4 * 100 * MIB
    assert found["runs"] == "1" and found["raised"] == "" and "100.0 MiB" in found["reason"]


def test_records__input_told__curve_in_the_allocation_and_in_redis(stand):
    for size_mib in (10, 20, 40, 80, 160, 30, 60, 120):
        record = stand.record(new_execution(), code="by-input", peak_mib=20 + 3 * size_mib, limit_mib=1024)
        record["request"]["hints"] = {"input_bytes": str(size_mib * MIB)}
        stand.send_record(record)
    found = stand.wait_redis("by-input", lambda found: found["runs"] == "8")
    points = [tuple(map(float, point.split(":"))) for point in found["memory_by_input"].split(",")]
    assert len(points) > 4 and points == sorted(points)
    for size, memory in points:
        if 10 * MIB <= size <= 160 * MIB:
            assert 20 * MIB + 3 * size < memory < 1.5 * (20 * MIB + 3 * size)
    allocation = stand.allocation_of("by-input")
    assert [run["peak_bytes"] for run in allocation["recent"]][:2] == [50 * MIB, 80 * MIB]
    assert allocation["recent"][0]["input_bytes"] == 10 * MIB and allocation["recent"][0]["seconds"] == 5


def test_record__oom__one_verdict_with_more(stand):
    execution = new_execution()
    stand.send_record(stand.oom(execution, code="killed"))
    verdict, = stand.wait_for("verdicts", lambda message: message["code"] == "killed")
    assert verdict["execution"] == execution and verdict["retry"] and not verdict["dead_lettered"]
    assert verdict["limits"]["memory_bytes"] == 96 * MIB and verdict["cause"] == "MEMORY" and verdict["pool"] == "default"
    found = stand.wait_redis("killed")
    assert found["revision"] == str(verdict["revision"]) and found["memory_bytes"] == str(96 * MIB)


def test_record__own_bug__verdict_without_retry_and_no_allocation(stand):
    stand.send_record(stand.record(new_execution(), code="buggy", outcome="CRASHED", cause="OTHER", exit_status=1))
    verdict, = stand.wait_for("verdicts", lambda message: message["code"] == "buggy")
    assert not verdict["retry"] and not verdict["dead_lettered"] and verdict["cause"] == "OTHER"
    assert stand.allocation_of("buggy") is None and stand.hash_of("buggy") == {}


def adjustments_of(stand, execution):
    return [message for message in stand.read("adjustments") if message["execution"] == execution]


def settle_down(stand, marker):
    """Returns when everything written before has been handled: a finished record of this name has its allocation."""
    stand.send_record(stand.record(new_execution(), code=marker, peak_mib=10))
    stand.wait_redis(marker)


def send_and_see_read(stand, risk):
    """Sends the risk when nothing else is on its way; what would follow from it is decided when this returns."""
    before = stand.metric("risks_total")
    stand.send_risk(risk)
    wait_until(lambda: stand.metric("risks_total") > before, 20, "the risk to be read")


def test_risk__told_twice__decided_once(stand):
    execution = new_execution()
    risk = stand.alarm(execution, code="twice")
    stand.send_risk(risk)
    first = stand.wait_for("adjustments", lambda message: message["execution"] == execution)[0]
    shown = stand.alarm(execution, code="twice", limits=first["limits"], used_mib=59, kind="CHANGE", probability=0.1, above=False)
    stand.send_risk(shown)
    wait_until(lambda: stand.metric("attempts_open") == 0, 20, "the sample that shows it")
    count, repeats = len(adjustments_of(stand, execution)), stand.metric("risks_repeated_total")
    stand.send_risk(risk)
    stand.send_risk(shown)
    wait_until(lambda: stand.metric("risks_repeated_total") == repeats + 2, 20, "both repeats")
    assert len(adjustments_of(stand, execution)) == count


def test_adjustment__no_sample_shows_it__decided_again_with_higher_numbers(stand):
    execution = new_execution()
    stand.send_risk(stand.alarm(execution, code="lost"))
    found = stand.wait_for("adjustments", lambda message: message["execution"] == execution, count=5)
    numbers = [message["decision"] for message in found]
    assert numbers == sorted(set(numbers)) and len({message["limits"]["memory_bytes"] for message in found}) == 1
    wait_until(lambda: stand.metric("attempts_open") == 0, 30, "the end of asking")  # bounded: then only a new risk asks
    assert 6 <= len(adjustments_of(stand, execution)) <= 8


def test_risk__of_an_ended_attempt__raises_nothing(stand):
    execution = new_execution()
    send_and_see_read(stand, stand.risk(execution, code="late"))
    stand.send_record(stand.record(execution, code="late", peak_mib=32))
    before = stand.wait_redis("late")
    send_and_see_read(stand, stand.alarm(execution, code="late"))
    settle_down(stand, "late.done")
    assert adjustments_of(stand, execution) == [] and stand.wait_redis("late") == before


def test_risks__all_after_the_record__raise_nothing(stand):
    """Records and risks lie in topics of their own: a record may be read before any risk of its attempt."""
    execution = new_execution()
    stand.send_record(stand.record(execution, code="overtaken", peak_mib=32))
    before = stand.wait_redis("overtaken")
    send_and_see_read(stand, stand.alarm(execution, code="overtaken"))
    settle_down(stand, "overtaken.done")
    assert adjustments_of(stand, execution) == [] and stand.wait_redis("overtaken") == before


def decides_nothing(stand, code):
    """No allocation, or one that says only that nobody may give more at once."""
    allocation = stand.allocation_of(code)
    if allocation is None:
        return stand.hash_of(code) == {}
    return not any(allocation["limits"].values()) and allocation["memory_most_bytes"] == 0 and not allocation["raised"]


@pytest.mark.parametrize("case", ["held_out", "observe", "off"])
def test_not_acted_on__decided_for_the_log_only(stand, case):
    execution, code = new_execution(), f"not.{case}"
    if case != "held_out":
        stand.send_policy(code, mode=case.upper())
        settle_down(stand, f"{code}.set")
    observed = stand.metric("decisions_observed_total")
    stand.send_risk(stand.alarm(execution, code=code, arm="HELD_OUT" if case == "held_out" else "TREATED"))
    stand.send_record(stand.record(new_execution(), code=f"{code}.done", peak_mib=10))
    stand.wait_redis(f"{code}.done")
    if case == "off":
        settle_down(stand, f"{code}.later")
        assert stand.metric("decisions_observed_total") == observed
    else:
        wait_until(lambda: stand.metric("decisions_observed_total") == observed + 1, 20, "the decision for the log")
        assert "event=decision_not_sent" in stand.log() or "decision_not_sent" in stand.log()
    assert adjustments_of(stand, execution) == [] and decides_nothing(stand, code)


def test_observed__failed__verdict_without_retry_and_no_allocation(stand):
    stand.send_policy("watched", mode="OBSERVE")
    settle_down(stand, "watched.set")
    stand.send_record(stand.oom(new_execution(), code="watched"))
    verdict, = stand.wait_for("verdicts", lambda message: message["code"] == "watched")
    assert not verdict["retry"] and "observed" in verdict["reason"] and decides_nothing(stand, "watched")


def test_pin__redis_and_running_attempts_follow(stand):
    execution = new_execution()
    stand.send_policy("pinned", pin=limits(96, cpu_millicores=750))
    found = stand.wait_redis("pinned", lambda fields: fields["pinned"] == "1")
    assert found["memory_bytes"] == str(96 * MIB) and found["cpu_millicores"] == "750" and "a person" in found["reason"]
    stand.send_risk(stand.alarm(execution, code="pinned", probability=0.99))
    adjustment = stand.wait_for("adjustments", lambda message: message["execution"] == execution)[0]
    assert adjustment["limits"] == limits(96, cpu_millicores=750)
    stand.send_record(stand.oom(new_execution(), code="pinned", limit_mib=96))
    verdict, = stand.wait_for("verdicts", lambda message: message["code"] == "pinned")
    assert not verdict["retry"] and verdict["limits"]["memory_bytes"] == 96 * MIB
    stand.write("policies", "pinned", None)
    assert stand.wait_redis("pinned", lambda fields: fields["pinned"] == "0")


def test_ceiling__raised_to_it__dead_lettered_and_over(stand):
    execution = new_execution()
    stand.send_policy("capped", ceiling=limits(80))
    settle_down(stand, "capped.set")
    risk = stand.alarm(execution, code="capped", ahead_mib=500, explanation=[{"feature": "memory_ratio", "value": 0.75, "weight": 2.0}])
    stand.send_risk(risk)
    adjustment = stand.wait_for("adjustments", lambda message: message["execution"] == execution)[0]
    assert adjustment["limits"]["memory_bytes"] == 80 * MIB and "ceiling" in adjustment["reason"]
    stand.send_risk(stand.alarm(execution, code="capped", used_mib=75, limit_mib=80, ahead_mib=500, brake_engaged=True))
    met = {"adjustment": adjustment, "result": "APPLIED", "applied_us": now_us(), "before": limits(64), "after": limits(80),
           "memory_bytes": 58 * MIB, "detail": ""}
    record = stand.oom(execution, code="capped", limit_mib=80, raised=["MEMORY"], first_limits=limits(64), adjustments=[met])
    settle_down(stand, "capped.told")  # the risks before the record, which is in another topic
    stand.send_record(record)
    verdict, = stand.wait_for("verdicts", lambda message: message["code"] == "capped")
    assert verdict["dead_lettered"] and not verdict["retry"] and "nothing more to give" in verdict["reason"]
    letter, = stand.wait_for("executions.dlq", lambda message: message["record"]["code"] == "capped")
    assert letter["record"] == record and letter["reason"] == verdict["reason"] and letter["model_version"] == "model-1"
    assert [told["sequence"] for told in letter["risks"]] == [risk["sequence"], risk["sequence"] + 1]
    assert letter["risks"][0]["explanation"] == risk["explanation"]
    numbers = [decision["adjustment"]["decision"] for decision in letter["decisions"]]
    assert adjustment["decision"] in numbers and numbers == sorted(set(numbers))
    assert all(decision["expected_cost"] < decision["kept_cost"] for decision in letter["decisions"])


def test_node_without_room__neighbour_gives_and_raise_follows(stand):
    needy, rich = new_execution(), new_execution()
    capacity = limits(1024)
    running = [{"execution": rich, "attempt": 1, "placement": 1, "code": "rich", "limits": limits(960), "memory_bytes": 40 * MIB},
               {"execution": needy, "attempt": 1, "placement": 2, "code": "needy", "limits": limits(64), "memory_bytes": 62 * MIB}]
    on_node = {"node": "node-full"}
    calm = {"limits": limits(960), "memory_bytes": 40 * MIB, "memory_peak_bytes": 40 * MIB, "memory": quantiles(41 * MIB), **on_node}
    known = stand.metric("nodes")
    stand.send_status("node-full", capacity, limits(0), running)
    wait_until(lambda: stand.metric("nodes") == known + 1, 20, "the node's status")
    stand.send_risk(stand.risk(rich, code="rich", horizon_ms=1000, **calm))  # quiet for one horizon is quiet enough
    stand.send_risk(stand.alarm(needy, code="needy", used_mib=62, brake_engaged=True, **on_node))
    asked = stand.wait_for("adjustments", lambda message: message["execution"] == needy)[0]
    assert 64 * MIB < asked["limits"]["memory_bytes"] < 80 * MIB and "no room" in asked["reason"]
    short = [{"execution": needy, "attempt": 1, "resource": "MEMORY", "wanted": asked["limits"]["memory_bytes"]}]

    def neighbour_gives():
        stand.send_status("node-full", capacity, limits(0), running, short)
        return [message for message in adjustments_of(stand, rich) if message["direction"] == "SHRINK"]
    given = wait_until(neighbour_gives, 20, "slack of the neighbour", 0.3)[0]
    assert 41 * MIB < given["limits"]["memory_bytes"] < 200 * MIB and "neighbour is short" in given["reason"]
    running[0]["limits"] = given["limits"]
    seen = len(adjustments_of(stand, needy))
    free = {**limits(0), "memory_bytes": 960 * MIB - given["limits"]["memory_bytes"]}

    def raise_follows():
        stand.send_status("node-full", capacity, free, running, short)
        return [message for message in adjustments_of(stand, needy)[seen:] if message["limits"]["memory_bytes"] >= 73 * MIB]
    assert wait_until(raise_follows, 20, "the raise with what is free now", 0.3)


def test_cpu_against_its_deadline__raised_though_the_model_is_silent(stand):
    execution = new_execution()
    stand.send_risk(stand.risk(execution, code="late.cpu", limits=limits(64, cpu_millicores=200), cpu_millicores=200,
                               throttled_permille=1000, timeout_ms=10_000, started_us=stand.clock - 2_000_000, tasks=2))
    adjustment = stand.wait_for("adjustments", lambda message: message["execution"] == execution)[0]
    assert adjustment["cause"] == "CPU" and adjustment["limits"]["cpu_millicores"] == 800
    assert "by its deadline" in adjustment["reason"]
    assert stand.wait_redis("late.cpu")["raised"] == "cpu"


def test_malformed__quarantined_with_reason_and_the_partition_goes_on(stand):
    bad_risk = {**stand.alarm(new_execution(), code="bad"), "probability": float("nan")}
    cases = {
        "not a readable Risk": lambda: stand.write("risks", "bad", b"rubbish that is no message"),
        "a probability is outside 0..1": lambda: stand.send_risk(bad_risk),
        "the key is not the code": lambda: stand.send("risks", "Risk", "other", stand.alarm(new_execution(), code="bad")),
        "limits are out of range": lambda: stand.send_record(stand.record(new_execution(), code="bad", first_limits=limits(-1))),
        "empty value where a ExecutionRecord belongs": lambda: stand.write("executions.finished", "bad", None),
        "a floor is above its ceiling": lambda: stand.send_policy("bad", floor=limits(10), ceiling=limits(5)),
    }
    for send in cases.values():
        send()

    def reasons():
        found = [dict(message.headers() or []) for message in stand.cluster.read_topic("quarantine")]
        return [headers["reason"].decode() for headers in found if headers.get("service") == b"forestall-allocate"]
    wait_until(lambda: len(reasons()) >= len(cases), 30, lambda: f"{len(cases)} in quarantine: {reasons()}", 0.2)
    for reason in cases:
        assert any(text.startswith(reason) for text in reasons()), (reason, reasons())
    settle_down(stand, "bad.done")
    assert stand.page("readyz")[0] == 200


def test_start__schemas_announced_and_pages_served(stand):
    known = {message.key().decode() for message in stand.cluster.read_topic("schemas")}
    for name in ("Adjustment", "Allocation", "Verdict", "DeadExecution"):
        assert f"{stand.codec.fingerprint(name):016x}" in known
    assert stand.page("healthz")[0] == 200
    assert stand.metric("redis_up") == 1 and stand.metric("partitions") == 32  # four topics of eight
