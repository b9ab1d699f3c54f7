"""What stands around queue in its tests: agents as Python sees them, and what is read from the topics.

    node = FakeNode(cluster, "node-a", "pool-1"); node.start()
    submit(cluster, request(pool="pool-1", code="x"))
    node.wait_for(execution)

A FakeNode keeps the rules of the real agent: it answers each placement once for good, runs only unexpired placements for
its own incarnation, and refuses what does not fit. What it does with an accepted attempt is said by `node.plays`.
"""
import collections
import math
import os
import pathlib
import re
import sys
import threading
import time
import urllib.request
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from messages import MessageCodec  # noqa: E402
from process import free_ports, wait_until  # noqa: E402

CODEC = MessageCodec()
MIB = 1 << 20
STATUS_S = 1  # between two statuses of a node
LIMITS = {"memory_bytes": 0, "cpu_millicores": 0, "cpu_weight": 0, "io_read_bps": 0, "io_write_bps": 0, "io_weight": 0,
          "net_egress_bps": 0, "net_priority": 0}
RATIONED = ("memory_bytes", "cpu_millicores", "io_read_bps", "io_write_bps", "net_egress_bps")
TOPICS = {name: 4 for name in (
    "executions.requested", "executions.admitted", "nodes", "telemetry", "executions.events", "executions.finished", "risks",
    "adjustments", "allocations", "executions.dlq", "codes", "verdicts", "policies", "executions.state")}


def now_us():
    return time.time_ns() // 1000


def limits(**amounts):
    return {**LIMITS, **amounts}


