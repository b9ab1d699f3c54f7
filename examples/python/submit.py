#!/usr/bin/env python3
"""Hands in an execution and prints its id: one record on executions.requested, keyed by the pool. Nothing else is needed."""
import argparse
import io
import os
import time
import uuid

import fastavro
from confluent_kafka import Producer

from forestall_topics import Schemas

LIMITS = ("memory_bytes", "cpu_millicores", "cpu_weight", "io_read_bps", "io_write_bps", "io_weight", "net_egress_bps",
          "net_priority")


def new_id():
    """UUIDv7: time, then chance."""
    raw = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    return bytes(raw)


def request(options):
    return {"action": "RUN", "execution": new_id(), "code": options.code or os.path.basename(options.command[0]),
            "pool": options.pool, "argv": options.command, "env": [f"PATH={os.environ.get('PATH', '/usr/bin:/bin')}"],
            "cwd": "", "user": options.user, "stdout_path": "", "stderr_path": "",
            "limits": {**dict.fromkeys(LIMITS, 0), "memory_bytes": options.memory << 20},
            "priority": options.priority, "timeout_ms": options.timeout * 1000, "max_attempts": options.attempts,
            "retry_other": False, "hints": {}, "submitted_us": time.time_ns() // 1000}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", default=os.environ.get("FORESTALL_BROKERS", "localhost:29092"))
    parser.add_argument("--prefix", default="", help="of the topics")
    parser.add_argument("--code", help="name under which Forestall learns of it [the program's name]")
    parser.add_argument("--pool", default="default")
    parser.add_argument("--user", default="", help="whom to run as [the agent's own]")
    parser.add_argument("--memory", type=int, default=0, help="MiB; 0: Forestall chooses")
    parser.add_argument("--priority", type=int, default=500)
    parser.add_argument("--timeout", type=int, default=0, help="seconds for one attempt; 0: none")
    parser.add_argument("--attempts", type=int, default=3)
    parser.add_argument("--count", type=int, default=1, help="hand it in so many times")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    options = parser.parse_args()

    fingerprint, schema = Schemas(options.brokers, options.prefix).writer("ExecutionRequest")
    # the partitioner of Java's client: whoever else reads by key finds it where it belongs
    producer = Producer({"bootstrap.servers": options.brokers, "enable.idempotence": True,
                         "partitioner": "murmur2_random"})
    failures = []
    for _ in range(options.count):
        message = request(options)
        body = io.BytesIO()
        fastavro.schemaless_writer(body, schema, message, strict=True)
        producer.produce(options.prefix + "executions.requested", b"\xc3\x01" + fingerprint + body.getvalue(),
                         options.pool.encode(), on_delivery=lambda error, _: error and failures.append(error))
        print(uuid.UUID(bytes=message["execution"]))
    if producer.flush(30) or failures:
        raise SystemExit(f"Kafka did not take it: {failures or 'no answer within 30 s'}")


if __name__ == "__main__":
    main()
