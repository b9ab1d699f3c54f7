"""Queue, node and learning as the command line tool sees them: takes requests, runs their programs as plain processes,
and writes states, events, records, allocations and profiles. No limits, no prediction; what happens beyond that is said
by `plays`, a list of functions called as play(queue, request, attempt) for the attempts to come; each returns the fields
of the record that differ, or None for a plain run.
"""
import contextlib
import os
import signal
import subprocess
import threading
import time

from blank import CODEC, blank, blank_part
from confluent_kafka import KafkaException, TopicPartition
from process import wait_until

MIB = 1 << 20
TOPICS = ("executions.requested", "executions.admitted", "nodes", "telemetry", "executions.events", "executions.finished",
          "risks", "adjustments", "allocations", "executions.dlq", "codes", "verdicts", "policies", "executions.state")


def create_topics(cluster, partitions=4):
    cluster.create_topics({**{name: partitions for name in TOPICS}, "models": 1, "schemas": 1, "quarantine": 1})


def ends_of(consumer, topic):
    """Where each partition ends; a topic that was just made may have no leader yet."""
    def ask():
        try:
            places = [TopicPartition(topic, number) for number in consumer.list_topics(topic, 30).topics[topic].partitions]
            for place in places:
                place.offset = consumer.get_watermark_offsets(place, 30)[1]
            return places
        except KafkaException:
            return None
    return wait_until(ask, 30, f"the leaders of {topic}")


def now_us():
    return time.time_ns() // 1000


def producer_of(cluster):
    """One for all: a fresh idempotent producer needs half a second before its first message."""
    if not hasattr(cluster, "cli_test_producer"):
        cluster.cli_test_producer = cluster.producer(linger_ms=0)
    return cluster.cli_test_producer