def new_id():
    """UUIDv7."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return value.to_bytes(16, "big")


def request(execution=None, **fields):
    return {"action": "RUN", "execution": execution or new_id(), "code": "code", "pool": "pool", "argv": ["/bin/true"],
            "env": [], "cwd": "", "user": "", "stdout_path": "", "stderr_path": "", "limits": limits(memory_bytes=64 * MIB),
            "priority": 0, "timeout_ms": 0, "max_attempts": 3, "retry_other": False, "hints": {},
            "submitted_us": now_us(), **fields}


def producer_of(cluster):
    """One for all: a fresh idempotent producer needs half a second before its first message."""
    if not hasattr(cluster, "queue_test_producer"):
        cluster.queue_test_producer = cluster.producer(linger_ms=1)
    return cluster.queue_test_producer


def submit(cluster, *requests, partition=None):
    producer = producer_of(cluster)
    for one in requests:
        where = {} if partition is None else {"partition": partition}
        producer.produce("executions.requested", CODEC.encode("ExecutionRequest", one), one["pool"].encode(), **where)
    assert producer.flush(30) == 0


def cancel(cluster, execution, pool):
    submit(cluster, request(execution, action="CANCEL", pool=pool, argv=[], max_attempts=0))


def verdict_for(admission, cause="MEMORY", retry=True, memory_bytes=None, **fields):
    wanted = dict(admission["limits"])
    if memory_bytes:
        wanted["memory_bytes"] = memory_bytes
    return {"execution": admission["request"]["execution"], "attempt": admission["attempt"],
            "code": admission["request"]["code"], "pool": admission["request"]["pool"], "cause": cause, "retry": retry,
            "dead_lettered": False, "limits": wanted, "revision": 5, "reason": "as the test says", "decided_us": now_us(),
            **fields}


def judge(cluster, verdict, times=1):
    producer = producer_of(cluster)
    for _ in range(times):
        producer.produce("verdicts", CODEC.encode("Verdict", verdict), verdict["pool"].encode())
    assert producer.flush(30) == 0


class FakeNode:
    """One agent. Everything happens on its own thread; `lock` guards what tests look at."""

    def __init__(self, cluster, name, pool, memory_mib=1000, cpu=4000, incarnation=None, boot_id="boot-1"):
        self.cluster, self.name, self.pool = cluster, name, pool
        self.capacity = limits(memory_bytes=memory_mib * MIB, cpu_millicores=cpu)
        self.incarnation = incarnation or uuid.uuid4().bytes
        self.boot_id, self.epoch = boot_id, 1
        self.plays = {}          # code -> function(node, admission), called once for each accepted attempt
        self.connected = True    # cut off: neither hears nor speaks; what it has to say waits
        self.periods = 0         # of STATUS_S that it lived through, also while cut off
        self.deaf = False        # hears nothing, but its status goes out
        self.answers = {}        # (execution, attempt) -> (placement, "ran"/"refused")
        self.running = {}        # execution -> admission
        self.accepted = collections.Counter()  # (execution, attempt) -> times started
        self.admissions = []     # all that reached it
        self.cancelled = []
        self.spool = []
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.producer = cluster.producer(linger_ms=1)
        self.thread = None

    # --- life ---

    def start(self):
        from confluent_kafka import OFFSET_END, TopicPartition
        consumer = self.cluster.consumer()
        known = consumer.list_topics("executions.admitted", 30).topics["executions.admitted"]
        ends = [TopicPartition("executions.admitted", number,
                               consumer.get_watermark_offsets(TopicPartition("executions.admitted", number), 30)[1])
                for number in known.partitions]
        consumer.assign(ends)
        self.thread = threading.Thread(target=self._run, args=(consumer,), daemon=True)
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        if self.thread:
            self.thread.join(30)
        self.producer.flush(10)

    def _run(self, consumer):
        spoke = 0.0
        while not self.stopping.is_set():
            for message in consumer.consume(100, 0.02):
                if message.error() or message.key() != self.name.encode():
                    continue
                admission = CODEC.decode(message.value(), "Admission")[1]
                with self.lock:
                    if self.connected and not self.deaf:
                        self._take(admission)
            with self.lock:
                due = time.monotonic() - spoke >= STATUS_S
                if due:
                    spoke = time.monotonic()
                    self.periods += 1
                if self.connected:
                    self._send_spool()
                    if due:
                        self.send_status()
            self.producer.poll(0)
        consumer.close()

    def wait_periods(self, seconds):
        """Until it has lived through so many seconds' worth of statuses, told or not."""
        wanted = self.periods + math.ceil(seconds / STATUS_S)
        wait_until(lambda: self.periods >= wanted, 10 * seconds + 30, f"{wanted} periods of {self.name}")

    # --- speaking ---

    def event(self, admission, kind, **fields):
        """Spooled: it goes out when the node is connected."""
        with self.lock:
            self.spool.append({
                "kind": kind, "pool": self.pool, "node": self.name, "incarnation": self.incarnation, "epoch": self.epoch,
                "execution": admission["request"]["execution"], "attempt": admission["attempt"],
                "placement": admission["placement"], "code": admission["request"]["code"], "time_us": now_us(),
                "reason": "", "limits": admission["limits"], "short_of": "NONE", "outcome": "NONE", "cause": "NONE",
                "exit_status": 0, "signal": 0, "memory_peak_bytes": 0, "adjusted": None, **fields})

    def _send_spool(self):
        for event in self.spool:
            self.producer.produce("executions.events", CODEC.encode("ExecutionEvent", event), self.pool.encode())
        self.spool.clear()

    def committed(self):
        total = dict(LIMITS)
        for admission in self.running.values():
            for key in RATIONED:
                total[key] += admission["limits"][key]
        return total

    def status(self):
        committed = self.committed()
        return {"node": self.name, "pool": self.pool, "incarnation": self.incarnation, "epoch": self.epoch,
                "boot_id": self.boot_id, "time_us": now_us(), "version": "test", "draining": False,
                "capacity": self.capacity, "committed": committed,
                "free": {key: max(self.capacity[key] - committed[key], 0) for key in LIMITS}, "capabilities": [],
                "running": [{"execution": execution, "attempt": one["attempt"], "placement": one["placement"],
                             "code": one["request"]["code"], "limits": one["limits"], "memory_bytes": 0}
                            for execution, one in self.running.items()],
                "short": []}

    def send_status(self):
        self.producer.produce("nodes", CODEC.encode("NodeStatus", self.status()), self.pool.encode())
        self.producer.poll(0)

    # --- hearing ---

    def _take(self, admission):
        self.admissions.append(admission)
        key = (admission["request"]["execution"], admission["attempt"])
        known = self.answers.get(key)
        if admission["action"] == "CANCEL":
            self._cancel(admission, key, known)
        elif known and admission["placement"] <= known[0]:
            if known[1] == "refused" and known[0] == admission["placement"]:
                self.event(admission, "REFUSED", reason="refused before")
        elif known and known[1] == "ran":
            self.event(admission, "REFUSED", reason="this attempt ran here before")
        else:
            self._judge(admission, key)

    def _refuse(self, admission, key, reason, short_of="NONE"):
        self.answers[key] = (admission["placement"], "refused")
        self.event(admission, "REFUSED", reason=reason, short_of=short_of)

    def _judge(self, admission, key):
        committed = self.committed()
        short = [field for field in RATIONED if self.capacity[field] and admission["limits"][field] and
                 committed[field] + admission["limits"][field] >
                 self.capacity[field] * (0.9 if field == "memory_bytes" else 1)]
        if admission["incarnation"] != self.incarnation:
            self._refuse(admission, key, "for another incarnation of this node")
        elif admission["expires_us"] <= now_us():
            self._refuse(admission, key, "expired")
        elif short:
            self._refuse(admission, key, "no room", "MEMORY" if short[0] == "memory_bytes" else "CPU")
        else:
            self.answers[key] = (admission["placement"], "ran")
            self.accepted[key] += 1
            self.running[key[0]] = admission
            self.event(admission, "ACCEPTED")
            self.event(admission, "STARTED")
            self.plays.get(admission["request"]["code"], lambda node, one: None)(self, admission)

    def _cancel(self, admission, key, known):
        if admission["incarnation"] != self.incarnation:
            return
        if key[0] in self.running:
            self.cancelled.append(key)
            self.finish(self.running[key[0]], "KILLED")
        elif not known or (known[1] != "ran" and known[0] < admission["placement"]):
            self._refuse(admission, key, "cancelled before it ran here")

    # --- what plays and tests do with a running attempt ---

    def finish(self, admission, outcome="FINISHED", cause="NONE", **fields):
        with self.lock:
            self.running.pop(admission["request"]["execution"], None)
            told = {"exit_status": 0 if outcome == "FINISHED" else 1, "memory_peak_bytes": 10 * MIB, **fields}
            self.event(admission, "FINISHED", outcome=outcome, cause=cause, **told)

    def wait_for(self, execution, attempt=None, timeout_s=30):
        """The admission of an attempt that it runs."""
        def running():
            with self.lock:
                one = self.running.get(execution)
                return one if one and attempt in (None, one["attempt"]) else None
        return wait_until(running, timeout_s, f"{self.name} to run {execution.hex()} attempt {attempt}")


