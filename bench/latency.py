"""From a sample's timestamp to the new limit in the kernel, through all services and a real Kafka broker.

    make bench-latency            EXECUTIONS=200 and PARTITIONS=1, what `forestall local` makes on a Kafka, by default

Starts a broker, a Redis and `forestall local`, runs so many executions at once whose memory grows past their limits,
and reads from the topics when each raise was sampled, predicted, decided and put in force. Prints one JSON object:
p50_ms, p99_ms, max_ms of the whole way, and the same of each hop.
"""
import json
import os
import pathlib
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "support"))
from cluster import Cluster  # noqa: E402
from messages import MessageCodec  # noqa: E402
from process import wait_until  # noqa: E402

EXECUTIONS = int(os.environ.get("EXECUTIONS", "200"))
PARTITIONS = int(os.environ.get("PARTITIONS", "1"))
LIMIT_BYTES = 24 << 20
# 64 KiB every 50 ms from about 4 MiB on: past 24 MiB after some 15 s, at a rate a program of this kind has
PROGRAM = ["perl", "-e", 'for (1 .. 480) { push @kept, "x" x 65536; select undef, undef, undef, 0.05 }']
HOPS = ["sample_to_predict", "predict", "risk_to_decision", "decision_to_kernel"]
NO_LIMITS = {"memory_bytes": 0, "cpu_millicores": 0, "cpu_weight": 0, "io_read_bps": 0, "io_write_bps": 0,
             "io_weight": 0, "net_egress_bps": 0, "net_priority": 0}


def request(number):
    now_ms = time.time_ns() // 1_000_000
    identity = bytearray(uuid.uuid4().bytes)
    identity[:6] = now_ms.to_bytes(6, "big")
    identity[6] = 0x70 | identity[6] & 0x0F
    return {"action": "RUN", "execution": bytes(identity), "code": f"bench-{number}", "pool": "default",
            "argv": PROGRAM, "env": ["PATH=" + os.environ["PATH"]], "cwd": "/", "user": "", "stdout_path": "/dev/null",
            "stderr_path": "/dev/null", "limits": {**NO_LIMITS, "memory_bytes": LIMIT_BYTES}, "priority": 0,
            "timeout_ms": 0, "max_attempts": 1, "retry_other": False, "hints": {}, "submitted_us": now_ms * 1000}


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def summary(values_ms):
    return {"p50_ms": round(percentile(values_ms, 0.5), 2), "p99_ms": round(percentile(values_ms, 0.99), 2),
            "max_ms": round(max(values_ms), 2)}


def run_executions(cluster, codec, count):
    """Requests so many at once and waits for their ends: {execution: outcome}."""
    requests = [request(number) for number in range(count)]
    producer = cluster.producer()
    for one in requests:
        producer.produce("executions.requested", codec.encode("ExecutionRequest", one), key=b"default")
    producer.flush(30)
    consumer = cluster.consumer(["executions.state"])
    waiting, outcomes = {one["execution"] for one in requests}, {}

    def all_done():
        for message in consumer.consume(500, 0.2):
            if message.error() or message.value() is None:
                continue
            state = codec.decode(message.value(), "ExecutionState")[1]
            if state["phase"] == "DONE" and state["execution"] in waiting:
                waiting.discard(state["execution"])
                outcomes[state["execution"]] = state["outcome"]
        return not waiting

    wait_until(all_done, 180, lambda: f"{count} executions to end, {len(outcomes)} did", 0)
    consumer.close()
    return outcomes


def measure(cluster, codec):
    """The first time that each raise was put in force. What allocate sends once more, because no sample has shown it yet,
    changes nothing in the kernel and is only counted."""
    risks = {(risk["execution"], risk["epoch"], risk["sequence"]): risk
             for _, risk in cluster.read_messages("risks", codec=codec)}
    whole, hops, repeats = [], {name: [] for name in HOPS}, 0
    for _, event in cluster.read_messages("executions.events", codec=codec):
        adjusted = event["adjusted"]
        if not adjusted or adjusted["result"] not in ("APPLIED", "PARTLY"):
            continue
        order = adjusted["adjustment"]
        risk = risks.get((order["execution"], order["epoch"], order["sequence"]))
        if order["direction"] != "RAISE" or not risk:
            continue
        if adjusted["after"] == adjusted["before"]:
            repeats += 1
            continue
        marks = [order["sampled_us"], risk["consumed_us"], risk["published_us"], order["decided_us"],
                 adjusted["applied_us"]]
        whole.append((marks[-1] - marks[0]) / 1000)
        for name, start, end in zip(HOPS, marks, marks[1:]):
            hops[name].append((end - start) / 1000)
    return whole, hops, repeats


def main():
    codec = MessageCodec()
    with Cluster() as cluster:
        state = cluster.directory / "state"
        cluster.start_program("local", [
            cluster.program("forestall"), "local", "--state", state, "--kafka", cluster.broker.bootstrap, "--redis",
            f"127.0.0.1:{cluster.redis.port}", "--node-memory", "20G", "--partitions", str(PARTITIONS)])
        wait_until((state / "local.json").exists, 90, "forestall local to be ready")
        started = time.monotonic()
        done = run_executions(cluster, codec, EXECUTIONS)
        seconds = time.monotonic() - started
        whole, hops, repeats = measure(cluster, codec)
        if not whole:
            raise SystemExit("no raise was put in force")
        outcomes = {name: list(done.values()).count(name) for name in sorted(set(done.values()))}
        print(json.dumps({"bench": "latency", "executions": EXECUTIONS, "partitions": PARTITIONS, "raises": len(whole),
                          "repeats": repeats, "seconds": round(seconds, 1), "outcomes": outcomes, **summary(whole),
                          "hops": {name: summary(values) for name, values in hops.items()}}))


if __name__ == "__main__":
    main()
