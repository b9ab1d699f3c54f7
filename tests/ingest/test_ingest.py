"""forestall-ingest against a real broker: what agents send reaches its topic unchanged, what is not valid is put aside."""
import pathlib
import struct
import sys
import time
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from agent_peer import (ADJUSTMENT, ADMISSION, EVENT, HELLO, LIMITS, PONG, RECORD, SCHEMA, STATUS, TICK, WELCOME,  # noqa: E402
                        encode, frame, now_us, numbered, request)
from cluster import Cluster  # noqa: E402
from gateway import Gateway, headers_of  # noqa: E402
from process import wait_until  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    with Cluster(with_redis=False) as running:
        yield running


@pytest.fixture(scope="module")
def ingest(cluster):
    gateway = Gateway(cluster)
    yield gateway
    assert gateway.stop() == 0, gateway.program.log_tail()


@pytest.fixture
def node():
    return f"node-{uuid.uuid4().hex[:8]}"


def of_key(cluster, topic, key, count, timeout_s=20):
    """The first messages of a topic with this key; other tests write there too."""
    found = []

    def enough():
        found[:] = [message for message in cluster.read_topic(topic) if message.key() == key.encode()]
        return len(found) >= count
    wait_until(enough, timeout_s, lambda: f"{count} messages of {topic} with key {key}, got {len(found)}", 0.1)
    return found


def quarantined(cluster, origin, count=1, timeout_s=20):
    found = []

    def enough():
        found[:] = [message for message in cluster.read_topic("quarantine")
                    if origin in headers_of(message).get("origin", "")]
        return len(found) >= count
    wait_until(enough, timeout_s, lambda: f"{count} quarantine entries of {origin}, got {len(found)}", 0.1)
    return found


def address_of(peer):
    return "%s:%d" % peer.socket.getsockname()[:2]


def test_frames__of_every_kind__reach_their_topic_unchanged(cluster, ingest, node):
    pool, code = f"pool-{node}", f"code-{node}"
    peer = ingest.peer(node, pool=pool)
    tick, status = peer.make_tick(samples=50), peer.make_status()
    event, record = peer.make_event(), peer.make_record(points=200, code=code)
    peer.send(frame(TICK, tick) + frame(STATUS, status) + numbered(EVENT, 5, event) + numbered(RECORD, 9, record))
    peer.wait_ack(5, 9)
    for topic, key, value in (("telemetry", node, tick), ("nodes", pool, status), ("executions.events", pool, event),
                              ("executions.finished", code, record)):
        message, = of_key(cluster, topic, key, 1)
        assert message.value() == value


def test_frames__cut_anywhere__put_together_again(cluster, ingest, node):
    peer = ingest.peer(node, greet=False)
    ticks = [peer.make_tick(samples=number % 7) for number in range(30)]
    data = frame(HELLO, peer.hello()) + b"".join(frame(TICK, tick) for tick in ticks)
    step = 1
    for at in range(0, len(data), 97):
        peer.send(data[at:at + 97])
        step += 1
    assert [message.value() for message in of_key(cluster, "telemetry", node, 30)] == ticks


def test_pings__answered_and_sent__silence_closes(ingest, node):
    peer = ingest.peer(node)
    peer.ping(4711)
    assert struct.unpack(">Q", peer.wait(PONG))[0] == 4711
    started = time.monotonic()
    while time.monotonic() - started < 7:  # answers pings: it must live on past the 5 s
        assert peer.pump(0.1)
    silent = ingest.peer(f"{node}-silent")
    deadline = time.monotonic() + 20
    while silent.socket.recv(1 << 16):  # reads, says nothing
        assert time.monotonic() < deadline
    assert time.monotonic() - started < 20
    assert peer.pump()
    assert ingest.metric("connections_closed_total", reason="silent") >= 1


def test_hello__never__closed(ingest):
    peer = ingest.peer(greet=False)
    assert peer.wait_closed() is None
    assert ingest.metric("connections_closed_total", reason="no_hello") >= 1


def test_hello__in_the_form_before_the_clock__welcomed(ingest, node):
    """An agent's first frame: there is nobody to ask for its schema."""
    kept = pathlib.Path(__file__).resolve().parents[2] / "schemas/published/hello.b5def0c2548c82a1.avsc"
    peer = ingest.peer(node, greet=False)
    body = peer.hello()[10:-1]  # without the time, which is 0
    peer.send(frame(HELLO, b"\xc3\x01" + bytes.fromhex(kept.suffixes[0][1:]) + body))
    peer.wait(WELCOME)
    peer.send(frame(TICK, peer.make_tick()))


