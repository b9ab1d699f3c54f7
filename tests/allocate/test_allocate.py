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
