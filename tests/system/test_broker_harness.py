"""The ground of the end-to-end tests itself: what was acknowledged survives kill -9, and nothing is left running."""
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from cluster import Cluster
from process import wait_until

TOPIC = "harness"
MESSAGES = 20_000


def produce(producer, first, count, acknowledged, errors):
    def delivered(error, message):
        if error:
            errors.append(str(error))
        else:
            acknowledged.add(int(message.value()))

    for number in range(first, first + count):
        while True:
            try:
                producer.produce(TOPIC, str(number).encode(), str(number).encode(), on_delivery=delivered)
                break
            except BufferError:  # the broker is away and the queue is full
                producer.poll(0.1)
        producer.poll(0)


def test_broker__kill9_while_producing__every_acknowledged_message_is_there_once(cluster):
    cluster.create_topics({TOPIC: 4})
    producer = cluster.producer(linger_ms=5)
    acknowledged, errors = set(), []

    produce(producer, 0, MESSAGES // 2, acknowledged, errors)
    wait_until(lambda: producer.poll(0.05) is not None and acknowledged, 30, "a first acknowledgement")
    cluster.broker.kill9()
    produce(producer, MESSAGES // 2, MESSAGES - MESSAGES // 2, acknowledged, errors)
    started = time.monotonic()
    cluster.broker.start()
    print(f"broker answered {time.monotonic() - started:.2f} s after its restart")
    assert producer.flush(90) == 0
    print(f"all acknowledged {time.monotonic() - started:.2f} s after the restart")

    values = [int(message.value()) for message in cluster.read_topic(TOPIC)]
    assert not errors
    assert acknowledged == set(range(MESSAGES))
    assert sorted(values) == list(range(MESSAGES)), "lost or duplicated"


def test_broker__stop_and_start__group_goes_on_where_it_committed(cluster):
    cluster.create_topics({TOPIC: 1})
    producer = cluster.producer()
    for number in range(10):
        producer.produce(TOPIC, str(number).encode())
    assert producer.flush(30) == 0
    consumer = cluster.consumer([TOPIC], group_id="harness-group")
    for _ in range(4):
        wait_until(lambda: consumer.poll(0.2), 30, "a message")
    consumer.commit(asynchronous=False)
    consumer.close()

    cluster.broker.stop()
    cluster.broker.start()

    consumer = cluster.consumer([TOPIC], group_id="harness-group")
    message = wait_until(lambda: consumer.poll(0.2), 30, "the message after the committed ones")
    assert message.value() == b"4"
    consumer.close()


def test_broker__transaction_aborted__readers_do_not_see_it(cluster):
    cluster.create_topics({TOPIC: 1})
    producer = cluster.producer(transactional_id="harness")
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(TOPIC, b"aborted")
    producer.flush(30)
    producer.abort_transaction(30)
    producer.begin_transaction()
    producer.produce(TOPIC, b"committed")
    producer.commit_transaction(30)

    assert [message.value() for message in cluster.read_topic(TOPIC)] == [b"committed"]


def test_broker__message_of_8_MiB__is_accepted(cluster):
    cluster.create_topics({TOPIC: 1})
    producer = cluster.producer(message_max_bytes=9 << 20)
    producer.produce(TOPIC, os.urandom(8 << 20))
    assert producer.flush(30) == 0
    message, = cluster.read_topic(TOPIC, 1)
    assert len(message.value()) == 8 << 20


def test_redis__kill9__persistent_keeps_and_volatile_forgets(tmp_path):
    import redis
    from redis_server import RedisServer

    for persistent, expected in ((True, b"value"), (False, None)):
        server = RedisServer(tmp_path / str(persistent), persistent).start()
        try:
            redis.Redis(port=server.port).set("key", "value")
            server.kill9()
            server.start()
            assert redis.Redis(port=server.port).get("key") == expected
        finally:
            server.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_cluster__test_process_killed__broker_and_redis_end(number):
    script = ("import sys, signal; from cluster import Cluster; c = Cluster().start(); "
              "print(c.directory, c.broker.child.pid, c.redis.child.pid, flush=True); signal.pause()")
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        directory, *pids = process.stdout.readline().split()
        process.send_signal(number)
        process.wait(10)
        wait_until(lambda: not any(running(pid) for pid in pids), 10, "the end of the broker and Redis")
    finally:
        process.kill()
    subprocess.run(["rm", "-rf", directory], check=True)


def running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_cluster__closed__nothing_is_left():
    with Cluster() as cluster:
        directory = cluster.directory
        pids = [cluster.broker.child.pid, cluster.redis.child.pid]
        assert all(running(pid) for pid in pids)
    assert not directory.exists()
    assert not any(running(pid) for pid in pids)
