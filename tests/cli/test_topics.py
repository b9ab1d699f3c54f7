"""`forestall topics`, and that the services refuse topics they cannot run on, on a real Kafka; with a schema registry too."""
import json
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"))
from cluster import Cluster  # noqa: E402
from command import ENVIRONMENT, FORESTALL  # noqa: E402
from messages import TOPIC_MESSAGES, MessageCodec  # noqa: E402
from process import wait_until  # noqa: E402
from schema_registry import SchemaRegistry  # noqa: E402

SERVICES = ("ingest", "predict", "allocate", "queue", "retrain")


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as running:
        yield running


def forestall(cluster, *words, timeout_s=60):
    return subprocess.run([FORESTALL, words[0], *words[1:2], "--brokers", cluster.broker.bootstrap, *words[2:]],
                          capture_output=True, text=True, timeout=timeout_s, env=ENVIRONMENT, stdin=subprocess.DEVNULL)


def service(cluster, name, *words, timeout_s=60):
    """Runs a service that is expected to refuse; (status, what it said)."""
    done = subprocess.run([Cluster.program(f"forestall-{name}"), "--service.brokers", cluster.broker.bootstrap,
                           "--service.redis", cluster.redis.address, "--service.state_dir", cluster.directory / "state",
                           *words], capture_output=True, text=True, timeout=timeout_s, env=ENVIRONMENT,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def settings(cluster, topic):
    from confluent_kafka.admin import ConfigResource
    admin = cluster.admin()
    described = admin.describe_configs([ConfigResource("topic", topic)])
    return {name: entry.value for name, entry in next(iter(described.values())).result(30).items()}


def partitions(cluster, topic):
    return len(cluster.admin().list_topics(timeout=30).topics[topic].partitions)


def test_check__nothing_there__each_topic_is_named(cluster):
    done = forestall(cluster, "topics", "check", "--prefix", "none.")
    assert done.returncode == 1
    assert done.stderr.count("does not exist") == len(done.stderr.splitlines()) == 17


def test_create__twice__made_as_designed_and_left_alone(cluster):
    done = forestall(cluster, "topics", "create", "--partitions", "5")
    assert (done.returncode, done.stderr) == (0, "")
    assert partitions(cluster, "risks") == partitions(cluster, "executions.state") == 5
    assert partitions(cluster, "models") == 1
    assert settings(cluster, "allocations")["cleanup.policy"] == "compact"
    assert settings(cluster, "executions.dlq")["retention.ms"] == str(90 * 24 * 3600 * 1000)
    done = forestall(cluster, "topics", "create", "--partitions", "7")
    assert done.returncode == 0 and partitions(cluster, "risks") == 5
    done = forestall(cluster, "topics", "check", "--json")
    assert done.returncode == 0 and json.loads(done.stdout) == {"topics": 17, "faults": []}


def test_create__some_of_a_family_there__the_rest_gets_as_many(cluster):
    cluster.create_topics({"part.executions.requested": 3})
    assert forestall(cluster, "topics", "create", "--prefix", "part.").returncode == 0
    assert partitions(cluster, "part.verdicts") == partitions(cluster, "part.executions.state") == 3
    assert partitions(cluster, "part.risks") == 8


WRONG = {
    "partitions": ({"w1.risks": 3, "w1.codes": 8}, {}, "topic w1.risks has 3 partitions and w1.executions.finished has 8"),
    "partitions of a single": ({"w2.models": 2}, {}, "topic w2.models has 2 partitions and must have 1"),
    "not compacted": ({"w3.executions.state": 8}, {"cleanup.policy": "delete"},
                      "topic w3.executions.state has cleanup.policy=delete and must have compact"),
    "compacted": ({"w4.executions.finished": 8}, {"cleanup.policy": "compact"},
                  "topic w4.executions.finished has cleanup.policy=compact and must have delete"),
    "short retention": ({"w5.executions.events": 8}, {"retention.ms": "60000"},
                        "topic w5.executions.events has retention.ms=60000 and must keep records for 86400000 at least"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_topic__check_and_every_service_say_which_in_one_line(cluster, what):
    topics, config, words = WRONG[what]
    prefix = next(iter(topics))[:3]
    compact = {"cleanup.policy": "compact"}
    for name, count in topics.items():
        cluster.create_topics({name: count}, config or (compact if name[3:] in ("codes", "models") else {}))
    done = forestall(cluster, "topics", "create", "--prefix", prefix)
    lines = [line for line in done.stderr.splitlines() if words in line]
    assert done.returncode == 1 and len(lines) == 1, done.stderr
    print(lines[0])
    for name in SERVICES:
        status, out = service(cluster, name, "--service.topic_prefix", prefix)
        assert status == 1 and sum(words in line for line in out.splitlines()) == 1, f"{name}: {out}"


def test_broker_away__one_line_with_the_address():
    done = subprocess.run([FORESTALL, "topics", "check", "--brokers", "127.0.0.1:1"], capture_output=True, text=True, timeout=60,
                          env=ENVIRONMENT)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "127.0.0.1:1" in done.stderr


# --- with a schema registry ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def registry():
    with SchemaRegistry() as running:
        yield running


def test_registry__create_registers_and_submit_frames_for_it(cluster, registry):
    from forestall_topics import Schemas
    create = ("topics", "create", "--prefix", "reg.", "--schema-registry", registry.url)
    done = forestall(cluster, *create)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(registry.subjects) == {f"reg.{topic}-value" for topic in TOPIC_MESSAGES}
    assert set(registry.levels.values()) == {"FULL_TRANSITIVE"} and set(registry.levels) == set(registry.subjects)
    assert forestall(cluster, *create).returncode == 0 and len(registry.schemas) == len(TOPIC_MESSAGES)

    submit = [FORESTALL, "submit", "--brokers", cluster.broker.bootstrap, "--prefix", "reg."]
    for more in (["--schema-registry", registry.url], []):
        done = subprocess.run([*submit, *more, "--", "true"], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
        assert done.returncode == 0, done.stderr
    framed, single = (one.value() for one in cluster.read_topic("reg.executions.requested", count=2))
    number, = registry.subjects["reg.executions.requested-value"]
    assert framed[:5] == b"\x00" + number.to_bytes(4, "big")
    assert MessageCodec().decode(single, "ExecutionRequest")[1]["argv"] == ["true"]
    # a reader needs only the topic `schemas`
    requests = len(registry.requests)
    schemas = Schemas(cluster.broker.bootstrap, "reg.")
    assert schemas.decode(framed)[1]["argv"] == schemas.decode(single)[1]["argv"] == ["true"]
    assert len(registry.requests) == requests


def test_registry__queue_reads_both_and_writes_its_state_framed(cluster, registry):
    """One request in each framing; queue has no node, so both wait in its state."""
    def waiting():
        return [message.value() for message in cluster.read_topic("reg.executions.state") if message.value()]
    config = ["--service.brokers", cluster.broker.bootstrap, "--service.redis", cluster.redis.address,
              "--service.topic_prefix", "reg.", "--service.schema_registry", registry.url]
    queue = cluster.start_program("queue", [Cluster.program("forestall-queue"), *config])
    wait_until(lambda: len(waiting()) >= 2, 60, lambda: "two states:\n" + queue.log_tail(), 0.5)
    assert all(value[:1] == b"\x00" for value in waiting())
    assert queue.stop() == 0
    assert not cluster.read_topic("reg.quarantine")


def test_registry__refuses_or_is_away__one_line(cluster, registry):
    broken = {"type": "record", "name": "Risk", "fields": [{"name": "other", "type": "long"}]}
    assert registry.register("inc.risks-value", json.dumps(broken))[0] == 200
    status, out = service(cluster, "predict", "--service.topic_prefix", "inc.", "--service.schema_registry", registry.url)
    lines = [line for line in out.splitlines() if "inc.risks-value was not registered" in line]
    assert status == 1 and len(lines) == 1 and "409" in lines[0], out
    print(lines[0])
    status, out = service(cluster, "predict", "--service.topic_prefix", "inc.", "--service.schema_registry", "http://127.0.0.1:1")
    assert status == 1 and "cannot reach the schema registry at http://127.0.0.1:1" in out, out
    status, out = service(cluster, "predict", "--service.topic_prefix", "inc.", "--service.schema_registry", "registry:8080")
    assert status == 1 and "is no URL" in out, out
