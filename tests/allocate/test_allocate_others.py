"""forestall-allocate beside others: another installation on the same broker, a Redis with a password, fewer places than
there are codes, and what another version of it wrote."""
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stand import MIB, Stand, limits, new_execution, now_us, open_stand  # noqa: E402
from other_version import OtherVersion  # noqa: E402
from process import wait_until  # noqa: E402


@pytest.fixture(scope="module")
def stand():
    running = open_stand()
    yield running
    assert running.program.stop() == 0, running.program.log_tail()
    running.cluster.close()


def test_prefix__second_installation__shares_no_group(stand):
    second = Stand(stand.cluster, **{"service.topic_prefix": "second.", "service.redis_prefix": "second:",
                                     "service.partitions": 3}).start()
    stand.send_record(stand.record(new_execution(), code="beside", peak_mib=10))
    stand.wait_redis("beside")
    assert stand.program.alive() and stand.metric("partitions") == 32 and second.metric("partitions") == 12
    assert second.program.stop() == 0, second.program.log_tail()


def test_redis__password__known_to_allocate_and_to_people(stand):
    client = stand.cluster.redis_client()
    assert stand.program.stop() == 0
    client.config_set("requirepass", "secret")
    try:
        stand.start(**{"service.redis_password": "secret"})
        stand.send_record(stand.record(new_execution(), code="guarded", peak_mib=10))
        environment = {**os.environ, "FORESTALL_SERVICE_BROKERS": stand.cluster.broker.bootstrap,
                       "FORESTALL_SERVICE_REDIS": stand.cluster.redis.address,
                       "FORESTALL_SERVICE_REDIS_PASSWORD": "secret"}
        stand.wait_for("allocations", lambda message: message["code"] == "guarded")
        shown = subprocess.run([stand.cluster.program("forestall"), "allocation", "get", "guarded"], env=environment,
                               capture_output=True, text=True, timeout=60)
        assert shown.returncode == 0 and "guarded" in shown.stdout, shown.stderr
        assert stand.program.stop() == 0
    finally:
        stand.cluster.redis_client(password="secret").config_set("requirepass", "")
    stand.start()


def test_restart__more_codes_than_places__the_longest_unused_go(stand):
    for number in range(80):
        stand.send_record(stand.record(new_execution(), code=f"many.{number}", peak_mib=10 + number))
    for number in range(80):
        stand.wait_redis(f"many.{number}", timeout_s=40)
    stand.send_policy("many.0", ceiling=limits(500))
    assert stand.program.stop() == 0
    stand.start(**{"allocate.max_codes": 20, "allocate.max_pending": 16})
    assert stand.metric("codes") <= 20 and stand.metric("codes_evicted_total") >= 60
    assert "event=codes_dropped" in stand.log()
    stand.send_record(stand.record(new_execution(), code="many.done", peak_mib=10))
    stand.wait_redis("many.done")
    assert stand.hash_of("many.79") and stand.allocation_of("many.1") is None
    assert stand.program.stop() == 0
    stand.start()


def test_restart__what_raises_saved__still_known(stand):
    """Executions that outgrew their start of 64 MiB: their code learns from them, and a code of which nothing is known, too."""
    def finish(code, peak_mib, limit_mib=64):
        ended_us = now_us()
        stand.send_record(stand.record(new_execution(), code=code, peak_mib=peak_mib, limit_mib=limit_mib,
                                       highest_limits=limits(2 * peak_mib), started_us=ended_us - 120_000_000,
                                       ended_us=ended_us))

    peaks = [100, 400, 150, 300, 120, 350, 200, 250, 110, 380, 170, 330]
    for peak_mib in peaks:
        finish("outgrew", peak_mib)
    wait_until(lambda: (stand.allocation_of("outgrew") or {"runs": 0})["runs"] == len(peaks), 20, "all records")
    before = stand.allocation_of("outgrew")
    wait_until(lambda: stand.metric("saved_share") > 0.9, 20, "the share of saved executions")
    assert 9 < before["outgrown"] < 12 and before["outgrown_failed"] == 0
    assert stand.program.stop() == 0
    stand.start()
    assert stand.metric("saved_share") > 0.9
    finish("outgrew", 400)
    wait_until(lambda: stand.allocation_of("outgrew")["runs"] == len(peaks) + 1, 20, "the one after the restart")
    after = stand.allocation_of("outgrew")
    assert after["outgrown"] == pytest.approx(0.97 * before["outgrown"] + 1, rel=1e-5)
    assert after["limits"]["memory_bytes"] < 400 * MIB and "is raised; " in after["reason"]
    for peak_mib in (*peaks, 400):
        finish("fits", peak_mib, 1000)
    wait_until(lambda: (stand.allocation_of("fits") or {"runs": 0})["runs"] == len(peaks) + 1, 20, "all records")
    found = stand.allocation_of("fits")
    assert found["outgrown"] == 0 and found["limits"]["memory_bytes"] < 400 * MIB


def test_restart__older_revision_behind_a_newer_one__the_newer_counts(stand):
    """A former owner that was cut off writes what it still had; a code that was deleted begins again."""
    assert stand.program.stop() == 0
    for code, revision, mib in (("late", 12, 300), ("late", 11, 100), ("again", 500, 300), ("again", None, 0), ("again", 1, 100)):
        allocation = {**stand.blank("Allocation"), "code": code, "revision": revision, "limits": limits(mib), "before": limits(mib),
                      "runs": 3, "updated_us": now_us()}
        stand.producer.produce("allocations", stand.codec.encode("Allocation", allocation) if revision else None, code.encode())
    assert stand.producer.flush(30) == 0
    stand.start()
    wait_until(lambda: stand.hash_of("again") and stand.hash_of("late"), 20, "both codes in Redis")
    assert [stand.hash_of(code)["memory_bytes"] for code in ("late", "again")] == [str(300 * MIB), str(100 * MIB)]


def test_redis__missed_that_a_code_was_deleted__its_next_life_counts(stand):
    """What was written before the deletion stayed there, with the revision of a long life."""
    first = now_us() // 1000 - 40 * 86_400_000
    for code, revision in (("reborn", first + 5_000), ("reborn.early", 5_000)):  # early: revisions began with 1
        stand.cluster.redis_client().hset(f"forestall:allocation:{{{code}}}",
                                          mapping={"revision": revision, "memory_bytes": 300 * MIB})
        stand.send_record(stand.record(new_execution(), code=code, peak_mib=10))
        found = stand.wait_redis(code)
        assert int(found["revision"]) > revision and int(found["memory_bytes"]) < 100 * MIB


def test_restart__policies_of_another_version__still_hold(stand):
    """More than one batch of them, so that the schema is looked up in the middle of a restore that has to go on."""
    assert stand.program.stop() == 0
    other = OtherVersion("code_policy.avsc")
    stand.write("schemas", other.key, other.text)
    codes = [f"pinned.{number}" for number in range(4000)]
    for number, code in enumerate(codes):
        policy = {**stand.blank("CodePolicy"), "code": code, "pin": limits(100 + number % 7), "updated_us": now_us(),
                  "author": "a person"}
        stand.producer.produce("policies", other.encode(policy), code.encode())
    assert stand.producer.flush(30) == 0
    stand.start()
    for number in (0, 1, 2, 3998, 3999):
        found = stand.wait_redis(codes[number], lambda fields: fields["pinned"] == "1", timeout_s=60)
        assert found["memory_bytes"] == str((100 + number % 7) * MIB)
    assert "restored_with_gaps" not in stand.log()
