"""forestall-queue on a real broker: nodes that are cut off, come back, come twice, and placements that arrive late."""
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cluster import Cluster  # noqa: E402
from fakes import MIB, TOPICS, Queue, finishes, limits, now_us, request, submit  # noqa: E402
from process import wait_until  # noqa: E402

LEASE_S, MARGIN_S, TAKEOVER_S = 4, 1, 3


@pytest.fixture(scope="module")
def cluster():
    with Cluster(with_redis=False) as running:
        running.create_topics(TOPICS)
        yield running


@pytest.fixture(scope="module")
def queue(cluster):
    running = Queue(cluster, lease=f"{LEASE_S}s", lease_margin=f"{MARGIN_S}s", takeover=f"{TAKEOVER_S}s", settle="1s",
                    offer_ttl="2s", resend="500ms", backoff="100ms").start()
    yield running
    running.stop()


def run_on(cluster, node, pool, **fields):
    one = request(pool=pool, **fields)
    submit(cluster, one)
    return one, node.wait_for(one["execution"])


def cut(node):
    with node.lock:
        node.connected = False


def reconnect(node):
    with node.lock:
        node.connected = True


def test_cut_off__longer_than_the_lease__tried_again_elsewhere_and_the_stray_is_ended(cluster, queue, states, nodes, pool):
    first = nodes("a")
    one, _ = run_on(cluster, first, pool)
    cut(first)
    began = time.monotonic()
    second = nodes("b")
    admission = second.wait_for(one["execution"], 2)
    assert time.monotonic() - began >= LEASE_S + MARGIN_S - 1.5  # its last status may be that old
    reconnect(first)  # this agent ends nothing by itself
    wait_until(lambda: (one["execution"], 1) in first.cancelled, 30, "the stray to be ended")
    second.finish(admission)
    state = states.done(one["execution"])
    assert state["outcome"] == "FINISHED" and state["attempt"] == 2 and state["node"] == second.name
    assert sum(first.accepted.values()) == 1 and sum(second.accepted.values()) == 1
    states.check_one_end([one["execution"]])


def test_cut_off__shorter__nothing_happens(cluster, queue, states, nodes, pool):
    node = nodes("a")
    one, admission = run_on(cluster, node, pool)
    lost = queue.metric("lost_total")
    cut(node)
    node.wait_periods(LEASE_S / 2)
    node.finish(admission)  # while cut off: told later
    reconnect(node)
    assert states.done(one["execution"])["attempt"] == 1
    assert queue.metric("lost_total") == lost


def test_queue_paused_longer_than_the_lease__nodes_are_not_lost(cluster, queue, states, nodes, pool):
    import signal
    node = nodes("a")
    one, admission = run_on(cluster, node, pool)
    lost = queue.metric("lost_total")
    queue.program.signal(signal.SIGSTOP)
    node.wait_periods(LEASE_S + MARGIN_S + 1)
    queue.program.signal(signal.SIGCONT)
    two, other = run_on(cluster, node, pool)
    assert queue.metric("lost_total") == lost
    node.finish(admission)
    node.finish(other)
    assert states.done(one["execution"])["attempt"] == 1
    assert states.done(two["execution"])["attempt"] == 1


def test_reboot__same_agent_other_boot__given_up_at_once(cluster, queue, states, nodes, pool):
    node = nodes("a")
    one, _ = run_on(cluster, node, pool)
    began = time.monotonic()
    with node.lock:
        node.boot_id, node.epoch = "boot-2", 2
        node.running.clear()
    node.finish(node.wait_for(one["execution"], 2))
    assert time.monotonic() - began < LEASE_S  # without waiting for the lease
    assert states.done(one["execution"])["attempt"] == 2


def test_installed_anew__other_incarnation__given_up_once_the_first_is_silent(cluster, queue, states, nodes, pool):
    first = nodes("a")
    one, _ = run_on(cluster, first, pool)
    first.stop()
    second = nodes("a")  # the same node id, an incarnation of its own
    admission = second.wait_for(one["execution"], 2)
    assert admission["incarnation"] == second.incarnation
    second.finish(admission)
    assert states.done(one["execution"])["outcome"] == "FINISHED"


def test_two_agents_with_one_node_id__only_the_first_gets_work(cluster, queue, states, nodes, pool):
    first = nodes("a")
    first.plays["code"] = finishes
    one, admission = run_on(cluster, first, pool, code="long")
    second = nodes("a")
    lost, stale = queue.metric("lost_total"), queue.metric("events_stale_total")
    queue.wait_metric("nodes", 2)
    several = [request(pool=pool) for _ in range(20)]
    deadline = time.monotonic() + TAKEOVER_S + 2
    while time.monotonic() < deadline or several:
        if several:
            this = several.pop()
            submit(cluster, this)
            assert states.done(this["execution"])["attempt"] == 1
    assert sum(second.accepted.values()) == 0
    with second.lock:  # it got the offers, refused them, and that refused nothing
        assert second.admissions and all(answer[1] == "refused" for answer in second.answers.values())
    assert queue.metric("events_stale_total") > stale
    assert queue.metric("lost_total") == lost
    first.finish(admission)
    assert states.done(one["execution"])["attempt"] == 1


def test_placement_late__expired_at_the_node__offered_again_and_run_once(cluster, queue, states, nodes, pool):
    node = nodes("a")
    one, admission = run_on(cluster, node, pool)
    node.finish(admission)
    with node.lock:
        node.deaf = True
    late = request(pool=pool)
    submit(cluster, late)
    states.wait(late["execution"], lambda state: state["phase"] == "PLACED")
    offer, = [one for _, one in cluster.read_messages("executions.admitted")
              if one["request"]["execution"] == late["execution"] and one["placement"] == 1][:1]
    wait_until(lambda: now_us() > offer["expires_us"], 30, "the offer to expire")
    with node.lock:
        node.deaf = False
    admission = node.wait_for(late["execution"])
    assert admission["placement"] >= 2 and admission["attempt"] == 1
    with node.lock:  # the first number reached it late, and was refused
        assert any(one["placement"] == 1 for one in node.admissions if one["request"]["execution"] == late["execution"])
    node.finish(admission)
    states.done(late["execution"])
    assert node.accepted[(late["execution"], 1)] == 1


def test_placement_lost_on_the_way__sent_again_under_its_number(cluster, queue, states, nodes, pool):
    node = nodes("a")
    one, admission = run_on(cluster, node, pool)
    node.finish(admission)
    with node.lock:
        node.deaf = True
    lost = request(pool=pool)
    submit(cluster, lost)
    states.wait(lost["execution"], lambda state: state["phase"] == "PLACED")
    with node.lock:
        node.deaf = False
    admission = node.wait_for(lost["execution"])
    assert admission["placement"] == 1
    node.finish(admission)
    states.done(lost["execution"])


def test_room__never_more_than_fits_beside_the_reserve(cluster, queue, states, nodes, pool):
    node = nodes("a", memory_mib=1000)
    node.plays["code"] = lambda where, admission: None
    several = [request(pool=pool, limits=limits(memory_bytes=200 * MIB)) for _ in range(8)]
    submit(cluster, *several)
    done = 0
    while done < len(several):
        wait_until(lambda: len(node.running) >= min(4, len(several) - done), 30, "as many as fit")
        with node.lock:
            assert len(node.running) <= 4
            admission = next(iter(node.running.values()))
        node.finish(admission)
        done += 1
    for one in several:
        states.done(one["execution"])
    with node.lock:
        assert all(answer[1] == "ran" for answer in node.answers.values())  # it never had to refuse
