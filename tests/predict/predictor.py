"""What the end-to-end tests of predict share: the program, nodes that write ticks, and what came of them."""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from messages import TOPIC_MESSAGES, MessageCodec  # noqa: E402
from process import free_ports, wait_until  # noqa: E402

MIB = 1 << 20
TICK_US = 100_000
CODEC = MessageCodec()
MAKE_MODEL = pathlib.Path(os.environ.get("FORESTALL_TESTS", "build/dev/tests")) / "make_model"

NO_LIMITS = {"memory_bytes": 0, "cpu_millicores": 0, "cpu_weight": 0, "io_read_bps": 0, "io_write_bps": 0,
             "io_weight": 0, "net_egress_bps": 0, "net_priority": 0}


def _fields_of(name, schema):
    """Names of the fields of a record that is defined somewhere inside the schema."""
    if isinstance(schema, dict):
        if schema.get("name") == name and "fields" in schema:
            return [field["name"] for field in schema["fields"]]
        schema = list(schema.values())
    found = (_fields_of(name, part) for part in schema) if isinstance(schema, list) else ()
    return next((names for names in found if names), None)


COUNTERS = _fields_of("Counters", json.loads((pathlib.Path(__file__).resolve().parents[2] / "schemas/tick.avsc").read_text()))


def make_model(path, *kind):
    """A model file; returns its version."""
    return subprocess.run([MAKE_MODEL, path, *map(str, kind)], check=True, capture_output=True, text=True).stdout.strip()


def publish_model(cluster, role, data, chunk_bytes=4000, sha256=None, encode=lambda model: CODEC.encode("Model", model)):
    """Into the topic, in chunks; returns its version."""
    producer = cluster.producer()
    digest = sha256 or hashlib.sha256(data).hexdigest()
    chunks = [data[at:at + chunk_bytes] for at in range(0, len(data), chunk_bytes)]
    for number, chunk in enumerate(chunks):
        producer.produce("models", encode({
            "role": role, "version": digest, "chunk": number, "chunks": len(chunks), "bytes": chunk,
            "total_bytes": len(data), "sha256": digest, "metrics": {}, "parent": "", "records": 0, "created_us": 0,
            "note": "a test"}), (role if number == 0 else f"{role}/{number}").encode())
    assert producer.flush(30) == 0
    return digest


def counters(memory, **changes):
    values = {name: 0 for name in COUNTERS}
    values.update(memory_bytes=memory, memory_usage_bytes=memory + MIB, memory_peak_bytes=memory,
                  tasks=1, brake_engaged=False, custom=[])
    values.update(changes)
    return values


class Run:
    """One attempt whose memory grows by `step` bytes each tick, up to its limit."""

    def __init__(self, code, limit=0, step=0, start=MIB, arm="TREATED"):
        self.execution = uuid.uuid4().bytes
        self.attempt = 1
        self.code, self.arm = code, arm
        self.limits = {**NO_LIMITS, "memory_bytes": limit}
        self.step, self.start = step, start
        self.started_us = 0
        self.first = None

    def memory(self, sequence):
        if self.first is None:
            self.first = sequence
        grown = self.start + (sequence - self.first) * self.step
        return min(grown, self.limits["memory_bytes"] or grown)

    def sample(self, sequence, time_us, **changes):
        memory = self.memory(sequence)
        if not self.started_us:
            self.started_us = time_us - TICK_US
        return {"execution": self.execution, "attempt": self.attempt, "code": self.code, "started_us": self.started_us,
                "timeout_ms": 0, "limits": self.limits, "adjusted_sequence": 0, "arm": self.arm,
                "counters": counters(memory, **changes), "command": 0, "input_bytes": 0}


class Node:
    """Writes ticks as its agent would: one every 100 ms of its own clock, as fast as asked for."""

    def __init__(self, cluster, name="node-1", topic="telemetry"):
        self.cluster = cluster
        self.on_delivery = None
        self.connect()
        self.name, self.topic = name, topic
        self.incarnation = uuid.uuid4().bytes
        self.epoch, self.sequence = 1, 0
        self.base_us = time.time_ns() // 1000

    def connect(self):
        """Goes on with a client of its own, a new one after the broker was away (Cluster.wait_led)."""
        self.producer = self.cluster.producer(linger_ms=1)

    def tick(self, runs, **changes):
        """One tick; returns its framed bytes."""
        self.sequence += 1
        time_us = self.base_us + self.sequence * TICK_US
        value = CODEC.encode("Tick", {
            "node": self.name, "pool": "default", "incarnation": self.incarnation, "epoch": self.epoch,
            "sequence": self.sequence, "time_us": time_us, "monotonic_us": time_us, "dropped": 0,
            "samples": [run.sample(self.sequence, time_us, **changes) for run in runs], "extra": False})
        self.producer.produce(self.topic, value, self.name.encode(), on_delivery=self.on_delivery)
        return value

    def ticks(self, count, runs):
        for _ in range(count):
            self.tick(runs)
        self.flush()

    def flush(self):
        assert self.producer.flush(30) == 0


class Ticking:
    """A node that samples in real time until it is stopped; what was told when is in `produced`."""

    def __init__(self, node, runs):
        self.node, self.runs = node, runs
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        while not self.stopping.wait(0.1):
            self.node.tick(self.runs)
            self.node.producer.poll(0)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        self.node.flush()


