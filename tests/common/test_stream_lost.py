"""common/stream where Kafka lost the end of a log, or a topic was made anew: what comes from then on is read, none of it is
passed over, and nothing that was committed since comes again."""
import pathlib
import struct

import pytest

from cluster import Cluster
from process import wait_until
from test_stream_groups import lines_of, produce, start_probe

FIRST, LOST, NEW = 40, 10, 5


@pytest.fixture
def cluster():
    with Cluster(with_redis=False) as running:
        running.create_topics({"in": 1})
        yield running


def produce_one_by_one(cluster, numbers):
    """A batch each, so that the log can be cut between any two."""
    producer = cluster.producer(linger_ms=0)
    for number in numbers:
        producer.produce("in", str(number).encode(), str(number).encode())
        assert producer.flush(60) == 0


def cut_log(cluster, batches):
    """What a power failure may do: the broker dies and the last batches of the partition never reached the disk."""
    cluster.broker.kill9()
    directory, = cluster.broker.data_directory.rglob("in-0")
    log, = directory.glob("*.log")
    data, starts, at = log.read_bytes(), [], 0
    while at + 12 <= len(data):
        _, size = struct.unpack_from(">qi", data, at)
        if size <= 0:
            break
        starts.append(at)
        at += 12 + size
    log.write_bytes(data[:starts[-batches]])
    for rest in [*directory.glob("*.index"), *directory.glob("*.timeindex"), *directory.glob("*.snapshot")]:
        pathlib.Path(rest).unlink()
    cluster.broker.start()
    cluster.wait_led()


def values(program, word, field):
    return [int(line[field]) for line in lines_of(program, word)]


def wait_values(program, word, field, wanted):
    wait_until(lambda: set(wanted) <= set(values(program, word, field)), 60,
               lambda: f"{sorted(set(wanted) - set(values(program, word, field)))}: {program.log_tail()}")


def committed(cluster):
    from confluent_kafka import TopicPartition
    consumer = cluster.consumer(group_id="group")
    try:
        return consumer.committed([TopicPartition("in", 0)], 30)[0].offset
    finally:
        consumer.close()


class Worker:
    """A member of the group, started again when it was fenced, as a supervisor would: a broker that dies may do that."""

    def __init__(self, cluster, name):
        self.cluster, self.name, self.programs = cluster, name, []
        self.start()

    def start(self):
        name = f"{self.name}-{len(self.programs)}"
        self.programs.append(start_probe(self.cluster, name, "work", "in", "group", "member"))

    def lines(self, word):
        if not self.programs[-1].alive():
            self.start()
        return [line for program in self.programs for line in lines_of(program, word)]

    def did(self):
        return [int(line[2]) for line in self.lines("did")]

    def wait(self, wanted):
        wait_until(lambda: set(wanted) <= set(self.did()), 60,
                   lambda: f"{sorted(set(wanted) - set(self.did()))}: {self.programs[-1].log_tail()}")

    def stop(self):
        assert self.programs[-1].stop() == 0, self.programs[-1].log_tail()


@pytest.mark.parametrize("running", [True, False])
def test_group__end_of_the_log_lost__new_messages_come_and_only_once(cluster, running):
    """Lost while the group reads, or while it does not; fewer new ones than were lost, so that offsets come twice."""
    worker = Worker(cluster, "first")
    produce_one_by_one(cluster, range(FIRST))
    worker.wait(range(FIRST))
    wait_until(lambda: committed(cluster) == FIRST, 30, "its offset")
    if not running:
        worker.stop()
    cut_log(cluster, LOST)
    new = range(1000, 1000 + NEW)
    produce_one_by_one(cluster, new)
    if not running:
        worker = Worker(cluster, "second")
    worker.wait(new)
    assert worker.lines("lost")
    worker.stop()
    later = Worker(cluster, "later")
    produce_one_by_one(cluster, [2000])
    later.wait([2000])
    assert later.did() == [2000] and not later.lines("lost")
    later.stop()


def test_without_group__topic_made_anew__all_of_it_comes(cluster):
    watcher = start_probe(cluster, "watcher", "watch", "in")
    wait_until(lambda: "ready" in pathlib.Path(watcher.log_path).read_text(), 30, "the watcher")
    produce(cluster, "in", range(FIRST))
    wait_values(watcher, "saw", 0, range(FIRST))
    admin = cluster.admin()
    admin.delete_topics(["in"])["in"].result(30)
    wait_until(lambda: "in" not in admin.list_topics(timeout=10).topics, 30, "the topic to go")
    cluster.create_topics({"in": 1})
    produce(cluster, "in", range(1000, 1000 + NEW))
    wait_values(watcher, "saw", 0, range(1000, 1000 + NEW))
    assert values(watcher, "saw", 0) == [*range(FIRST), *range(1000, 1000 + NEW)]
    assert watcher.stop() == 0, watcher.log_tail()
