"""forestall-queue restarted, moved between instances, fenced, and given more than it takes."""
import pathlib
import signal
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cluster import Cluster  # noqa: E402
from crew import BROKER, Crew, check_all  # noqa: E402
from fakes import MIB, TOPICS, FakeNode, Queue, States, judge, limits, request, submit, verdict_for, wait_group_empty  # noqa: E402
from process import wait_until  # noqa: E402


@pytest.fixture
def cluster():
    with Cluster(broker_settings=BROKER) as running:
        running.create_topics(TOPICS)
        yield running


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


def test_more_than_it_takes__read_anew_where_nodes_talk_all_the_time__goes_on(cluster):
    """As with a hundred nodes: there is never a moment without a message. It is stopped, while requests are left in Kafka,
    until its group is without it: all that it holds is read anew."""
    queue, states = Queue(cluster, max_executions=20).start(), States(cluster)
    several = [request(pool="pool-1", limits=limits(memory_bytes=100 * MIB)) for _ in range(60)]
    submit(cluster, *several[:30])
    queue.wait_metric("requests_paused", 1)
    submit(cluster, *several[30:])
    node, done = FakeNode(cluster, "elsewhere-node", "elsewhere"), threading.Event()

    def talk():
        while not done.wait(0.01):
            node.send_status()
    talking = threading.Thread(target=talk, daemon=True)
    talking.start()
    queue.program.signal(signal.SIGSTOP)
    wait_group_empty(cluster)
    queue.program.signal(signal.SIGCONT)
    wait_until(lambda: queue.log().count("event=requests_paused") >= 2, 30, "requests to be left in Kafka again")
    crew = Crew(cluster, ["pool-1"])
    check_all(crew, states, [one["execution"] for one in several])
    done.set()
    talking.join(30)
    crew.stop()
    states.close()
    queue.stop()


def test_start__broker_or_options_wrong__one_clear_line_and_status_1(cluster):
    program = cluster.start_program("queue-nowhere", [cluster.program("forestall-queue"), "--service.brokers=127.0.0.1:1"])
    assert program.wait(30) == 1 and "127.0.0.1:1" in program.log_tail()
    program = cluster.start_program("queue-wrong", [cluster.program("forestall-queue"), "--queue.lease=soon"])
    assert program.wait(30) == 1 and "queue.lease" in program.log_tail()
