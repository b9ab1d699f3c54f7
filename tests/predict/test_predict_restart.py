"""forestall-predict killed, joined and cut off: what it told is not told again, what it counted is not counted again, and it
goes on. Each test on a broker of its own."""
import collections
import random
import time

import pytest

from predictor import CODEC, MIB, Node, Predict, Reader, Run, Ticking, make_model, record_of
from cluster import Cluster
from process import wait_until

SOON = "1s"  # each run is told of so often, also when nothing about it changes


@pytest.fixture
def cluster():
    with Cluster(with_redis=False) as running:
        yield running


@pytest.fixture
def model(cluster):
    path = cluster.directory / "ramp.safetensors"
    make_model(path, "random", 7)
    return path


def committed_offset(cluster, topic, partition, group="forestall-predict"):
    from confluent_kafka import TopicPartition
    consumer = cluster.consumer(group_id=group)
    try:
        return consumer.committed([TopicPartition(topic, partition)], 30)[0].offset
    finally:
        consumer.close()


def told_after(risks, time_us):
    return [risk["published_us"] for risk in risks if risk["published_us"] > time_us]


def test_kill9__while_executions_run__goes_on_and_tells_nothing_committed_again(cluster, model):
    predict = Predict(cluster, model=model, refresh=SOON).start()
    node = Node(cluster, "live-node")
    runs = [Run(f"live-{number}", 300 * MIB, (number % 4) * MIB // 4) for number in range(20)]
    risks = Reader(cluster, "risks")
    offsets, partition = {}, []

    def delivered(error, message):  # the offset of each tick
        assert error is None
        partition[:] = [message.partition()]
        offsets[CODEC.decode(message.value())[1]["sequence"]] = message.offset()

    node.on_delivery = delivered
    with Ticking(node, runs):
        for _ in range(3):
            begun = node.sequence
            wait_until(lambda: node.sequence > begun + 25, 30, "ticks")
            wait_until(lambda: committed_offset(cluster, "telemetry", *partition) > 0, 30, "an offset")
            killed_us = time.time_ns() // 1000
            predict.program.kill()
            safe = committed_offset(cluster, "telemetry", *partition)
            before = collections.Counter(identity(risk) for risk in risks.read()
                                         if offsets.get(risk["sequence"], safe) < safe)
            last = node.sequence
            predict.start(ready=False)
            first = risks.wait(lambda _: [min(told) for run in runs if (told := told_after(risks.of(run), killed_us))], 30,
                               "a risk after the kill")
            risks.wait(lambda _: all(told_after(risks.of(run), killed_us) for run in runs), 30, "a risk of every run")
            gap_s = max(min(told_after(risks.of(run), killed_us)) - killed_us for run in runs) / 1e6
            print(f"the first risk {(min(first) - killed_us) / 1e6:.2f} s after the kill, the last run's {gap_s:.2f} s")
            assert gap_s < 5
            risks.wait(lambda _: all(any(risk["sequence"] > last for risk in risks.of(run)) for run in runs), 30,
                       "risks of new ticks")
            counts = collections.Counter(identity(risk) for risk in risks.messages)
            assert before and all(counts[one] == count for one, count in before.items())
    predict.wait_ready()
    wait_until(lambda: predict.metric("muted_samples_total") > 0, 10, "the metrics")
    assert predict.program.stop() == 0, predict.program.log_tail()


def identity(risk):
    return risk["execution"], risk["attempt"], risk["epoch"], risk["sequence"]


def test_kill9__while_records_are_counted__each_counts_once(cluster, model):
    predict = Predict(cluster, model=model).start()
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    chance = random.Random(seed)
    node, producer, codes = Node(cluster), cluster.producer(linger_ms=5), Reader(cluster, "codes")
    count = 600
    for number in range(count):
        run = Run(f"code-{number % 5}", 50 * MIB)
        record = record_of(run, node, series=number % 20 == 0)
        producer.produce("executions.finished", CODEC.encode("ExecutionRecord", record), run.code.encode())
    assert producer.flush(30) == 0
    runs = lambda: {profile["code"]: profile["runs"] for profile in codes.read()}  # noqa: E731
    for share in (0.1, 0.4, 0.7):
        wait_until(lambda: sum(runs().values()) >= count * share, 60, lambda: f"records to be counted: {runs()}")
        time.sleep(chance.uniform(0, 0.05))  # where in its work it dies, not a wait for anything
        predict.program.kill()
        predict.start(ready=False)
    wait_until(lambda: sum(runs().values()) >= count, 60, lambda: f"all records to be counted: {runs()}")
    predict.wait_ready()
    assert set(runs().values()) == {count // 5}
    newest = collections.defaultdict(int)
    for profile in codes.messages:  # a profile never goes back
        assert profile["revision"] >= newest[profile["code"]]
        newest[profile["code"]] = profile["revision"]
    print(f"repeated after restarts: {predict.metric('records_repeated_total'):.0f}")
    assert predict.program.stop() == 0, predict.program.log_tail()


def test_restart__more_nodes_than_assumed__state_from_enough_ticks(cluster, model):
    settings = {"model": model, "partitions": 1, "rewind_nodes": 1, "rewind_ticks": 20}
    predict = Predict(cluster, **settings).start()
    nodes = [(Node(cluster, f"node-{number}"), [Run(f"code-{number}", 300 * MIB)]) for number in range(30)]
    risks = Reader(cluster, "risks")

    def tell(ticks):  # the nodes in turn: the last 20 records must not be 20 ticks of one of them
        for _ in range(ticks):
            for node, runs in nodes:
                node.tick(runs)
            for node, _ in nodes:
                node.flush()

    tell(100)
    wait_until(lambda: committed_offset(cluster, "telemetry", 0) == 3000, 60, "all ticks committed")
    predict.program.kill()
    before = len(risks.read())
    predict.start()
    tell(1)
    risks.wait(lambda messages: len(messages) >= before + 30, 30, "a risk of every node")
    assert len(risks.messages) == before + 30  # one each, of the new tick
    assert {risk["sequence"] for risk in risks.messages[before:]} == {101}
    wait_until(lambda: predict.metric("rewinds_total") >= 1, 10, "further passes")
    wait_until(lambda: predict.metric("muted_samples_total") >= 30 * 20, 10, "20 ticks of each node")
    assert predict.program.stop() == 0, predict.program.log_tail()


def test_members__second_joins_first_dies__every_run_is_told_of(cluster, model):
    first = Predict(cluster, "1", model=model, refresh=SOON).start()
    nodes = [(Node(cluster, f"node-{number}"), [Run(f"code-{number}", 300 * MIB)]) for number in range(12)]
    runs = [run for _, of_node in nodes for run in of_node]
    risks = Reader(cluster, "risks")

    def told_after(sequences):
        return lambda _: all(any(risk["sequence"] > sequence for risk in risks.of(run))
                             for run, sequence in zip(runs, sequences))

    ticking = [Ticking(node, of_node) for node, of_node in nodes]
    for one in ticking:
        one.__enter__()
    risks.wait(told_after([5] * 12), 60, "a risk of every run")
    second = Predict(cluster, "2", model=model, refresh=SOON).start()
    wait_until(lambda: first.metric("partitions") > 0 and second.metric("partitions") > 0, 60, "both to have partitions")
    risks.wait(told_after([node.sequence for node, _ in nodes]), 60, "risks after the rebalance")
    assert second.metric("samples_total") > 0
    first.program.kill()
    dead_at = time.monotonic()
    risks.wait(told_after([node.sequence for node, _ in nodes]), 60, "risks of the survivor")
    print(f"the survivor had taken over {time.monotonic() - dead_at:.1f} s after the kill")
    first.start()  # comes back under its name
    wait_until(lambda: first.metric("partitions") > 0, 60, "the first to have partitions again")
    risks.wait(told_after([node.sequence for node, _ in nodes]), 60, "risks after it came back")
    for one in ticking:
        one.__exit__()
    repeated = [one for one, count in collections.Counter(identity(risk) for risk in risks.messages).items() if count > 1]
    print(f"{len(risks.messages)} risks, {len(repeated)} told twice around the kill")
    assert first.program.stop() == 0 and second.program.stop() == 0


def test_broker__killed_and_back__goes_on(cluster, model):
    predict = Predict(cluster, model=model).start()
    node, runs = Node(cluster), [Run("patient", 300 * MIB)]
    risks = Reader(cluster, "risks")
    with Ticking(node, runs):
        risks.wait(lambda _: risks.of(runs[0]), 30, "a risk")
        cluster.broker.kill9()
        wait_until(lambda: predict.page("/readyz")[0] == 503, 30, "predict not to be ready")
        assert predict.page("/healthz")[0] == 200
        cluster.broker.start()
        cluster.wait_led()
        node.connect()
        risks.connect()
        last = node.sequence
        risks.wait(lambda _: any(risk["sequence"] > last for risk in risks.of(runs[0])), 60,
                   lambda: f"a risk after the outage, of a tick behind {last} of {node.sequence} ({len(node.producer)} not delivered); "
                           f"predict says:\n{predict.program.log_tail()}")
        predict.wait_ready()
    counts = collections.Counter(identity(risk) for risk in risks.read())
    assert max(counts.values()) == 1
    assert predict.program.stop() == 0, predict.program.log_tail()
