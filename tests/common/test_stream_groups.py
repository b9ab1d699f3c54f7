"""common/stream on a real broker, without transactions: groups, restoring, creating topics, broken brokers."""
import collections
import concurrent.futures
import os
import pathlib
import random
import re
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster  # noqa: E402
from process import free_ports, wait_until  # noqa: E402

PROBE = pathlib.Path(os.environ["FORESTALL_TESTS"]) / "stream_probe"


@pytest.fixture
def cluster():
    with Cluster(with_redis=False) as running:
        yield running


def start_probe(cluster, name, *arguments, env=None):
    mode, *rest = arguments
    return cluster.start_program(name, [PROBE, mode, cluster.broker.bootstrap, *rest], env=env)


def run_probe(bootstrap, mode, *arguments, timeout_s=60):
    return subprocess.run([PROBE, mode, bootstrap, *map(str, arguments)], capture_output=True, text=True, timeout=timeout_s)


def lines_of(program, word):
    """Whole lines that begin with this word; a line cut off by a kill is not one."""
    text = pathlib.Path(program.log_path).read_text()
    return [line.split()[1:] for line in text.split("\n")[:-1] if line.startswith(word + " ")]


def produce(cluster, topic, numbers, partition=None):
    producer = cluster.producer(linger_ms=5)
    for number in numbers:
        where = {} if partition is None else {"partition": partition}
        producer.produce(topic, str(number).encode(), str(number).encode(), **where)
    assert producer.flush(60) == 0


def goes_on_where_committed(worker):
    """A member begins each partition at the offset committed by whoever had it before; the highest such offset."""
    begins, highest = {}, 0
    for line in pathlib.Path(worker.log_path).read_text().split("\n")[:-1]:
        word, *fields = line.split()
        if word == "assigned":
            begins[fields[0]] = int(fields[2])
        elif word == "did" and begins.get(fields[0], -1) >= 0:
            committed = begins.pop(fields[0])
            assert int(fields[1]) == committed, line
            highest = max(highest, committed)
    return highest


def test_group__members_killed_and_shaken__nothing_lost_and_order_kept(cluster):
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    chance = random.Random(seed)
    cluster.create_topics({"in": 4})
    generation = {"member-1": 0, "member-2": 0}
    everyone = []

    def start(member):
        generation[member] += 1
        everyone.append(start_probe(cluster, f"{member}-{generation[member]}", "work", "in", "workers", member,
                                    str(chance.randrange(1 << 31))))
        return everyone[-1]

    running = {member: start(member) for member in generation}
    total = 0
    for _ in range(6):
        count = chance.randrange(1500, 3000)
        produce(cluster, "in", range(total, total + count))
        total += count
        victim = chance.choice(sorted(running))
        time.sleep(chance.uniform(0, 0.4))  # where in its work the victim dies, not a wait for anything
        running[victim].kill()
        running[victim] = start(victim)

    def effects():
        return collections.Counter(int(fields[2]) for worker in everyone for fields in lines_of(worker, "did"))

    wait_until(lambda: len(effects()) == total, 90, lambda: f"{total} effects, got {len(effects())}", 0.3)
    print(f"{total} messages, {sum(effects().values()) - total} repeated by 6 kills")
    went_on = [goes_on_where_committed(worker) for worker in everyone]
    assert max(went_on) > 0, went_on  # else every kill would repeat everything
    for worker in running.values():  # a wrong order ends the probe
        assert worker.stop() == 0, worker.log_tail()


def test_group__clean_restart__no_message_twice(cluster):
    cluster.create_topics({"in": 4})
    produce(cluster, "in", range(2000))
    first = start_probe(cluster, "first", "work", "in", "workers", "member-1")
    wait_until(lambda: len(lines_of(first, "did")) > 100, 30, "the first effects")
    assert first.stop() == 0, first.log_tail()
    second = start_probe(cluster, "second", "work", "in", "workers", "member-1")
    done = lambda: [int(fields[2]) for worker in (first, second) for fields in lines_of(worker, "did")]  # noqa: E731
    wait_until(lambda: len(done()) >= 2000, 30, lambda: f"2000 effects, got {len(done())}")
    produce(cluster, "in", range(2000, 2010))  # anything repeated would come before these
    wait_until(lambda: len(set(done())) == 2010, 30, "the last effects")
    assert sorted(done()) == list(range(2010))
    assert second.stop() == 0, second.log_tail()


