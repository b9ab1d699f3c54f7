"""forestall-queue killed, fenced, without its broker, and moved between instances: exactly one end, no attempt twice."""
import pathlib
import random
import signal
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cluster import Cluster  # noqa: E402
from fakes import (MIB, TOPICS, FakeNode, Queue, States, judge, limits, new_id, request, submit, verdict_for)  # noqa: E402
from process import wait_until  # noqa: E402

# A killed member's partitions move when its session ends.
BROKER = {"group.min.session.timeout.ms": "1000"}


@pytest.fixture
def cluster():
    with Cluster(broker_settings=BROKER) as running:
        running.create_topics(TOPICS)
        yield running


class Crew:
    """Nodes that run what they get for a short while; some attempts fail and are judged as allocate would."""

    def __init__(self, cluster, pools, nodes_each=2, seed=1):
        self.cluster, self.chance, self.lock = cluster, random.Random(seed), threading.Lock()
        self.due, self.stopping = [], threading.Event()
        self.nodes = [FakeNode(cluster, f"{pool}-node-{number}", pool, memory_mib=2000)
                      for pool in pools for number in range(nodes_each)]
        for node in self.nodes:
            node.plays["code"] = self.begin
            node.start()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def begin(self, node, admission):
        with self.lock:
            fails = admission["attempt"] == 1 and self.chance.random() < 0.2
            self.due.append((time.monotonic() + self.chance.uniform(0, 0.5), node, admission, fails))

    def run(self):
        while not self.stopping.wait(0.02):
            with self.lock:
                now = [one for one in self.due if one[0] <= time.monotonic()]
                self.due = [one for one in self.due if one[0] > time.monotonic()]
            for _, node, admission, fails in now:
                if not fails:
                    node.finish(admission)
                    continue
                node.finish(admission, "OOM_KILLED", "MEMORY")
                judge(self.cluster, verdict_for(admission, memory_bytes=128 * MIB), times=2)

    def stop(self):
        self.stopping.set()
        self.thread.join(10)
        for node in self.nodes:
            node.stop()

    def check(self, executions):
        """No attempt ran twice, nowhere."""
        times = {}
        for node in self.nodes:
            for key, count in node.accepted.items():
                times[key] = times.get(key, 0) + count
        assert all(count == 1 for count in times.values()), {key: count for key, count in times.items() if count > 1}
        assert {key[0] for key in times} == set(executions)


def check_all(crew, states, executions):
    for execution in executions:
        states.done(execution, 60)
    states.check_one_end(executions)
    assert all(states.newest[execution]["outcome"] == "FINISHED" for execution in executions)
    crew.check(executions)


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
    for _ in range(3):
        several = [request(pool="pool-1", limits=limits(memory_bytes=100 * MIB)) for _ in range(10)]
        executions += [one["execution"] for one in several]
        submit(cluster, *several)
        cluster.broker.kill9()
        cluster.broker.start()
    if not queue.program.alive():  # it may give up and count on its supervisor
        queue.start(wait=False)
    check_all(crew, states, executions)
    crew.stop()
    states.close()
    if queue.program.alive():
        queue.stop()


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
    time.sleep(max(0, stopped + 12 - time.monotonic()))
    queue.program.signal(signal.SIGCONT)
    wait_until(lambda: queue.program.alive() or queue.start(wait=False), 5, "queue")
    try:
        check_all(crew, states, [one["execution"] for one in several])
    finally:
        crew.stop()
        states.close()
    if queue.program.alive():
        queue.stop()


def test_two_members__one_killed__the_other_takes_its_partitions(cluster):
    first, second = Queue(cluster, member="1").start(), Queue(cluster, member="2").start()
    states = States(cluster)
    pools = [f"pool-{number}" for number in range(6)]
    crew = Crew(cluster, pools, nodes_each=1)
    wait_until(lambda: (first.metric("partitions") or 0) + (second.metric("partitions") or 0) == 4, 60,
               "all partitions to be assigned")
    assert first.metric("partitions") == 2 and second.metric("partitions") == 2
    executions = []

    def batch():
        several = [request(pool=pool, limits=limits(memory_bytes=100 * MIB)) for pool in pools for _ in range(5)]
        executions.extend(one["execution"] for one in several)
        submit(cluster, *several)
    batch()
    second.kill()
    batch()
    wait_until(lambda: first.metric("partitions") == 4, 60, "the other's partitions to move", 0.1)
    check_all(crew, states, executions)
    second.start()
    batch()
    check_all(crew, states, executions)
    crew.stop()
    states.close()
    first.stop()
    second.stop()


