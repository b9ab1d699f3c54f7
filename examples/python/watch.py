#!/usr/bin/env python3
"""Follows risks and dead letters: a line of JSON for each. Ends with Ctrl-C, or after --count lines."""
import argparse
import json
import os
import uuid

from confluent_kafka import Consumer

from forestall_topics import Schemas


def line(topic, name, message):
    """What a dashboard or an alert would want."""
    if name == "DeadExecution":
        record = message["record"]
        return {"topic": topic, "code": record["code"], "execution": str(uuid.UUID(bytes=record["execution"])),
                "cause": record["cause"], "attempt": record["attempt"], "model": message["model_version"]}
    return {"topic": topic, "code": message["code"], "execution": str(uuid.UUID(bytes=message["execution"])),
            "probability": round(message["probability"], 3), "cause": message["cause"], "kind": message["kind"],
            "memory_bytes": message["memory_bytes"], "limit_bytes": message["limits"]["memory_bytes"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", default=os.environ.get("FORESTALL_BROKERS", "localhost:29092"))
    parser.add_argument("--prefix", default="", help="of the topics")
    parser.add_argument("--group", default="forestall-example-python")
    parser.add_argument("--code", help="only of this code")
    parser.add_argument("--count", type=int, default=0, help="end after so many lines")
    options = parser.parse_args()
    schemas = Schemas(options.brokers, options.prefix)
    consumer = Consumer({"bootstrap.servers": options.brokers, "group.id": options.group,
                         "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
    consumer.subscribe([options.prefix + "risks", options.prefix + "executions.dlq"])
    written = 0
    try:
        while not options.count or written < options.count:
            message = consumer.poll(1)
            if message is None or message.error() or message.value() is None:
                continue
            found = line(message.topic(), *schemas.decode(message.value()))
            if options.code in (None, found["code"]):
                print(json.dumps(found), flush=True)
                written += 1
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
