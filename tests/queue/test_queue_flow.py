"""forestall-queue on a real broker and a real Redis: the course of single executions, seen from outside."""
import json
import pathlib
import sys
import time
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cluster import Cluster  # noqa: E402
from fakes import (MIB, TOPICS, Queue, cancel, finishes, judge, limits, new_id, request, submit,  # noqa: E402
                   verdict_for)
from messages import MessageCodec  # noqa: E402
from process import wait_until  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as running:
        running.create_topics(TOPICS)
        yield running


@pytest.fixture(scope="module")
def queue(cluster):
    running = Queue(cluster, verdict_wait="2s", backoff="100ms", offer_ttl="3s").start()
    yield running
    running.stop()


def test_run__one_node__admitted_run_and_finished(cluster, queue, states, nodes, pool):
    node = nodes("a")
    node.plays["code"] = finishes
    one = request(pool=pool, argv=["/bin/echo", "hello"], env=["A=1"], hints={"input_bytes": "7"})
    submit(cluster, one)
    state = states.done(one["execution"])
    assert state["outcome"] == "FINISHED" and state["exit_status"] == 0 and state["attempt"] == 1
    assert state["node"] == node.name and state["memory_peak_bytes"] == 10 * MIB and state["first_started_us"] > 0
    assert node.admissions[0]["request"] == one
    assert node.admissions[0]["limits"]["memory_bytes"] == 64 * MIB
    states.check_one_end([one["execution"]])


def test_latency__idle_queue__admitted_within_a_few_commits(cluster, queue, states, nodes, pool):
    node = nodes("a")
    warm_up = request(pool=pool)
    submit(cluster, warm_up)
    node.wait_for(warm_up["execution"])
    took = []
    for _ in range(10):
        one = request(pool=pool)
        began = time.monotonic()
        submit(cluster, one)
        admission = node.wait_for(one["execution"])
        took.append(time.monotonic() - began)
        node.finish(admission)
        states.done(one["execution"])
    print(f"request to admission at the node: median {sorted(took)[5] * 1000:.0f} ms, most {max(took) * 1000:.0f} ms")
    assert sorted(took)[5] < 1.0


def test_refused__no_room_on_the_one__run_on_the_other(cluster, queue, states, nodes, pool):
    first = nodes("a", memory_mib=2000)
    queue_node_known = request(pool=pool)
    submit(cluster, queue_node_known)
    first.finish(first.wait_for(queue_node_known["execution"]))
    with first.lock:  # something that queue knows nothing of takes the room; its next status will tell
        first.running[new_id()] = {"request": request(), "attempt": 1, "placement": 1,
                                   "limits": limits(memory_bytes=1900 * MIB)}
        one = request(pool=pool)
        submit(cluster, one)
    second = nodes("b", memory_mib=500)
    second.plays["code"] = finishes
    assert states.done(one["execution"])["node"] == second.name


def test_failed__verdict_with_more__second_attempt_with_it(cluster, queue, states, nodes, pool):
    node = nodes("a")
    one = request(pool=pool)
    submit(cluster, one)
    first = node.wait_for(one["execution"])
    node.finish(first, "OOM_KILLED", "MEMORY")
    states.wait(one["execution"], lambda state: state["phase"] == "JUDGED")
    judge(cluster, verdict_for(first, memory_bytes=128 * MIB), times=2)
    second = node.wait_for(one["execution"], 2)
    assert second["limits"]["memory_bytes"] == 128 * MIB and second["raised"] == ["MEMORY"]
    assert second["placement"] > first["placement"] and second["allocation_revision"] == 5
    node.finish(second)
    state = states.done(one["execution"])
    assert state["outcome"] == "FINISHED" and state["attempt"] == 2


def test_failed__verdict_first__event_later(cluster, queue, states, nodes, pool):
    node = nodes("a")
    one = request(pool=pool)
    submit(cluster, one)
    first = node.wait_for(one["execution"])
    judge(cluster, verdict_for(first, memory_bytes=128 * MIB))
    states.wait(one["execution"], lambda state: state["verdict"] is not None)
    node.finish(first, "OOM_KILLED", "MEMORY")
    second = node.wait_for(one["execution"], 2)
    assert second["limits"]["memory_bytes"] == 128 * MIB
    node.finish(second)
    states.done(one["execution"])


def test_failed__no_verdict__again_with_half_as_much_more(cluster, queue, states, nodes, pool):
    node = nodes("a")
    one = request(pool=pool)
    submit(cluster, one)
    first = node.wait_for(one["execution"])
    node.finish(first, "OOM_KILLED", "MEMORY")
    second = node.wait_for(one["execution"], 2)
    assert second["limits"]["memory_bytes"] == 96 * MIB
    judge(cluster, verdict_for(first, memory_bytes=500 * MIB))  # too late: nothing changes
    node.finish(second)
    assert states.done(one["execution"])["attempt"] == 2