def test_hello__clock_two_hours_ahead__refused_with_words(ingest, node):
    peer = ingest.peer(node, greet=False)
    peer.send(frame(HELLO, peer.hello(time_us=now_us() + 7_205_000_000)))
    assert "s ahead of ingest's, more than the 3600 s of ingest.clock_skew" in peer.wait_closed()
    assert ingest.metric("connections_closed_total", reason="clock") >= 1
    assert f"peer=\"{node} at" in ingest.log() and "reason=clock" in ingest.log()


@pytest.mark.parametrize("bad, reason, words", [
    (struct.pack(">I", 1 << 31) + b"\x01" + b"x" * 100, "frame_size", "a frame of 2147483648 bytes"),
    (struct.pack(">I", 0), "frame_type", "a frame of no bytes"),
    (frame(99, b"what"), "frame_type", "unknown type 99"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "frame_size", "at most 4096 are taken"),
    (frame(TICK, b"early"), "protocol", "the first frame is not HELLO"),
    (frame(HELLO, b"\x00\x01garbage"), "hello_invalid", "HELLO is "),
    (frame(ADMISSION, b"x"), "protocol", "only ingest sends"),
])
def test_bad_bytes__before_hello__rejected_with_reason_and_quarantined(cluster, ingest, bad, reason, words):
    before = ingest.metric("connections_closed_total", reason=reason)
    peer = ingest.peer(greet=False)
    origin = address_of(peer)
    peer.send(bad)
    assert words in peer.wait_closed()
    assert ingest.metric("connections_closed_total", reason=reason) == before + 1
    entry, = quarantined(cluster, origin)
    assert words in headers_of(entry)["reason"] and headers_of(entry)["service"] == "forestall-ingest"
    assert bad.startswith(entry.value()) or entry.value() in bad


@pytest.mark.parametrize("bad, reason", [
    (struct.pack(">I", 1 << 31), "frame_size"), (struct.pack(">I", (1 << 20) + 1), "frame_size"),
    (frame(0, b"zero"), "frame_type"), (frame(HELLO, b"again"), "protocol"), (numbered(EVENT, 1)[:7], None),
    (frame(EVENT, b"short"), "protocol"), (frame(13, b"1234567"), "protocol"),
])
def test_bad_bytes__after_hello__only_this_connection_ends(ingest, node, bad, reason):
    other, peer = ingest.peer(f"{node}-other"), ingest.peer(node)
    peer.send(bad)
    if reason is None:  # half a frame: nothing is wrong yet
        other.ping()
        other.wait(PONG)
        assert peer.pump()
        return
    assert peer.wait_closed()
    other.ping()
    other.wait(PONG)


ABSURD = [
    ("make_tick", TICK, {"node": "somebody-else"}, "of another node"),
    ("make_tick", TICK, {"incarnation": b"x" * 16}, "of another incarnation"),
    ("make_tick", TICK, {"pool": "elsewhere"}, "of another pool"),
    ("make_tick", TICK, {"epoch": 2}, "of another epoch"),
    ("make_tick", TICK, {"time_us": 5}, "time_us"),
    ("make_tick", TICK, {"time_us": now_us() + 7200 * 10**6}, "time_us"),
    ("make_status", STATUS, {"capacity": {**LIMITS, "memory_bytes": -1}}, "negative"),
    ("make_status", STATUS, {"boot_id": "another"}, "of another boot"),
    ("make_event", EVENT, {"attempt": 0}, "attempt"),
    ("make_event", EVENT, {"epoch": 2}, "epoch still to come"),
    ("make_record", RECORD, {"propensity": float("nan")}, "probability"),
    ("make_record", RECORD, {"code": "no spaces please"}, "code"),
]


def test_absurd_values__each__quarantined_with_reason_acknowledged_and_not_forwarded(cluster, ingest, node):
    peer = ingest.peer(node, pool=f"pool-{node}")
    sent = []
    for number, (make, kind, changes, words) in enumerate(ABSURD, 1):
        payload = getattr(peer, make)(**changes)
        peer.send(numbered(kind, number, payload) if kind in (EVENT, RECORD) else frame(kind, payload))
        sent.append((payload, words))
    garbage = peer.make_tick()[:-3]
    peer.send(frame(TICK, garbage))
    sent.append((garbage, "not a readable Tick"))
    peer.wait_ack(*[number for number, case in enumerate(ABSURD, 1) if case[1] in (EVENT, RECORD)])
    entries = {message.value(): headers_of(message)["reason"] for message in quarantined(cluster, node, len(sent))}
    for payload, words in sent:
        assert words in entries[payload], (words, entries[payload])
    peer.ping()
    peer.wait(PONG)  # a bad message is not a bad connection
    for topic in ("telemetry", "nodes", "executions.events", "executions.finished"):
        assert not [message for message in cluster.read_topic(topic) if message.value() in entries]