def test_restore__aborted_and_open_transactions__committed_records_only(cluster):
    cluster.create_topics({"state": 2}, {"cleanup.policy": "compact"})
    producer = cluster.producer(transactional_id="writer", transaction_timeout_ms=60000)
    producer.init_transactions(30)
    for name, commit in (("a", True), ("b", False), ("c", True), ("d", False)):
        producer.begin_transaction()
        for number in range(3):
            producer.produce("state", f"{name}{number}".encode(), f"{name}{number}".encode(), partition=1)
        producer.flush(30)
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)
    result = run_probe(cluster.broker.bootstrap, "restore", "state", 1)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == " ".join(f"value {n}{i}" for n in "ac" for i in range(3)).split()
    producer.begin_transaction()  # and one that is still open
    producer.produce("state", b"e", b"e", partition=1)
    producer.flush(30)
    result = run_probe(cluster.broker.bootstrap, "restore", "state", 1)
    assert result.returncode == 0 and "value e" not in result.stdout and "value c2" in result.stdout
    assert run_probe(cluster.broker.bootstrap, "restore", "state", 0).stdout == ""
    assert run_probe(cluster.broker.bootstrap, "restore", "none", 0).returncode == 1


def test_topics_ensure__five_services_at_once__each_topic_once_as_designed(cluster):
    probes = [start_probe(cluster, f"ensure-{number}", "ensure") for number in range(5)]
    for probe in probes:
        assert probe.wait(60) == 0, probe.log_tail()
    from confluent_kafka.admin import ConfigResource
    admin = cluster.admin()
    topics = admin.list_topics(timeout=10).topics
    counts = {name: len(topic.partitions) for name, topic in topics.items() if not name.startswith("__")}
    assert len(counts) == 17
    assert counts["telemetry"] == 8 and counts["models"] == 1 and counts["executions.state"] == counts["verdicts"]
    wanted = {"allocations": ("cleanup.policy", "compact"), "executions.dlq": ("retention.ms", str(90 * 86400 * 1000))}
    for name, (key, value) in wanted.items():
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        assert admin.describe_configs([resource])[resource].result(10)[key].value == value


def test_watch__broker_killed_and_back__connection_shown_and_nothing_missed(cluster):
    cluster.create_topics({"in": 4})
    watcher = start_probe(cluster, "watcher", "watch", "in")
    wait_until(lambda: "ready" in pathlib.Path(watcher.log_path).read_text(), 30, "the watcher")
    produce(cluster, "in", range(100))
    cluster.broker.kill9()
    wait_until(lambda: ["0"] in lines_of(watcher, "connected"), 30, "the watcher to notice")
    cluster.broker.start()
    wait_until(lambda: ["1"] in lines_of(watcher, "connected"), 30, "the watcher to be connected again")
    produce(cluster, "in", range(100, 200))
    wait_until(lambda: len(lines_of(watcher, "saw")) >= 200, 30, "200 messages")
    assert sorted(int(fields[0]) for fields in lines_of(watcher, "saw")) == list(range(200))
    assert watcher.stop() == 0, watcher.log_tail()


def test_watch__restart_after_outage_asked_for__fails_once_the_broker_is_back(cluster):
    cluster.create_topics({"in": 2})
    watcher = start_probe(cluster, "watcher", "watch", "in", env={"RESTART_AFTER_OUTAGE": "yes"})
    wait_until(lambda: "ready" in pathlib.Path(watcher.log_path).read_text(), 30, "the watcher")
    cluster.broker.kill9()
    wait_until(lambda: ["0"] in lines_of(watcher, "connected"), 30, "the watcher to notice")
    wait_until(lambda away_at=time.monotonic(): time.monotonic() > away_at + 2.5, 10, "an outage that counts")
    assert watcher.alive()
    cluster.broker.start()
    assert watcher.wait(30) == 3
    assert "start anew (service.restart_after_outage)" in watcher.log_tail()


def test_open__dead_hanging_or_wrong_address__clear_error_in_time(cluster):
    dead, = free_ports(1)
    addresses = [f"127.0.0.1:{dead}", "no-such-host.invalid:9092", cluster.broker.bootstrap]
    cluster.broker.pause()
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda address: run_probe(address, "ensure"), addresses))
    cluster.broker.resume()
    assert time.monotonic() - started < 20
    for address, result in zip(addresses, results):
        assert result.returncode == 1 and "cannot reach Kafka" in result.stderr, result.stderr
        assert address in result.stderr and "service.brokers" in result.stderr
