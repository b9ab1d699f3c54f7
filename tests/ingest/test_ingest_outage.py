"""forestall-ingest when Kafka dies, hangs, falls behind or refuses, and when ingest itself is stopped or killed.

What is acknowledged is in Kafka; what is not comes again from the agent's spool; nothing is lost.
"""
import pathlib
import signal
import sys
import time
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from agent_peer import EVENT, PONG, RECORD, TICK, encode, frame, numbered  # noqa: E402
from cluster import Cluster  # noqa: E402
from gateway import Gateway, headers_of  # noqa: E402
from process import free_ports, wait_until  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    with Cluster(with_redis=False) as running:
        yield running


@pytest.fixture
def gateways(cluster):
    """Makes gateways that must end well with the test."""
    made = []

    def make(**options):
        made.append(Gateway(cluster, f"ingest-{uuid.uuid4().hex[:6]}", **options))
        return made[-1]
    yield make
    if not cluster.broker.child.alive():
        cluster.broker.start()
    for gateway in made:
        if gateway.program.alive():
            assert gateway.stop() == 0, gateway.program.log_tail()


class Spooling:
    """An agent with a spool: sends an event again on every new connection until it is acknowledged."""

    def __init__(self, gateway, node):
        self.gateway, self.node, self.pool = gateway, node, f"pool-{node}"
        self.incarnation, self.spool, self.acked, self.last = uuid.uuid4().bytes, {}, set(), 0
        self.peer = None

    def connect(self):
        try:
            self.peer = self.gateway.peer(self.node, pool=self.pool, incarnation=self.incarnation)
        except (OSError, TimeoutError):  # not there, or it rejects
            self.peer = None
            return
        for number, value in self.spool.items():
            self.give(number, value)

    def give(self, number, value):
        try:
            self.peer.send(numbered(EVENT, number, value))
        except OSError:
            self.peer.closed = True

    def report(self):
        self.last += 1
        value = encode(self.gateway.codec, "ExecutionEvent", {**self.template(), "placement": self.last})
        self.spool[self.last] = value
        if self.peer:
            self.give(self.last, value)

    def template(self):
        if not hasattr(self, "_template"):
            maker = self.peer or self.gateway.peer(self.node, greet=False)
            maker.pool, maker.incarnation = self.pool, self.incarnation
            self._template = self.gateway.codec.decode(maker.make_event())[1]
        return self._template

    def serve(self, seconds=0.02):
        if not self.peer or self.peer.closed:
            self.connect()
        if not self.peer:
            return
        try:
            self.peer.pump(seconds)
        except OSError:
            self.peer.closed = True
        for number in self.peer.acks:
            self.acked.add(number)
            self.spool.pop(number, None)
        self.peer.acks.clear()

    def serve_until(self, condition, what, timeout_s=60):
        wait_until(lambda: condition() or self.serve(), timeout_s, what)

    def in_kafka(self, cluster):
        """The numbers of its events that the topic holds, in order."""
        return [self.gateway.codec.decode(message.value())[1]["placement"]
                for message in cluster.read_topic("executions.events") if message.key() == self.pool.encode()]


def test_broker_killed_and_back__events_spooled__nothing_lost_and_acks_only_for_what_is_there(cluster, gateways):
    gateway = gateways(**{"ingest.stall": "1s"})
    agent = Spooling(gateway, "spooling")
    agent.connect()
    for _ in range(500):
        agent.report()
    agent.serve_until(lambda: len(agent.acked) > 50, "the first acknowledgements")
    cluster.broker.kill9()
    agent.serve()
    acked_before = set(agent.acked)
    for _ in range(300):
        agent.report()
        agent.serve(0.002)
    wait_until(lambda: gateway.metric("stalled") == 1 or agent.serve(), 30, "ingest to notice")
    assert gateway.get("/readyz")[0] == 503
    assert agent.peer and not agent.peer.closed  # kept
    assert gateway.metric("connections") == 1
    cluster.broker.start()
    agent.serve_until(lambda: not agent.spool, "all to be acknowledged")
    found = agent.in_kafka(cluster)
    assert acked_before <= set(found)
    assert set(found) == set(range(1, 801)) == agent.acked
    print(f"{len(found) - len(set(found))} of {len(found)} events repeated")


def test_broker_hangs__connection_kept_not_read_and_pinged_then_goes_on(cluster, gateways):
    gateway = gateways(**{"ingest.stall": "500ms"})
    peer = gateway.peer("hanging", pool="pool-hanging")
    peer.send(numbered(EVENT, 1, peer.make_event()))
    peer.wait_ack(1)
    cluster.broker.pause()
    try:
        peer.send(numbered(EVENT, 2, peer.make_event()))
        wait_until(lambda: gateway.metric("stalled") == 1 or not peer.pump(0.01), 20, "the stall")
        peer.received.clear()
        peer.send(numbered(EVENT, 3, peer.make_event()))
        peer.ping(99)  # behind what is not read: no answer, so the node's lease is not extended
        deadline = time.monotonic() + 7
        while time.monotonic() < deadline:  # past the 5 s of silence
            assert peer.pump(0.1), "closed although Kafka hangs"
        assert peer.count(PONG) == 0 and peer.acks == [1]
        assert peer.count(11) >= 4  # ingest's own pings
        late = gateway.peer("late", greet=False)
        late.send(frame(1, late.hello()))
        assert "Kafka does not answer" in late.wait_closed()
    finally:
        cluster.broker.resume()
    peer.wait_ack(2, 3)
    peer.wait(PONG)
    gateway.peer("late")