def test_failed__dead_lettered_without_retry__ended(cluster, queue, states, nodes, pool):
    node = nodes("a")
    one = request(pool=pool)
    submit(cluster, one)
    first = node.wait_for(one["execution"])
    node.finish(first, "OOM_KILLED", "MEMORY")
    judge(cluster, verdict_for(first, retry=False, dead_lettered=True))
    state = states.done(one["execution"])
    assert state["outcome"] == "OOM_KILLED" and state["dead_lettered"] and state["cause"] == "MEMORY"
    assert state["reason"] == "as the test says"


def test_failed__by_its_own_bug__not_again(cluster, queue, states, nodes, pool):
    node = nodes("a")
    node.plays["code"] = lambda where, admission: where.finish(admission, "CRASHED", "OTHER", exit_status=3, reason="exit 3")
    one = request(pool=pool)
    submit(cluster, one)
    state = states.done(one["execution"], 5)  # no verdict is waited for
    assert (state["outcome"], state["exit_status"], state["attempt"]) == ("CRASHED", 3, 1)


def test_cancel__waiting_running_and_offered(cluster, queue, states, nodes, pool):
    waiting = request(pool=pool)
    submit(cluster, waiting)
    states.wait(waiting["execution"], lambda state: state["phase"] == "WAITING")
    cancel(cluster, waiting["execution"], pool)
    assert states.done(waiting["execution"])["outcome"] == "KILLED"
    node = nodes("a")
    running = request(pool=pool)
    submit(cluster, running)
    node.wait_for(running["execution"])
    cancel(cluster, running["execution"], pool)
    assert states.done(running["execution"])["outcome"] == "KILLED"
    assert node.cancelled == [(running["execution"], 1)]
    with node.lock:
        node.deaf = True  # the offer does not reach it
    offered = request(pool=pool)
    submit(cluster, offered)
    states.wait(offered["execution"], lambda state: state["phase"] == "PLACED")
    cancel(cluster, offered["execution"], pool)
    states.wait(offered["execution"], lambda state: state["cancel_asked"])
    with node.lock:
        node.deaf = False
    assert states.done(offered["execution"])["outcome"] == "KILLED"
    assert node.accepted[(offered["execution"], 1)] == 0


def test_duplicate__same_id_before_and_after_the_end__run_once(cluster, queue, states, nodes, pool):
    node = nodes("a")
    one = request(pool=pool)
    submit(cluster, one, one)
    admission = node.wait_for(one["execution"])
    submit(cluster, one)
    node.finish(admission)
    states.done(one["execution"])
    before = queue.metric("requests_duplicate_total")
    submit(cluster, one)
    queue.wait_metric("requests_duplicate_total", before + 1)
    assert node.accepted == {(one["execution"], 1): 1}
    states.check_one_end([one["execution"]])


def test_wrong_partition__passed_on_and_run_once(cluster, queue, states, nodes, pool):
    node = nodes("a")
    node.plays["code"] = finishes
    right = request(pool=pool)
    submit(cluster, right)
    states.done(right["execution"])
    home = states.partitions[right["execution"]]
    wrong = [request(pool=pool) for _ in range(3)]
    for number, one in enumerate(wrong):
        submit(cluster, one, partition=(home + 1 + number) % 4)
    for one in wrong:
        assert states.done(one["execution"])["outcome"] == "FINISHED"
        assert states.partitions[one["execution"]] == home
        assert node.accepted[(one["execution"], 1)] == 1
    states.check_one_end([one["execution"] for one in wrong])


def test_invalid__ended_with_the_reason_and_quarantined(cluster, queue, states, pool):
    one = request(pool=pool, code="no spaces allowed")
    submit(cluster, one)
    state = states.done(one["execution"])
    assert state["outcome"] == "NONE" and state["cause"] == "OTHER" and "code is not" in state["reason"]
    producer = cluster.producer()
    producer.produce("executions.requested", b"not avro at all", pool.encode())
    producer.flush(30)

    def found():
        messages = cluster.read_topic("quarantine")
        headers = [dict(message.headers()) for message in messages]
        reasons = [header["reason"] for header in headers if header["topic"] == b"executions.requested"]
        return any(b"code is not" in reason for reason in reasons) and \
            any(message.value() == b"not avro at all" for message in messages)
    wait_until(found, 30, "both in quarantine", 0.3)