def record_of(run, node, outcome="FINISHED", series=True, peak=50 * MIB, ticks=100):
    """An ExecutionRecord of a run that grew evenly to its peak."""
    ended_us = node.base_us + ticks * TICK_US
    points = [{"time_us": node.base_us + i * TICK_US, "limits": run.limits, "counters": counters(peak * i // ticks)}
              for i in range(1, ticks)]
    killed = outcome == "OOM_KILLED"
    request = {"action": "RUN", "execution": run.execution, "code": run.code, "pool": "default", "argv": ["/bin/true"],
               "env": [], "cwd": "", "user": "", "stdout_path": "", "stderr_path": "", "limits": run.limits,
               "priority": 500, "timeout_ms": 0, "max_attempts": 3, "retry_other": False, "hints": {},
               "submitted_us": node.base_us}
    return {"execution": run.execution, "attempt": 1, "placement": 1, "code": run.code, "pool": "default",
            "node": node.name, "incarnation": node.incarnation, "request": request, "started_us": node.base_us,
            "ended_us": ended_us, "outcome": outcome, "cause": "MEMORY" if killed else "NONE",
            "exit_status": -1 if killed else 0, "signal": 9 if killed else 0, "detail": "",
            "totals": counters(peak, oom_kills=int(killed), cpu_usage_us=5_000_000), "first_limits": run.limits,
            "highest_limits": run.limits, "last_limits": run.limits, "peak_cpu_millicores": 900, "peak_io_bps": 0,
            "peak_net_bps": 0, "raised": [], "allocation_revision": 0, "adjustments": [], "adjustments_dropped": 0,
            "brakes": [], "arm": "TREATED", "propensity": 1.0, "series": points if series else [],
            "series_inclusion": 1.0, "series_stride": 1}


class Predict:
    """forestall-predict with its pages; restart keeps its name in the group."""

    def __init__(self, cluster, member="1", model="none", partitions=None, **options):
        self.cluster, self.member, self.starts = cluster, member, 0
        self.port, = free_ports(1)
        self.options = {"service.brokers": cluster.broker.bootstrap, "service.http_port": self.port,
                        "predict.member": member, "predict.model": model, "predict.executions": 4096,
                        **{f"predict.{key}": value for key, value in options.items()}}
        if partitions:
            self.options["service.partitions"] = partitions
        self.program = None

    def start(self, ready=True):
        self.starts += 1
        arguments = [f"--{key}={value}" for key, value in self.options.items()]
        self.program = self.cluster.start_program(f"predict-{self.member}-{self.starts}",
                                                  [self.cluster.program("forestall-predict"), *arguments])
        if ready:
            self.wait_ready()
        return self

    def page(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_ready(self, timeout_s=60):
        def ready():
            assert self.program.alive(), self.program.log_tail()
            return self.page("/readyz")[0] == 200
        wait_until(ready, timeout_s, lambda: f"predict to be ready: {self.page('/readyz')}")

    def metric(self, name):
        """Sum over labels; 0 when it is not shown."""
        total = 0.0
        for line in self.page("/metrics")[1].splitlines():
            series, _, value = line.rpartition(" ")
            if series.split("{")[0] == f"forestall_predict_{name}":
                total += float(value)
        return total

    def log(self):
        return pathlib.Path(self.program.log_path).read_text()


class Reader:
    """Follows one topic; `messages` holds everything decoded so far."""

    def __init__(self, cluster, topic, prefix=""):
        self.cluster, self.topic, self.full_name = cluster, topic, prefix + topic
        self.raw, self.messages, self.consumer = [], [], None
        self.connect()

    def connect(self):
        """Goes on with a client of its own, a new one after the broker was away (Cluster.wait_led)."""
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition
        if self.consumer:
            self.consumer.close()
        self.consumer = self.cluster.consumer()
        known = self.consumer.list_topics(self.full_name, 30).topics[self.full_name]
        read = {message.partition(): message.offset() + 1 for message in self.raw}
        self.consumer.assign([TopicPartition(self.full_name, number, read.get(number, OFFSET_BEGINNING))
                              for number in known.partitions])

    def read(self):
        while True:
            batch = self.consumer.consume(1000, 0.02)
            if not batch:
                return self.messages
            for message in batch:
                assert not message.error(), message.error()
                self.raw.append(message)
                value = message.value()
                if self.topic in TOPIC_MESSAGES:
                    value = CODEC.decode(value, TOPIC_MESSAGES[self.topic])[1] if value is not None else None
                self.messages.append(value)

    def wait(self, condition, timeout_s, what):
        """Returns the first true value of condition(messages). what: a text, or a function that makes it when it took too long."""
        return wait_until(lambda: condition(self.read()), timeout_s,
                          lambda: f"{what() if callable(what) else what}; got {len(self.messages)} messages, the last: {self.messages[-1:]}", 0.02)

    def of(self, run):
        return [message for message in self.messages if message and message["execution"] == run.execution]

    def close(self):
        self.consumer.close()


def committed(cluster, topic, group="forestall-predict"):
    """Sum of the group's committed offsets."""
    from confluent_kafka import TopicPartition
    consumer = cluster.consumer(group_id=group)
    try:
        known = consumer.list_topics(topic, 30).topics[topic]
        offsets = consumer.committed([TopicPartition(topic, number) for number in known.partitions], 30)
        return sum(max(offset.offset, 0) for offset in offsets)
    finally:
        consumer.close()
