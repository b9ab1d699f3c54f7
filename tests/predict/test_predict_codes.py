"""What forestall-predict finds in `codes` when partitions become its own: profiles of another version, and idle ones."""
import time

import pytest

from predictor import CODEC, Node, Predict, Reader, Run, record_of
from cluster import Cluster
from other_version import OtherVersion
from process import wait_until

MANY = 3000  # several batches on each partition
BOUND = 256  # of predict.codes, its least
IDLE = 12 * BOUND


@pytest.fixture
def cluster():
    with Cluster(with_redis=False) as running:
        yield running


def learned_profile(cluster):
    """What predict makes of one finished execution."""
    predict = Predict(cluster).start()
    node, run = Node(cluster), Run("first")
    node.producer.produce("executions.finished", CODEC.encode("ExecutionRecord", record_of(run, node)), b"first")
    node.flush()
    reader = Reader(cluster, "codes")
    profile = reader.wait(lambda messages: messages and messages[-1], 30, "the profile of a finished execution")
    reader.close()
    assert predict.program.stop() == 0, predict.program.log_tail()
    return profile


def test_start__profiles_of_another_version__all_taken(cluster):
    profile = learned_profile(cluster)
    other = OtherVersion("code_profile.avsc")
    producer = cluster.producer(linger_ms=5)
    producer.produce("schemas", other.text, other.key)
    for number in range(MANY):
        code = f"other.{number}"
        producer.produce("codes", other.encode({**profile, "code": code, "through": []}), code.encode())
    assert producer.flush(60) == 0
    predict = Predict(cluster).start()
    assert predict.metric("codes_refused_total") == 0
    wait_until(lambda: predict.metric("codes") == MANY + 1, 20, lambda: f"all profiles, have {predict.metric('codes')}")
    assert predict.program.stop() == 0, predict.program.log_tail()


def produce_idle(producer, profile, code):
    message = {**profile, "code": code, "updated_us": 1_000_000, "through": []}
    producer.produce("codes", CODEC.encode("CodeProfile", message), code.encode())


def wait_deleted(reader, codes):
    """Until all of these codes have a tombstone; others may have one, too."""
    reader.wait(lambda _: {message.key() for message in reader.raw if message.value() is None} >= codes, 30,
                "a tombstone for each idle code")


def test_start__idle_profiles_past_the_bound__deleted(cluster):
    profile = learned_profile(cluster)
    producer = cluster.producer(linger_ms=5)
    for number in range(IDLE):
        produce_idle(producer, profile, f"idle.{number}")
    assert producer.flush(60) == 0
    predict = Predict(cluster, codes=BOUND).start()
    reader = Reader(cluster, "codes")
    wait_deleted(reader, {f"idle.{number}".encode() for number in range(IDLE)})
    assert b"first" not in {message.key() for message in reader.raw if message.value() is None}
    reader.close()
    assert predict.program.stop() == 0, predict.program.log_tail()


def test_start__idle_profile_with_a_fresh_one_behind__stays(cluster):
    """Still in memory at the end of its partition, or pushed out by then."""
    profile = learned_profile(cluster)
    producer = cluster.producer(linger_ms=5)

    def produce_both(code):
        produce_idle(producer, profile, code)
        fresh = {**profile, "code": code, "revision": profile["revision"] + 1, "updated_us": time.time_ns() // 1000, "through": []}
        producer.produce("codes", CODEC.encode("CodeProfile", fresh), code.encode())
    for number in range(20):
        produce_both(f"early.{number}")
    for number in range(IDLE):
        produce_idle(producer, profile, f"idle.{number}")
    for number in range(20):
        produce_both(f"late.{number}")
    assert producer.flush(60) == 0
    predict = Predict(cluster, codes=BOUND).start()
    reader = Reader(cluster, "codes")
    idle = {f"idle.{number}".encode() for number in range(IDLE)}
    wait_deleted(reader, idle)
    assert predict.program.stop() == 0, predict.program.log_tail()
    reader.read()
    newest = {message.key(): message.value() for message in reader.raw}
    assert {key for key, value in newest.items() if value is None} == idle
    reader.close()


def test_records__of_more_codes_than_are_kept__one_pass_for_the_dropped_of_a_batch(cluster):
    """Three rounds of one record each: none is lost although every profile was dropped and read again in between."""
    rounds = 3
    predict = Predict(cluster, partitions=1, codes=BOUND).start()
    node, producer, codes = Node(cluster), cluster.producer(linger_ms=5), Reader(cluster, "codes")
    names = [f"many.{number}" for number in range(3 * BOUND)]
    for _ in range(rounds):
        for name in names:
            record = record_of(Run(name), node, series=False)
            producer.produce("executions.finished", CODEC.encode("ExecutionRecord", record), name.encode())
    assert producer.flush(60) == 0
    runs = lambda: {profile["code"]: profile["runs"] for profile in codes.read()}  # noqa: E731
    wait_until(lambda: sum(runs().values()) >= rounds * len(names), 120, lambda: f"all records counted, have {sum(runs().values())}")
    assert set(runs().values()) == {rounds}
    wait_until(lambda: predict.metric("records_total") == rounds * len(names), 10, "the metrics")
    reread, passes = predict.metric("codes_reread_total"), predict.metric("codes_passes_total")
    print(f"{reread:.0f} profiles read again in {passes:.0f} passes")
    assert reread >= len(names) and 0 < passes <= reread / 4  # some twenty when batches are full
    codes.close()
    assert predict.program.stop() == 0, predict.program.log_tail()
