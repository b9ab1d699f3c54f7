"""The stand around forestall-allocate: what predict, agents and people would write, and what it answers."""
import os
import pathlib
import re
import sys
import time
import urllib.request
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster  # noqa: E402
from messages import MessageCodec  # noqa: E402
from process import free_ports, wait_until  # noqa: E402

MIB = 1 << 20
NOTHING = {"memory_bytes": 0, "cpu_millicores": 0, "cpu_weight": 0, "io_read_bps": 0, "io_write_bps": 0, "io_weight": 0,
           "net_egress_bps": 0, "net_priority": 0}
INCARNATION = uuid.UUID(int=7).bytes


def limits(memory_mib=0, **more):
    return {**NOTHING, "memory_bytes": memory_mib * MIB, **more}


def now_us():
    return time.time_ns() // 1000


def quantiles(p50, p90=None, p99=None):
    return {"p50": float(p50), "p90": float(p90 or p50), "p99": float(p99 or p90 or p50)}


def new_execution():
    return uuid.uuid4().bytes


def default_of(schema, named):
    """A neutral value of an Avro type, so that a test names only the fields it is about."""
    if isinstance(schema, list):
        return default_of(schema[0], named)
    if isinstance(schema, str):
        if schema in named:
            return default_of(named[schema], named)
        return {"null": None, "boolean": False, "int": 0, "long": 0, "float": 0.0, "double": 0.0, "string": "",
                "bytes": b""}[schema]
    kind = schema["type"]
    if kind == "record":
        named[schema["name"]] = schema
        return {field["name"]: default_of(field["type"], named) for field in schema["fields"]}
    if kind == "fixed":
        named[schema["name"]] = schema
        return bytes(schema["size"])
    if kind == "enum":
        named[schema["name"]] = schema
        return schema["symbols"][0]
    return {"array": [], "map": {}}.get(kind, None) if kind in ("array", "map") else default_of(kind, named)


