"""forestall-queue killed, stopped and without its broker: exactly one end each, no attempt twice."""
import pathlib
import random
import signal
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cluster import Cluster  # noqa: E402
from crew import BROKER, Crew, check_all  # noqa: E402
from fakes import MIB, TOPICS, Queue, States, limits, request, submit  # noqa: E402


@pytest.fixture
def cluster():
    with Cluster(broker_settings=BROKER) as running:
        running.create_topics(TOPICS)
        yield running


def test_killed_in_a_loop__200_executions__one_end_each_and_every_attempt_accepted_once(cluster):
    queue, states = Queue(cluster, backoff="100ms").start(), States(cluster)
    crew = Crew(cluster, ["pool-1", "pool-2"])
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    chance = random.Random(seed)
    executions = []
    kills = 0
    for _ in range(10):
        several = [request(pool=chance.choice(["pool-1", "pool-2"]), limits=limits(memory_bytes=100 * MIB))
                   for _ in range(20)]
        executions += [one["execution"] for one in several]
        submit(cluster, *several)
        time.sleep(chance.uniform(0, 0.6))  # where in its work it is hit
        queue.kill()
        kills += 1
        queue.start(wait=False)
    queue.wait_ready()
    check_all(crew, states, executions)
    print(f"{len(executions)} executions, {kills} kills, retried {sum(len([1 for key in node.accepted if key[1] > 1]) for node in crew.nodes)}")
    crew.stop()
    states.close()
    queue.stop()


def test_broker_killed_and_back__everything_goes_on(cluster):
    queue, states = Queue(cluster, backoff="100ms").start(), States(cluster)
    crew = Crew(cluster, ["pool-1"])
    executions = []
    for _ in range(2):
        several = [request(pool="pool-1", limits=limits(memory_bytes=100 * MIB)) for _ in range(10)]
        executions += [one["execution"] for one in several]
        submit(cluster, *several)
        cluster.broker.kill9()
        cluster.broker.start()
    check_all(crew, states, executions, queue)
    crew.stop()
    states.close()


def test_stopped_past_its_transaction__aborted_work_is_done_again(cluster):
    """SIGSTOP longer than transaction.timeout.ms: the broker aborts what is open, the process finds out and goes on."""
    queue, states = Queue(cluster, backoff="100ms").start(), States(cluster)
    crew = Crew(cluster, ["pool-1"])
    several = [request(pool="pool-1", limits=limits(memory_bytes=100 * MIB)) for _ in range(40)]
    stopped = 0
    for number, one in enumerate(several):
        submit(cluster, one)
        if number == 20:
            queue.program.signal(signal.SIGSTOP)
            stopped = time.monotonic()
    time.sleep(max(0, stopped + 12 - time.monotonic()))  # how long it is stopped: past transaction.timeout.ms
    queue.program.signal(signal.SIGCONT)
    check_all(crew, states, [one["execution"] for one in several], queue)
    crew.stop()
    states.close()