def test_kafka_behind__ticks_dropped_oldest_first_and_counted__events_go_on(cluster, gateways):
    gateway = gateways(**{"ingest.stall": "20s", "ingest.inflight_limit": "1M"})
    peer = gateway.peer("behind", pool="pool-behind")
    sent = []
    cluster.broker.pause()
    try:
        while sum(map(len, sent)) < 1 << 20:  # half of it is what ticks may take
            sent.append(peer.make_tick(samples=30))
            peer.send(frame(TICK, sent[-1]))
        peer.send(numbered(EVENT, 1, peer.make_event()))
        peer.ping(5)
        peer.wait(PONG)  # it is read to here, ticks or not
        dropped = gateway.metric("ticks_dropped_total")
        assert dropped > 0
        wait_until(lambda: gateway.metric("held_connections") == 1, 20, "the gauge, which is set at each sweep")
    finally:
        cluster.broker.resume()
    peer.wait_ack(1)
    wait_until(lambda: gateway.metric("held_connections") == 0 and gateway.metric("inflight_bytes") == 0 or not peer.pump(0.01),
               20, "the rest")
    got = [message.value() for message in cluster.read_topic("telemetry") if message.key() == b"behind"]
    assert got == sent[:len(got) - 1] + sent[-1:]  # the oldest that fitted, then the newest
    assert len(got) + dropped == len(sent)


def test_record_too_large_for_the_broker__reduced_in_quarantine_and_acknowledged(cluster, gateways):
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource
    gateway, admin = gateways(), cluster.admin()
    smaller = ConfigEntry("max.message.bytes", "100000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, "executions.finished", incremental_configs=[smaller])
    admin.incremental_alter_configs([resource])[resource].result(20)
    peer = gateway.peer("large", pool="pool-large")
    large = peer.make_record(points=4000, code="code-large")
    small = [peer.make_record(code="code-large") for _ in range(20)]
    assert 100000 < len(large) < 1 << 20
    for number, record in enumerate(small[:10], 1):
        peer.send(numbered(RECORD, number, record))
    peer.send(numbered(RECORD, 11, large))
    for number, record in enumerate(small[10:], 12):
        peer.send(numbered(RECORD, number, record))
    peer.wait_ack(*range(1, 22))
    found = [message.value() for message in cluster.read_topic("executions.finished") if message.key() == b"code-large"]
    assert sorted(found) == sorted(small)
    entry, = [message for message in cluster.read_topic("quarantine") if "large" in headers_of(message)["origin"]]
    assert "more than the broker takes" in headers_of(entry)["reason"]
    whole, reduced = (gateway.codec.decode(value)[1] for value in (large, entry.value()))
    assert {**whole, "series": []} == reduced


def test_ingest_killed__agent_comes_again__nothing_lost(cluster, gateways):
    port, = free_ports(1)
    first = gateways(**{"ingest.listen": f"127.0.0.1:{port}"})
    agent = Spooling(first, "survivor")
    agent.connect()
    for _ in range(300):
        agent.report()
    agent.serve_until(lambda: agent.acked, "an acknowledgement")
    first.program.kill()
    agent.gateway = gateways(**{"ingest.listen": f"127.0.0.1:{port}"})
    for _ in range(100):
        agent.report()
    agent.serve_until(lambda: not agent.spool, "all to be acknowledged")
    assert set(agent.in_kafka(cluster)) == set(range(1, 401))


def test_sigterm__what_was_read_is_confirmed_and_acknowledged_before_the_end(cluster, gateways):
    gateway = gateways()
    peer = gateway.peer("stopping", pool="pool-stopping")
    for number in range(1, 201):
        peer.send(numbered(EVENT, number, peer.make_event(placement=number)))
    wait_until(lambda: gateway.metric("frames_total", type="event") > 0, 20, "it to read")
    gateway.program.signal(signal.SIGTERM)
    peer.until_closed()
    assert gateway.program.wait(20) == 0
    found = [message for message in cluster.read_topic("executions.events") if message.key() == b"pool-stopping"]
    # what it gave to Kafka it also acknowledged, and nothing else
    assert {gateway.codec.decode(message.value())[1]["placement"] for message in found} == set(peer.acks)
    with pytest.raises(OSError):
        gateway.peer("too-late")


def test_hundreds_of_agents__each_gets_its_own__more_than_the_limit_are_refused(cluster, gateways):
    gateway = gateways(**{"ingest.max_connections": 400})
    peers = [gateway.peer(f"many-{number}", pool="pool-many") for number in range(400)]
    for peer in peers:
        peer.send(frame(TICK, peer.make_tick()) + numbered(EVENT, 1, peer.make_event()))
    for peer in peers:
        peer.wait_ack(1)
    extra = gateway.peer("one-too-many", greet=False)
    assert "max_connections" in extra.wait_closed()
    assert gateway.metric("connections_closed_total", reason="full") == 1
    wait_until(lambda: gateway.metric("nodes") == 400, 20, "all nodes counted")
    ticks = {message.key() for message in cluster.read_topic("telemetry") if message.key().startswith(b"many-")}
    assert len(ticks) == 400


def test_no_broker__clear_error_and_exit_1(cluster):
    port, = free_ports(1)
    program = cluster.start_program("nobody", [cluster.program("forestall-ingest"), "--ingest.listen=127.0.0.1:0",
                                               f"--service.brokers=127.0.0.1:{port}"])
    assert program.wait(30) == 1
    assert f"127.0.0.1:{port}" in program.log_tail()


def test_port_taken__clear_error_and_exit_1(cluster, gateways):
    gateway = gateways()
    program = cluster.start_program("second-on-port", [
        cluster.program("forestall-ingest"), f"--ingest.listen={gateway.address}",
        f"--service.brokers={cluster.broker.bootstrap}"])
    assert program.wait(30) == 1
    assert gateway.address in program.log_tail() and "in use" in program.log_tail()