def finishes(node, admission):
    node.finish(admission)


class Queue:
    """forestall-queue under test; options in short form: lease="3s"; kafka: librdkafka's."""

    def __init__(self, cluster, member="1", env=None, kafka=None, **options):
        self.cluster, self.member, self.env, self.kafka = cluster, member, env or {}, kafka or {}
        self.port, = free_ports(1)
        self.options, self.starts, self.program = options, 0, None

    def start(self, wait=True):
        self.starts += 1
        argv = [self.cluster.program("forestall-queue"), f"--service.brokers={self.cluster.broker.bootstrap}",
                f"--service.http_port={self.port}", f"--queue.member={self.member}", "--kafka.reconnect.backoff.max.ms=500"]
        if self.cluster.redis:
            argv.append(f"--service.redis=127.0.0.1:{self.cluster.redis.port}")
        argv += [f"--queue.{key}={value}" for key, value in self.options.items()]
        argv += [f"--kafka.{key}={value}" for key, value in self.kafka.items()]
        self.program = self.cluster.start_program(f"queue-{self.member}-{self.starts}", argv, self.env)
        if wait:
            self.wait_ready()
        return self

    def get(self, page):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{page}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def wait_ready(self, timeout_s=60):
        def ready():
            assert self.program.alive(), self.program.log_tail()
            return "caught up" in self.get("readyz") or self.get("readyz").strip() in ("ok", "ready")
        wait_until(ready, timeout_s, lambda: "queue to be ready: " + self.program.log_tail(), 0.05)

    def metric(self, name):
        found = re.search(rf"^forestall_queue_{name} (\S+)$", self.get("metrics"), re.M)
        return float(found.group(1)) if found else None

    def log(self):
        return pathlib.Path(self.program.log_path).read_text()

    def wait_metric(self, name, value, timeout_s=30):
        wait_until(lambda: (self.metric(name) or 0) >= value, timeout_s,
                   lambda: f"{name} {value}, is {self.metric(name)}", 0.05)

    def stop(self):
        status = self.program.stop()
        assert status == 0, self.program.log_tail()

    def kill(self):
        self.program.kill()