def test_same_member_started_twice__the_older_is_fenced_and_ends_with_1(cluster):
    old, states = Queue(cluster).start(), States(cluster)
    crew = Crew(cluster, ["pool-1"])
    new = Queue(cluster).start(wait=False)
    one = request(pool="pool-1")
    submit(cluster, one)
    wait_until(lambda: not old.program.alive(), 60, "the older to end")
    assert old.program.returncode == 1
    assert "ended" in old.program.log_tail() or "not_" in old.program.log_tail()
    new.wait_ready()
    check_all(crew, states, [one["execution"]])
    crew.stop()
    states.close()
    new.stop()


def test_restart__running_offered_waiting_and_failed__all_go_on(cluster):
    queue, states = Queue(cluster, verdict_wait="30s").start(), States(cluster)
    node = FakeNode(cluster, "pool-1-node", "pool-1", memory_mib=350).start()
    running, failed, waiting = (request(pool="pool-1", limits=limits(memory_bytes=150 * MIB)) for _ in range(3))
    submit(cluster, running, failed)
    admission, failing = node.wait_for(running["execution"]), node.wait_for(failed["execution"])
    node.finish(failing, "OOM_KILLED", "MEMORY")
    states.wait(failed["execution"], lambda state: state["phase"] == "JUDGED")
    with node.lock:
        node.deaf = True
    offered = request(pool="pool-1", limits=limits(memory_bytes=150 * MIB))
    submit(cluster, offered)
    states.wait(offered["execution"], lambda state: state["phase"] == "PLACED")
    submit(cluster, waiting)
    states.wait(waiting["execution"], lambda state: state["phase"] == "WAITING")
    queue.kill()
    with node.lock:
        node.deaf = False
    queue.start()
    node.finish(node.wait_for(offered["execution"], 1))
    judge(cluster, verdict_for(failing, memory_bytes=160 * MIB))
    node.finish(node.wait_for(waiting["execution"], 1))
    node.finish(node.wait_for(failed["execution"], 2))
    node.finish(admission)
    for one in (running, failed, waiting, offered):
        assert states.done(one["execution"])["outcome"] == "FINISHED"
    assert all(count == 1 for count in node.accepted.values())
    states.check_one_end([one["execution"] for one in (running, failed, waiting, offered)])
    node.stop()
    states.close()
    queue.stop()


def test_more_than_it_takes__the_rest_stays_in_kafka_and_comes_later(cluster):
    queue, states = Queue(cluster, max_executions=20).start(), States(cluster)
    several = [request(pool="pool-1", limits=limits(memory_bytes=100 * MIB)) for _ in range(60)]
    submit(cluster, *several[:30])
    queue.wait_metric("requests_paused", 1)
    submit(cluster, *several[30:])
    assert queue.metric("waiting") == 30
    crew = Crew(cluster, ["pool-1"])
    check_all(crew, states, [one["execution"] for one in several])
    assert queue.metric("requests_paused") == 0
    crew.stop()
    states.close()
    queue.stop()


def test_start__broker_or_options_wrong__one_clear_line_and_status_1(cluster):
    program = cluster.start_program("queue-nowhere", [cluster.program("forestall-queue"), "--service.brokers=127.0.0.1:1"])
    assert program.wait(30) == 1 and "127.0.0.1:1" in program.log_tail()
    program = cluster.start_program("queue-wrong", [cluster.program("forestall-queue"), "--queue.lease=soon"])
    assert program.wait(30) == 1 and "queue.lease" in program.log_tail()
    cluster.admin()
    assert new_id() != new_id()