class FakeQueue:
    def __init__(self, cluster, plays=()):
        self.cluster, self.plays = cluster, list(plays)
        self.producer = producer_of(cluster)
        self.requests, self.cancelled, self.offsets = [], set(), {}
        self.stopping = threading.Event()
        self.lock, self.running = threading.Lock(), {}  # execution -> its process
        self.threads = [threading.Thread(target=self._serve, daemon=True)]

    def __enter__(self):
        self.consumer = self.cluster.consumer()
        self.consumer.assign(ends_of(self.consumer, "executions.requested"))  # from now on
        self.threads[0].start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        with self.lock:
            running = list(self.running)
        for execution in running:
            self._kill(execution)
        for thread in self.threads:
            thread.join(30)
        self.consumer.close()

    def send(self, topic, name, message, key):
        self.producer.produce(topic, CODEC.encode(name, message), key, on_delivery=self._delivered)
        self.producer.flush(30)

    def _delivered(self, error, message):
        assert error is None, error
        self.offsets[message.topic()] = (message.partition(), message.offset())

    def _serve(self):
        while not self.stopping.is_set():
            message = self.consumer.poll(0.05)
            if message is None or message.error():
                continue
            request = CODEC.decode(message.value(), "ExecutionRequest")[1]
            if request["action"] == "CANCEL":
                self.cancelled.add(request["execution"])
                self._kill(request["execution"])
                continue
            self.requests.append(request)
            thread = threading.Thread(target=self._live, args=(request,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def state(self, request, phase, **fields):
        state = blank("ExecutionState", execution=request["execution"], phase=phase, node="node-1", changed_us=now_us(),
                      enqueued_us=request["submitted_us"], limits=request["limits"], arm="TREATED",
                      cancel_asked=request["execution"] in self.cancelled, **fields)
        state["request"] = request
        partition = self.partition_of_pool(request["pool"])
        self.producer.produce("executions.state", CODEC.encode("ExecutionState", state), request["execution"],
                              partition=partition)
        self.producer.flush(30)

    def partition_of_pool(self, pool):
        """Where the pool's own topics are: asked of Kafka by writing an event."""
        self.event(blank("ExecutionEvent", kind="ACCEPTED", pool=pool))
        return self.offsets["executions.events"][0]

    def event(self, event):
        self.send("executions.events", "ExecutionEvent", event, event["pool"].encode())

    def _run(self, request, attempt):
        def open_output(path):
            return open(path.replace("{attempt}", str(attempt)), "ab") if path else subprocess.DEVNULL
        try:
            process = subprocess.Popen(request["argv"], env=dict(entry.split("=", 1) for entry in request["env"]),
                                       cwd=request["cwd"] or None, stdin=subprocess.DEVNULL,
                                       stdout=open_output(request["stdout_path"]),
                                       stderr=open_output(request["stderr_path"]), start_new_session=True)
        except OSError:
            return 127
        execution = request["execution"]
        with self.lock:
            self.running[execution] = process
        if execution in self.cancelled or self.stopping.is_set():  # nobody knew of it when that was said
            self._kill(execution)
        status = process.wait()
        with self.lock:
            del self.running[execution]
        return status

    def _kill(self, execution):
        with self.lock, contextlib.suppress(ProcessLookupError):
            if execution in self.running:
                os.killpg(self.running[execution].pid, signal.SIGKILL)

    def _live(self, request):
        self.state(request, "WAITING", attempt=1)
        for attempt in range(1, request["max_attempts"] + 1):
            record = self._attempt(request, attempt)
            if record["outcome"] in ("FINISHED", "KILLED", "CRASHED"):
                break
        self.state(request, "DONE", attempt=attempt, reason=record["detail"], dead_lettered=record["dead"],
                   first_started_us=record["started_us"], memory_peak_bytes=record["totals"]["memory_peak_bytes"],
                   **{field: record[field] for field in ("outcome", "cause", "exit_status", "signal")})

    def _attempt(self, request, attempt):
        started = now_us()
        common = {"execution": request["execution"], "attempt": attempt, "code": request["code"], "pool": request["pool"],
                  "node": "node-1"}
        self.state(request, "RUNNING", attempt=attempt, first_started_us=started)
        self.event(blank("ExecutionEvent", kind="STARTED", time_us=started, **common))
        status = self._run(request, attempt)
        fields = (self.plays.pop(0)(self, request, attempt) if self.plays else None) or {}
        killed = request["execution"] in self.cancelled
        outcome = "KILLED" if killed else "FINISHED" if status == 0 else "CRASHED"
        record = blank("ExecutionRecord", started_us=started, ended_us=now_us(), outcome=outcome,
                       exit_status=max(status, -1), signal=-status if status < 0 else 0, detail=f"status {status}",
                       cause="NONE" if outcome != "CRASHED" else "OTHER", first_limits=request["limits"],
                       highest_limits=request["limits"], last_limits=request["limits"], **common)
        record["request"] = request
        record.update({key: value for key, value in fields.items() if key != "dead"})
        self.event(blank("ExecutionEvent", kind="FINISHED", time_us=now_us(), outcome=record["outcome"], **common))
        self.send("executions.finished", "ExecutionRecord", record, request["code"].encode())
        return {**record, "dead": fields.get("dead", False)}


def limits(memory_bytes):
    return blank_part("ExecutionRecord", "first_limits", memory_bytes=memory_bytes)


def raised(execution, attempt, before, after, applied_us, decision=1, result="APPLIED"):
    adjustment = blank_part("Adjustment", execution=execution, attempt=attempt, decision=decision, direction="RAISE",
                            cause="MEMORY", probability=0.875, reason=f"from {before} to {after}", node="node-1",
                            sampled_us=applied_us - 20000, decided_us=applied_us - 5000, limits=limits(after))
    return blank_part("ExecutionRecord", "adjustments", adjustment=adjustment, result=result, applied_us=applied_us,
                      before=limits(before), after=limits(after), memory_bytes=before - MIB)


