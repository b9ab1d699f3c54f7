"""forestall-ingest with the real forestall-agent: a program runs, and all the agent says of it is in Kafka, through a death of the
broker, of ingest and of the connection. Needs root and cgroups."""
import os
import pathlib
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from agent_peer import LIMITS, encode, now_us, request  # noqa: E402
from cluster import Cluster  # noqa: E402
from gateway import Gateway  # noqa: E402
from process import free_ports, wait_until  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the agent makes cgroups: needs root")
NO_LIMITS = {name: 0 for name in LIMITS}


@pytest.fixture
def cluster():
    with Cluster(with_redis=False) as running:
        yield running


class Agent:
    def __init__(self, cluster, address, node):
        self.cluster, self.node, self.pool = cluster, node, f"pool-{node}"
        self.state = cluster.directory / f"{node}-state"
        self.state.mkdir(exist_ok=True)
        self.program = cluster.start_program(node, [
            cluster.program("forestall-agent"), f"--agent.ingest={address}", f"--agent.node={node}",
            f"--agent.pool={self.pool}", f"--agent.cgroup=forestall-test-{node}", f"--service.state_dir={self.state}",
            "--agent.end_attempts=yes"])

    def admit(self, codec, producer, status, argv, memory_bytes=0):
        execution = uuid.uuid4().bytes
        value = encode(codec, "Admission", {
            "action": "RUN", "node": self.node, "incarnation": status["incarnation"],
            "request": {**request("shell", self.pool, execution), "argv": argv}, "attempt": 1, "placement": 1,
            "expires_us": now_us() + 20 * 10**6, "limits": {**NO_LIMITS, "memory_bytes": memory_bytes},
            "allocation_revision": 0, "raised": [], "arm": "TREATED", "propensity": 1.0})
        producer.produce("executions.admitted", value, self.node)
        producer.flush(30)
        return execution

    def wait_finished(self, exit_status):
        """Until the agent itself says that a program ended so, whoever may hear of it."""
        wait_until(lambda: f"exit_status={exit_status} " in pathlib.Path(self.program.log_path).read_text(), 30,
                   f"the end of the program with status {exit_status}", 0.1)


def read(cluster, topic):
    return [message for _, message in cluster.read_messages(topic)]


def events_of(cluster, execution):
    return [event["kind"] for event in read(cluster, "executions.events") if event["execution"] == execution]


def wait_for(cluster, topic, condition, what, timeout_s=40):
    return wait_until(lambda: next((message for message in read(cluster, topic) if condition(message)), None), timeout_s,
                      what, 0.2)


def test_real_agent__runs_adjusted_reported__through_deaths_of_broker_and_ingest(cluster):
    node = f"n{uuid.uuid4().hex[:8]}"
    port, = free_ports(1)
    gateway = Gateway(cluster, **{"ingest.listen": f"127.0.0.1:{port}", "ingest.stall": "1s"})
    agent = Agent(cluster, gateway.address, node)
    try:
        status = wait_for(cluster, "nodes", lambda message: message["node"] == node, "the node's status")
        producer = cluster.producer()
        first = agent.admit(gateway.codec, producer, status, ["/bin/sh", "-c", "sleep 4; exit 3"], 64 << 20)
        tick = wait_for(cluster, "telemetry", lambda message: [
            sample for sample in message["samples"] if sample["execution"] == first], "a sample")
        producer.produce("adjustments", encode(gateway.codec, "Adjustment", {
            "node": node, "execution": first, "attempt": 1, "code": "shell", "incarnation": status["incarnation"],
            "epoch": tick["epoch"], "sequence": tick["sequence"], "decision": 1, "expires_us": now_us() + 5 * 10**6,
            "limits": {**NO_LIMITS, "memory_bytes": 96 << 20}, "direction": "RAISE", "cause": "MEMORY",
            "probability": 0.9, "model_version": "m", "reason": "test", "sampled_us": tick["time_us"], "risk_us": now_us(),
            "decided_us": now_us()}), node)
        producer.flush(30)
        raised = wait_for(cluster, "executions.events", lambda event: event["kind"] == "ADJUSTED" and event["execution"] == first,
                          "the adjustment to be reported")
        assert raised["adjusted"]["after"]["memory_bytes"] == 96 << 20, raised
        # the program ends while the broker is dead: event and record wait in the spool, or in ingest
        cluster.broker.kill9()
        wait_until(lambda: gateway.metric("stalled") == 1, 30, "ingest to notice")
        agent.wait_finished(3)
        cluster.broker.start()
        record = wait_for(cluster, "executions.finished", lambda message: message["execution"] == first, "the record")
        assert record["exit_status"] == 3 and record["highest_limits"]["memory_bytes"] == 96 << 20
        wait_until(lambda: {"ACCEPTED", "STARTED", "ADJUSTED", "FINISHED"} <= set(events_of(cluster, first)), 40,
                   lambda: f"all events, got {events_of(cluster, first)}", 0.2)
        # and while ingest is dead
        second = agent.admit(gateway.codec, producer, status, ["/bin/sh", "-c", "sleep 2; exit 4"])
        wait_until(lambda: "STARTED" in events_of(cluster, second), 40, "the second to start", 0.2)
        gateway.program.kill()
        agent.wait_finished(4)
        gateway = Gateway(cluster, "again", **{"ingest.listen": f"127.0.0.1:{port}"})
        wait_for(cluster, "executions.finished", lambda message: message["execution"] == second, "the second record")
        wait_until(lambda: "FINISHED" in events_of(cluster, second), 40, "the second to finish", 0.2)
        for topic in ("telemetry", "nodes", "executions.events", "executions.finished"):
            assert read(cluster, topic)
        assert not cluster.read_topic("quarantine")  # a real agent says nothing absurd
        wait_until(lambda: gateway.metric("acknowledged_total") > 0, 20, "acknowledgements")
    finally:
        agent.program.stop()
    assert gateway.stop() == 0


def test_two_real_agents__one_node_id__the_second_refused_by_name(cluster):
    gateway = Gateway(cluster)
    node = f"n{uuid.uuid4().hex[:8]}"
    first = Agent(cluster, gateway.address, node)
    wait_for(cluster, "nodes", lambda message: message["node"] == node, "the first's status")
    state = cluster.directory / "twin-state"
    state.mkdir()
    twin = cluster.start_program("twin", [
        cluster.program("forestall-agent"), f"--agent.ingest={gateway.address}", f"--agent.node={node}",
        f"--agent.pool={first.pool}", f"--agent.cgroup=forestall-test-{node}-twin", f"--service.state_dir={state}"])
    wait_until(lambda: "link_rejected" in twin.log_tail() and "two agents must not share a node id" in twin.log_tail(), 20,
               lambda: f"the twin to be refused: {twin.log_tail()}")
    assert gateway.metric("connections_closed_total", reason="second_incarnation") >= 1
    assert len({message["incarnation"] for message in read(cluster, "nodes") if message["node"] == node}) == 1
    first.program.stop()
    wait_until(lambda: len({message["incarnation"] for message in read(cluster, "nodes") if message["node"] == node}) == 2, 30,
               "the twin to take over once the first is gone", 0.2)
    twin.stop()
    assert gateway.stop() == 0