def newer(codec, name, extra):
    """The schema of the next version: one more field with a default, somewhere in the middle."""
    import copy
    import json
    schema = json.loads((pathlib.Path(__file__).resolve().parents[2] / "schemas" / extra).read_text())
    schema = copy.deepcopy(schema)
    schema["fields"].insert(1, {"name": "shoe_size", "type": ["null", "int"], "default": None})
    return json.dumps(schema)


def test_unknown_schema__then_learnt_from_agent__forwarded_unchanged_and_published(cluster, ingest, node):
    peer = ingest.peer(node, pool=f"pool-{node}")
    text = newer(peer.codec, "ExecutionEvent", "execution_event.avsc").replace("shoe_size", f"extra_{node[5:]}")
    from messages import MessageCodec
    theirs = MessageCodec()
    _, fields = theirs.decode(peer.make_event())
    theirs._names.pop("ExecutionEvent")
    theirs.learn(text)
    value = encode(theirs, "ExecutionEvent", {**fields, f"extra_{node[5:]}": 44})
    absurd = encode(theirs, "ExecutionEvent", {**fields, f"extra_{node[5:]}": 44, "attempt": 0})
    peer.send(numbered(EVENT, 1, value) + numbered(EVENT, 2, absurd))
    peer.ping()
    peer.wait(PONG)  # both were read, and wait for their schema
    assert peer.acks == []
    wait_until(lambda: ingest.metric("parked_connections") == 1 or not peer.pump(0.01), 20, "the gauge, set at each sweep")
    fingerprint = theirs.fingerprint("ExecutionEvent")
    peer.send(numbered(SCHEMA, fingerprint, text.encode()))
    peer.wait_ack(1, 2)
    assert [message.value() for message in of_key(cluster, "executions.events", peer.pool, 1)] == [value]
    assert "attempt" in headers_of(quarantined(cluster, node)[0])["reason"]
    assert [message.value().decode() for message in of_key(cluster, "schemas", f"{fingerprint:016x}", 1)] == [text]
    # the same through the topic: another agent that does not send it, on another instance that has not seen it
    second = Gateway(cluster, "second")
    other = second.peer(f"{node}-b", pool=peer.pool)
    other.send(numbered(EVENT, 3, encode(theirs, "ExecutionEvent", {
        **fields, f"extra_{node[5:]}": 45, "node": other.node, "incarnation": other.incarnation})))
    other.wait_ack(3)
    assert second.stop() == 0


def test_schema__not_what_its_fingerprint_says__quarantined(cluster, ingest, node):
    peer = ingest.peer(node)
    peer.send(numbered(SCHEMA, 12345, b'{"type":"record","name":"X","fields":[]}') + numbered(SCHEMA, 1, b"no json"))
    reasons = [headers_of(message)["reason"] for message in quarantined(cluster, node, 2)]
    assert all("is not taken" in reason for reason in reasons)
    peer.ping()
    peer.wait(PONG)


def test_one_node_id__second_incarnation__refused_while_the_first_lives(cluster, ingest, node):
    first = ingest.peer(node)
    before = ingest.metric("connections_closed_total", reason="second_incarnation")
    second = ingest.peer(node, greet=False)
    second.send(frame(HELLO, second.hello()))
    reason = second.wait_closed()
    assert node in reason and str(uuid.UUID(bytes=first.incarnation)) in reason
    assert ingest.metric("connections_closed_total", reason="second_incarnation") == before + 1
    first.send(numbered(EVENT, 1, first.make_event()))
    first.wait_ack(1)
    gone = ingest.metric("connections_closed_total", reason="peer")
    first.close()
    wait_until(lambda: ingest.metric("connections_closed_total", reason="peer") > gone, 20, "ingest to notice")
    ingest.peer(node)


def test_one_node_id__same_incarnation_again__replaces_the_old_connection(ingest, node):
    first = ingest.peer(node, epoch=3)
    again = ingest.peer(node, incarnation=first.incarnation, epoch=3)
    assert "connected again" in first.wait_closed()
    restarted = ingest.peer(node, incarnation=first.incarnation, epoch=4, boot_id="boot-2")
    assert "connected again" in again.wait_closed()
    late = ingest.peer(node, incarnation=first.incarnation, epoch=3, greet=False)
    late.send(frame(HELLO, late.hello()))
    assert "from the past" in late.wait_closed()
    copied = ingest.peer(node, incarnation=first.incarnation, epoch=4, boot_id="boot-3", greet=False)
    copied.send(frame(HELLO, copied.hello()))
    assert "copied" in copied.wait_closed()
    restarted.send(numbered(EVENT, 8, restarted.make_event(epoch=1)))  # spooled before the restart
    restarted.wait_ack(8)


