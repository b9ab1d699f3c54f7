"""Reading Forestall's topics: the schemas come from the topic `schemas`, so this works for every version, with and
without a schema registry."""
import io
import json
import time

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition


class Schemas:
    """Writer schemas by fingerprint and by registry id, read again when an unknown one is met."""

    def __init__(self, brokers, prefix=""):
        self.topic = prefix + "schemas"
        self.known = {}
        self.consumer = Consumer({"bootstrap.servers": brokers, "group.id": "forestall-example-schemas",
                                  "enable.auto.commit": False, "isolation.level": "read_committed"})
        self.consumer.assign([TopicPartition(self.topic, 0, OFFSET_BEGINNING)])

    def refresh(self, timeout_s=10):
        """Reads what was added since."""
        partition = TopicPartition(self.topic, 0)
        end = self.consumer.get_watermark_offsets(partition, 10)[1]
        deadline = time.monotonic() + timeout_s
        while self.consumer.position([partition])[0].offset < end and time.monotonic() < deadline:
            message = self.consumer.poll(0.5)
            if message is None or message.error() or message.value() is None:
                continue
            schema = json.loads(message.value())
            self.known[message.key().decode()] = (schema["name"], fastavro.parse_schema(schema, named_schemas={}))
            if message.offset() + 1 >= end:
                break

    def _find(self, key):
        if key not in self.known:
            self.refresh()
        if key not in self.known:
            raise ValueError(f"nobody put schema {key} into {self.topic}")
        return self.known[key]

    def decode(self, value):
        """(name of the message, message as a dictionary)"""
        if value[:2] == b"\xc3\x01":
            key, body = f"{int.from_bytes(value[2:10], 'little'):016x}", value[10:]
        elif value[:1] == b"\x00":
            key, body = f"{int.from_bytes(value[1:5], 'big'):08x}", value[5:]
        else:
            raise ValueError(f"framed in no way we know: {value[:10].hex()}")
        name, schema = self._find(key)
        return name, fastavro.schemaless_reader(io.BytesIO(body), schema, None)

    def writer(self, name):
        """(fingerprint in 8 bytes as on the wire, schema) of the newest schema of this name."""
        self.refresh()
        for key, (known, schema) in reversed(self.known.items()):
            if known == name and len(key) == 16:
                return int(key, 16).to_bytes(8, "little"), schema
        raise ValueError(f"no schema of {name} in {self.topic}: was a service ever started on this Kafka?")
