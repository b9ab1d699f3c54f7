"""common/stream on a real broker: nothing lost and nothing doubled while workers and the broker are killed."""
import collections
import os
import pathlib
import random
import signal
import time

import pytest

from cluster import BIN_DIRECTORY
from process import wait_until

WORKER = pathlib.Path(os.environ.get("FORESTALL_TESTS") or BIN_DIRECTORY.parent / "tests") / "stream_worker"
FROM, TO, GROUP = "from", "to", "copiers"


def start_worker(cluster, member, name=None):
    return cluster.start_program(name or member, [WORKER, cluster.broker.bootstrap, FROM, TO, GROUP, member, member])


def log_of(worker):
    return pathlib.Path(worker.log_path).read_text()


def wait_for_log(worker, text, timeout_s=30):
    wait_until(lambda: text in log_of(worker), timeout_s, lambda: f"'{text}' from the worker: {worker.log_tail()}")


def produce(producer, first, count):
    for number in range(first, first + count):
        producer.produce(FROM, str(number).encode(), str(number).encode())
    assert producer.flush(60) == 0


def copied(cluster):
    return collections.Counter(int(message.value()) for message in cluster.read_topic(TO, timeout_s=60))


def wait_for_copies(cluster, count, timeout_s=90):
    wait_until(lambda: len(copied(cluster)) >= count, timeout_s, lambda: f"{count} copies, got {len(copied(cluster))}",
               0.5)


def test_topics_ensure__real_broker__created_as_asked(cluster):
    from confluent_kafka.admin import ConfigResource

    worker = start_worker(cluster, "worker-1")
    wait_for_log(worker, "assigned 4")
    admin = cluster.admin()
    topics = admin.list_topics(timeout=10).topics
    assert len(topics[FROM].partitions) == 4 and len(topics[TO].partitions) == 4
    resource = ConfigResource(ConfigResource.Type.TOPIC, "compacted")
    config = admin.describe_configs([resource])[resource].result(10)
    assert config["cleanup.policy"].value == "compact"
    assert worker.stop() == 0


def test_transactions__workers_and_broker_killed__each_message_copied_once(cluster):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    workers = {member: start_worker(cluster, member) for member in ("worker-1", "worker-2")}
    for worker in workers.values():
        wait_for_log(worker, "assigned")
    producer = cluster.producer(linger_ms=5)
    total = 0
    for round_number in range(5):
        count = chance.randrange(2_000, 4_000)
        produce(producer, total, count)
        total += count
        victim = chance.choice(sorted(workers))
        time.sleep(chance.uniform(0, 0.3))  # where in its work the victim dies, not a wait for anything
        workers[victim].kill()
        if round_number == 2:
            cluster.broker.kill9()
            cluster.broker.start()
            cluster.wait_led()
            producer = cluster.producer(linger_ms=5)
        workers[victim] = start_worker(cluster, victim, f"{victim}-{round_number}")
    wait_for_copies(cluster, total)
    copies = copied(cluster)
    assert set(copies) == set(range(total)), "lost"
    assert not [number for number, times in copies.items() if times > 1], "doubled"
    for worker in workers.values():
        assert worker.alive(), worker.log_tail()
        assert worker.stop() == 0, worker.log_tail()


def test_transactions__successor_with_the_same_id__old_worker_ends_and_copies_nothing_twice(cluster):
    old = start_worker(cluster, "worker-1")
    wait_for_log(old, "assigned 4")
    producer = cluster.producer()
    produce(producer, 0, 1000)
    wait_for_copies(cluster, 1000)

    old.signal(signal.SIGSTOP)  # as a machine that hangs: it still believes to own everything
    produce(producer, 1000, 1000)
    successor = start_worker(cluster, "worker-1", "successor")
    wait_for_log(successor, "assigned 4")
    wait_for_copies(cluster, 2000)
    old.signal(signal.SIGCONT)
    assert old.wait(30) == 3, old.log_tail()

    produce(producer, 2000, 1000)
    wait_for_copies(cluster, 3000)
    copies = copied(cluster)
    assert set(copies) == set(range(3000)) and max(copies.values()) == 1
    assert successor.stop() == 0


@pytest.mark.parametrize("pause_s", [3])
def test_transactions__broker_hangs__worker_goes_on(cluster, pause_s):
    worker = start_worker(cluster, "worker-1")
    wait_for_log(worker, "assigned 4")
    producer = cluster.producer()
    produce(producer, 0, 500)
    cluster.broker.pause()
    time.sleep(pause_s)  # the length of the hang is the case
    cluster.broker.resume()
    cluster.wait_led()
    produce(cluster.producer(), 500, 500)
    wait_for_copies(cluster, 1000)
    assert max(copied(cluster).values()) == 1
    assert worker.stop() == 0, worker.log_tail()