class Stand:
    """A broker, a Redis, forestall-allocate, and one producer for everybody else."""

    def __init__(self, cluster, **options):
        self.cluster = cluster
        self.codec = MessageCodec()
        self.options = {"allocate.replay_risks": "200", **options}
        self.http_port, = free_ports(1)
        self.number = 0
        self.program = None
        self._producer = None
        self._sequence = 0
        self.clock = now_us()

    # The program ---------------------------------------------------------------------------------------------------

    def start(self, wait=True, **options):
        self.number += 1
        arguments = {"service.brokers": self.cluster.broker.bootstrap, "service.redis": self.cluster.redis.address,
                     "service.http_port": self.http_port, **self.options, **options}
        self.program = self.cluster.start_program(
            f"allocate-{self.number}",
            [self.cluster.program("forestall-allocate"), *(f"--{key}={value}" for key, value in arguments.items())])
        if wait:
            self.wait_ready()
        return self

    def page(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/{path}", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_ready(self, timeout_s=40):
        def ready():
            assert self.program.alive(), self.program.log_tail()
            return self.page("readyz")[0] == 200
        wait_until(ready, timeout_s, lambda: f"readiness: {self.page('readyz')}\n{self.program.log_tail()}", 0.05)

    def metric(self, name, label=""):
        found = re.search(rf"^forestall_allocate_{name}{re.escape(label)} (\S+)$", self.page("metrics")[1], re.M)
        return float(found.group(1)) if found else None

    def log(self):
        return pathlib.Path(self.program.log_path).read_text()

    # What others write ---------------------------------------------------------------------------------------------

    @property
    def producer(self):
        if self._producer is None:
            self._producer = self.cluster.producer(linger_ms=0)
        return self._producer

    def write(self, topic, key, value):
        self.producer.produce(topic, value, key.encode() if isinstance(key, str) else key)
        assert self.producer.flush(30) == 0

    def send(self, topic, name, key, message):
        self.write(topic, key, self.codec.encode(name, message))

    def blank(self, name):
        return default_of(self.codec.schema(name), {})

    def risk(self, execution, code="demo", attempt=1, **fields):
        """A quiet sample of a program that uses half of 64 MiB; fields say what is different."""
        self._sequence += 1
        self.clock += 100_000
        return {**self.blank("Risk"), "execution": execution, "attempt": attempt, "code": code, "node": "node-1",
                "pool": "default", "incarnation": INCARNATION, "epoch": 1, "sequence": self._sequence,
                "sampled_us": self.clock, "consumed_us": self.clock, "published_us": self.clock, "horizon_ms": 10000,
                "kind": "REFRESH", "threshold": 0.5, "cause": "NONE", "limits": limits(64), "memory_bytes": 32 * MIB,
                "memory_peak_bytes": 32 * MIB, "memory": quantiles(33 * MIB), "tasks": 1,
                "started_us": self.clock - 3_000_000, "model_version": "model-1", **fields}

    def alarm(self, execution, used_mib=58, limit_mib=64, ahead_mib=90, probability=0.9, **fields):
        probabilities = {"memory": probability, "cpu": 0.0, "io": 0.0, "net": 0.0, "other": 0.0}
        return self.risk(execution, **{
            "kind": "CROSSING", "above": True, "probability": probability, "probabilities": probabilities, "cause": "MEMORY",
            "limits": limits(limit_mib), "memory_bytes": used_mib * MIB, "memory_peak_bytes": used_mib * MIB,
            "memory": quantiles(ahead_mib * MIB, ahead_mib * 1.1 * MIB, ahead_mib * 1.3 * MIB), **fields})

    def send_risk(self, risk):
        self.send("risks", "Risk", risk["code"], risk)

    def record(self, execution, code="demo", attempt=1, peak_mib=40, limit_mib=64, **fields):
        record = self.blank("ExecutionRecord")
        record["totals"]["memory_peak_bytes"] = int(peak_mib * MIB)
        record["request"].update(execution=execution, code=code, pool="default", argv=["program"], max_attempts=3)
        record.update(execution=execution, attempt=attempt, code=code, pool="default", node="node-1",
                      incarnation=INCARNATION, started_us=self.clock - 5_000_000, ended_us=self.clock,
                      outcome="FINISHED", first_limits=limits(limit_mib), highest_limits=limits(limit_mib),
                      last_limits=limits(limit_mib), series_inclusion=1.0, series_stride=1, propensity=1.0)
        record.update(fields)
        return record

    def oom(self, execution, limit_mib=64, raised=(), **fields):
        return self.record(execution, peak_mib=limit_mib, limit_mib=limit_mib, outcome="OOM_KILLED", cause="MEMORY",
                           signal=9, exit_status=-1, raised=list(raised), **fields)

    def send_record(self, record):
        self.send("executions.finished", "ExecutionRecord", record["code"], record)

    def send_policy(self, code="demo", **fields):
        policy = {**self.blank("CodePolicy"), "code": code, "updated_us": now_us(), "author": "a person", **fields}
        self.send("policies", "CodePolicy", code, policy)

    def send_status(self, node="node-1", capacity=None, free=None, running=(), short=(), capabilities=("brake",)):
        capacity = capacity or limits(4096, cpu_millicores=4000)
        status = {**self.blank("NodeStatus"), "node": node, "pool": "default", "incarnation": INCARNATION, "epoch": 1,
                  "boot_id": "boot", "time_us": now_us(), "version": "1", "capacity": capacity,
                  "free": free or capacity, "capabilities": list(capabilities), "running": list(running),
                  "short": list(short)}
        self.send("nodes", "NodeStatus", "default", status)

    # What it answers -----------------------------------------------------------------------------------------------

    def read(self, topic):
        """Everything in a topic so far, decoded."""
        return [message for _, message in self.cluster.read_messages(topic, codec=self.codec)]

    def wait_for(self, topic, condition=lambda message: True, count=1, timeout_s=20):
        """The messages of a topic that meet the condition, once there are so many."""
        found = []

        def enough():
            found[:] = [message for message in self.read(topic) if message is not None and condition(message)]
            return len(found) >= count
        wait_until(enough, timeout_s, lambda: f"{count} in {topic}, got {found}\n{self.program.log_tail()}", 0.05)
        return found

    def allocation_of(self, code="demo"):
        """The newest Allocation of a code in the topic; None after a tombstone."""
        newest = None
        for key, message in self.cluster.read_messages("allocations", codec=self.codec):
            if key.decode() == code:
                newest = message
        return newest

    def hash_of(self, code="demo"):
        return self.cluster.redis_client().hgetall(f"forestall:allocation:{{{code}}}")

    def wait_redis(self, code="demo", condition=None, timeout_s=20):
        """The hash of a code once it equals the newest Allocation and meets the condition."""
        def same():
            allocation, found = self.allocation_of(code), self.hash_of(code)
            return found if allocation and found == expected_hash(allocation) and (not condition or condition(found)) else None
        return wait_until(same, timeout_s, lambda: f"{self.hash_of(code)} to equal {self.allocation_of(code)}", 0.05)


def expected_hash(allocation):
    """What Redis must hold for an Allocation, from the contract alone."""
    before = allocation["before"]
    fields = {name: str(value) for name, value in allocation["limits"].items()}
    fields.update({f"before_{name}": str(before[name]) for name in ("memory_bytes", "cpu_millicores", "io_read_bps",
                                                                    "io_write_bps", "net_egress_bps")})
    fields.update(revision=str(allocation["revision"]), reason=allocation["reason"],
                  probability=f"{allocation['probability']:.6g}", raised=",".join(c.lower() for c in allocation["raised"]),
                  good_since_raise=str(allocation["good_since_raise"]), pinned="1" if allocation["pinned"] else "0",
                  held_out_permille=str(allocation["held_out_permille"]), memory_most_bytes=str(allocation["memory_most_bytes"]),
                  memory_by_input=",".join(f"{point['input_bytes']:.0f}:{point['memory_bytes']:.0f}"
                                           for point in allocation["by_input"]), runs=str(allocation["runs"]),
                  updated_us=str(allocation["updated_us"]))
    return fields


def open_stand(**options):
    cluster = Cluster().start()
    try:
        return Stand(cluster, **options).start()
    except BaseException:
        cluster.print_logs()
        cluster.close()
        raise