def test_unknown_schema__published_later__read_then(cluster, queue, states, nodes, pool, tmp_path):
    node = nodes("a")
    node.plays["code"] = finishes
    text = (pathlib.Path(__file__).resolve().parents[2] / "schemas" / "execution_request.avsc").read_text()
    schema = json.loads(text)
    field = "tomorrow_" + uuid.uuid4().hex[:6]
    schema["fields"].append({"name": field, "type": "long", "default": 0})
    (tmp_path / "execution_request.avsc").write_text(json.dumps(schema))
    other = MessageCodec(tmp_path)
    one, looked = request(pool=pool), queue.metric("schema_lookups_total") or 0
    producer = cluster.producer()
    producer.produce("executions.requested", other.encode("ExecutionRequest", {**one, field: 1}), pool.encode())
    producer.flush(30)
    later = request(pool=pool)  # behind it on the same partition
    submit(cluster, later)
    queue.wait_metric("schema_lookups_total", looked + 1)  # in vain
    fingerprint = f"{other.fingerprint('ExecutionRequest'):016x}"
    producer.produce("schemas", json.dumps(schema).encode(), fingerprint.encode())
    producer.flush(30)
    assert states.done(one["execution"])["outcome"] == "FINISHED"
    assert states.done(later["execution"])["outcome"] == "FINISHED"


def allocate(cluster, code, **fields):
    cluster.redis_client().hset(f"forestall:allocation:{{{code}}}", mapping={
        "revision": 1, "memory_bytes": 0, "cpu_millicores": 0, "cpu_weight": 0, "io_read_bps": 0, "io_write_bps": 0,
        "io_weight": 0, "net_egress_bps": 0, "net_priority": 0, "probability": 0.1, "reason": "test", "raised": "",
        "good_since_raise": 0, "pinned": 0, "held_out_permille": 0, "runs": 1, "updated_us": 1, **fields})


def test_allocation__replaces_what_was_requested(cluster, queue, states, nodes, pool):
    node = nodes("a")
    code = pool + "/learned"
    allocate(cluster, code, revision=9, memory_bytes=200 * MIB, cpu_millicores=500, raised="memory,cpu")
    one = request(pool=pool, code=code)
    submit(cluster, one)
    admission = node.wait_for(one["execution"])
    assert admission["limits"]["memory_bytes"] == 200 * MIB and admission["limits"]["cpu_millicores"] == 500
    assert admission["allocation_revision"] == 9 and sorted(admission["raised"]) == ["CPU", "MEMORY"]
    allocate(cluster, code, revision=10, memory_bytes=100 * MIB)
    two = request(pool=pool, code=code)
    submit(cluster, two)
    assert node.wait_for(two["execution"])["limits"]["memory_bytes"] == 100 * MIB


def test_allocation__by_input__what_executions_of_that_size_need(cluster, queue, states, nodes, pool):
    node = nodes("a")
    code = pool + "/by-input"
    allocate(cluster, code, memory_bytes=200 * MIB, memory_by_input=f"1000:{10 * MIB},1000000:{310 * MIB}")
    for hints, expected in (({}, 200), ({"input_bytes": "1000"}, 10), ({"input_bytes": "1000000"}, 310),
                            ({"input_bytes": "many"}, 200)):
        one = request(pool=pool, code=code, hints=hints)
        submit(cluster, one)
        assert node.wait_for(one["execution"])["limits"]["memory_bytes"] == expected * MIB


def test_order__raised_code_before_higher_priority(cluster, queue, states, nodes, pool):
    node = nodes("a", memory_mib=200)  # 180 MiB for admissions: room for one at a time
    raised = pool + "/raised"
    allocate(cluster, raised, revision=2, memory_bytes=100 * MIB, raised="memory")
    first = request(pool=pool, limits=limits(memory_bytes=100 * MIB))
    submit(cluster, first)
    admission = node.wait_for(first["execution"])
    waiting = [request(pool=pool, limits=limits(memory_bytes=100 * MIB), **fields)
               for fields in ({"priority": 1}, {"priority": 500}, {"code": raised}, {"priority": 2})]
    submit(cluster, *waiting)
    for one in waiting:
        states.wait(one["execution"], lambda state: state["phase"] == "WAITING")
    order = []
    for _ in waiting:
        node.finish(admission)
        wait_until(lambda: node.running, 30, "the next")
        with node.lock:
            admission = next(iter(node.running.values()))
        order.append(waiting.index(next(one for one in waiting if one["execution"] == admission["request"]["execution"])))
    node.finish(admission)
    assert order == [2, 1, 3, 0]


def test_redis_away__requested_limits_used_and_counted(cluster, queue, states, nodes, pool):
    node = nodes("a")
    cluster.redis.stop()
    try:
        one = request(pool=pool, code=pool + "/new")
        submit(cluster, one)
        assert node.wait_for(one["execution"])["limits"]["memory_bytes"] == 64 * MIB
        queue.wait_metric("allocations_unanswered_total", 1)
        text = pathlib.Path(queue.program.log_path).read_text()
        assert text.count("redis_away") == 1
    finally:
        cluster.redis.start()
    wait_until(lambda: queue.metric("redis_up") == 1 or submit(cluster, request(pool=pool)), 30, "Redis to be back", 0.5)
