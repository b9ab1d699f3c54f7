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
from fakes import MIB, TOPICS, Queue, States, in_transaction, limits, request, submit, wait_group_empty  # noqa: E402
from process import wait_until  # noqa: E402


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
    """SIGSTOP while a transaction is open: the broker aborts it and ends the session, the process finds out and goes on."""
    queue = Queue(cluster, kafka={"producer.transaction.timeout.ms": 4000}, backoff="100ms").start()
    states, crew, admin, executions = States(cluster), Crew(cluster, ["pool-1"]), cluster.admin(), []

    def submit_one():
        one = request(pool="pool-1", limits=limits(memory_bytes=100 * MIB))
        executions.append(one["execution"])
        submit(cluster, one)

    def stopped_within():
        submit_one()
        queue.program.signal(signal.SIGSTOP)
        if all(in_transaction(admin) for _ in range(3)):  # what was on its way to the broker may still have ended it
            return True
        queue.program.signal(signal.SIGCONT)
        return False
    wait_until(stopped_within, 60, "it to be stopped within a transaction")
    print(f"stopped within a transaction after {len(executions)} requests")
    for _ in range(20):
        submit_one()
    wait_until(lambda: not in_transaction(admin), 30, "the broker to abort its transaction", 0.1)
    wait_group_empty(cluster)
    queue.program.signal(signal.SIGCONT)
    check_all(crew, states, executions, queue)
    crew.stop()
    states.close()