def wait_group_empty(cluster, timeout_s=60):
    """Until the broker has put every member out of queue's group, which it does when their sessions end."""
    from confluent_kafka import KafkaError, KafkaException
    passing = (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    admin = cluster.admin()

    def empty():
        try:
            return not admin.describe_consumer_groups(["forestall-queue"])["forestall-queue"].result(30).members
        except KafkaException as error:
            if error.args[0].code() in passing:
                return False
            raise
    wait_until(empty, timeout_s, "the group to be empty", 0.1)


def in_transaction(admin):
    """Whether there are states of executions that are neither committed nor aborted."""
    from confluent_kafka import IsolationLevel, TopicPartition
    from confluent_kafka.admin import OffsetSpec
    ends = [TopicPartition("executions.state", number) for number in range(TOPICS["executions.state"])]

    def read(level):
        found = admin.list_offsets({end: OffsetSpec.latest() for end in ends}, isolation_level=level)
        return [found[end].result(30).offset for end in ends]
    return read(IsolationLevel.READ_COMMITTED) != read(IsolationLevel.READ_UNCOMMITTED)


class States:
    """Follows executions.state: the newest state of each execution and how often each became DONE."""

    def __init__(self, cluster):
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition
        self.consumer = cluster.consumer()
        known = self.consumer.list_topics("executions.state", 30).topics["executions.state"]
        self.consumer.assign([TopicPartition("executions.state", number, OFFSET_BEGINNING) for number in known.partitions])
        self.newest, self.history, self.partitions = {}, collections.defaultdict(list), {}

    def read(self):
        while True:
            messages = self.consumer.consume(500, 0.05)
            if not messages:
                return
            for message in messages:
                if message.error() or len(message.key()) != 16:
                    continue
                execution = message.key()
                self.partitions[execution] = message.partition()
                state = CODEC.decode(message.value(), "ExecutionState")[1] if message.value() else None
                self.newest[execution] = state
                if state:
                    self.history[execution].append(state)

    def wait(self, execution, condition, timeout_s=30):
        def there():
            self.read()
            state = self.newest.get(execution)
            return state if state and condition(state) else None
        return wait_until(there, timeout_s, lambda: f"a state of {execution.hex()}, is {self.newest.get(execution)}", 0)

    def done(self, execution, timeout_s=30):
        state = self.wait(execution, lambda one: one["phase"] == "DONE", timeout_s)
        return state

    def check_one_end(self, executions):
        """Exactly one terminal state each, and nothing after it."""
        self.read()
        for execution in executions:
            phases = [state["phase"] for state in self.history[execution]]
            assert phases.count("DONE") == 1 and phases[-1] == "DONE", (execution.hex(), phases)

    def close(self):
        self.consumer.close()