def admission(peer, execution):
    return {"action": "RUN", "node": peer.node, "incarnation": peer.incarnation,
            "request": request(execution=execution, pool=peer.pool), "attempt": 1, "placement": 1,
            "expires_us": now_us() + 10**7, "limits": LIMITS, "allocation_revision": 0, "raised": [], "arm": "TREATED",
            "propensity": 1.0}


def adjustment(peer, decision):
    return {"node": peer.node, "execution": b"e" * 16, "attempt": 1, "code": "xz", "incarnation": peer.incarnation,
            "epoch": peer.epoch, "sequence": 1, "decision": decision, "expires_us": now_us() + 2 * 10**6, "limits": LIMITS,
            "direction": "RAISE", "cause": "MEMORY", "probability": 0.9, "model_version": "m", "reason": "r",
            "sampled_us": now_us(), "risk_us": now_us(), "decided_us": now_us()}


def test_orders__for_a_node__reach_its_connection_only_and_committed_only(cluster, ingest, node):
    peers = [ingest.peer(f"{node}-{number}") for number in range(3)]
    second = Gateway(cluster, "third")
    elsewhere = second.peer(f"{node}-elsewhere")
    producer = cluster.producer(transactional_id=f"queue-{node}")
    producer.init_transactions(30)
    producer.begin_transaction()
    values = {}
    for peer in [*peers, elsewhere]:
        values[peer.node] = (encode(ingest.codec, "Admission", admission(peer, uuid.uuid4().bytes)),
                             encode(ingest.codec, "Adjustment", adjustment(peer, 1)))
        producer.produce("executions.admitted", values[peer.node][0], peer.node)
        producer.produce("adjustments", values[peer.node][1], peer.node)
    producer.commit_transaction(30)
    producer.begin_transaction()
    producer.produce("executions.admitted", encode(ingest.codec, "Admission", admission(peers[0], b"a" * 16)), peers[0].node)
    assert producer.flush(30) == 0  # it is in Kafka, and the broker knows of a transaction to abort
    producer.abort_transaction(30)
    producer.begin_transaction()
    producer.produce("adjustments", encode(ingest.codec, "Adjustment", adjustment(peers[0], 2)), "nobody")
    bad = encode(ingest.codec, "Adjustment", adjustment(peers[1], 3))
    producer.produce("adjustments", bad, peers[0].node)  # its key is not its node
    producer.produce("adjustments", b"\xc3\x01garbage", peers[0].node)
    last = encode(ingest.codec, "Admission", admission(peers[0], b"z" * 16))
    producer.produce("executions.admitted", last, peers[0].node)
    producer.commit_transaction(30)
    for peer in [*peers, elsewhere]:
        assert peer.wait(ADMISSION) == values[peer.node][0]
        assert peer.wait(ADJUSTMENT) == values[peer.node][1]
    assert peers[0].wait(ADMISSION) == last  # the aborted one never came
    wait_until(lambda: len([m for m in cluster.read_topic("quarantine")
                            if headers_of(m).get("topic") == "adjustments"]) == 2, 20, "two unreadable adjustments", 0.1)
    for peer in [*peers, elsewhere]:
        peer.ping()
        peer.wait(PONG)
        assert peer.count(ADMISSION) == 0 and peer.count(ADJUSTMENT) == 0
    assert second.stop() == 0


def test_orders__latency__no_polling_in_between(cluster, ingest, node):
    peer = ingest.peer(node)
    producer = cluster.producer(linger_ms=0)
    producer.produce("adjustments", b"", "nobody")
    producer.flush(30)  # its first message takes half a second
    times = []
    for number in range(100):
        started = time.monotonic()
        producer.produce("adjustments", encode(ingest.codec, "Adjustment", adjustment(peer, number)), node)
        producer.poll(0)
        while peer.count(ADJUSTMENT) == 0:
            peer.pump(1)
        peer.wait(ADJUSTMENT)
        times.append((time.monotonic() - started) * 1000)
    times.sort()
    print(f"adjustment through Kafka and ingest: p50 {times[50]:.1f} ms, p90 {times[90]:.1f} ms, max {times[-1]:.1f} ms")
    assert times[50] < 50  # what it is not: a poll interval; the figure itself depends on the machine's other work


def test_two_gateways__same_node_other_incarnation__orders_name_their_incarnation(cluster, ingest, node):
    """What docs/design/ingest.md says: both are told, the incarnation in the order keeps them apart."""
    second = Gateway(cluster, "fourth")
    here, there = ingest.peer(node), second.peer(node)
    producer = cluster.producer()
    value = encode(ingest.codec, "Admission", admission(here, b"q" * 16))
    producer.produce("executions.admitted", value, node)
    producer.flush(30)
    assert here.wait(ADMISSION) == value
    assert there.wait(ADMISSION) == value
    assert ingest.codec.decode(value)[1]["incarnation"] == here.incarnation != there.incarnation
    assert second.stop() == 0
