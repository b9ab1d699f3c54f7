"""What forestall-predict finds in `codes` when partitions become its own: profiles of another version, and idle ones."""
import pytest

from predictor import CODEC, Node, Predict, Reader, Run, record_of
from cluster import Cluster
from other_version import OtherVersion
from process import wait_until

MANY = 3000  # several batches on each partition


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


def test_start__idle_profiles_past_the_bound__deleted(cluster):
    profile = learned_profile(cluster)
    producer = cluster.producer(linger_ms=5)
    for number in range(200):
        code = f"idle.{number}"
        message = {**profile, "code": code, "updated_us": 1_000_000, "through": []}
        producer.produce("codes", CODEC.encode("CodeProfile", message), code.encode())
    assert producer.flush(60) == 0
    predict = Predict(cluster, codes=16).start()
    reader = Reader(cluster, "codes")

    def deleted(_):
        gone = {message.key() for message in reader.raw if message.value() is None}
        return len(gone) == 200 and b"first" not in gone
    reader.wait(deleted, 30, "a tombstone for each idle code")
    reader.close()
    assert predict.program.stop() == 0, predict.program.log_tail()
