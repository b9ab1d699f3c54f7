"""The messages of the topics, read and written by another implementation from schemas/*.avsc alone.

    codec = MessageCodec()
    value = codec.encode("ExecutionRequest", {...})      single-object encoding: C3 01, fingerprint, body
    name, message = codec.decode(value)
"""
import io
import json
import pathlib

import fastavro
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

MARKER = b"\xc3\x01"

# Which message each topic holds (quarantine and schemas hold no Avro).
TOPIC_MESSAGES = {
    "executions.requested": "ExecutionRequest",
    "executions.admitted": "Admission",
    "nodes": "NodeStatus",
    "telemetry": "Tick",
    "executions.events": "ExecutionEvent",
    "executions.finished": "ExecutionRecord",
    "risks": "Risk",
    "adjustments": "Adjustment",
    "allocations": "Allocation",
    "executions.dlq": "DeadExecution",
    "codes": "CodeProfile",
    "models": "Model",
    "verdicts": "Verdict",
    "policies": "CodePolicy",
    "executions.state": "ExecutionState",
}


class MessageCodec:
    def __init__(self, schema_directory=None):
        directory = pathlib.Path(schema_directory or pathlib.Path(__file__).resolve().parents[2] / "schemas")
        self._schemas = {}
        self._names = {}
        for path in sorted(directory.glob("*.avsc")):
            self.learn(path.read_text())

    def learn(self, text):
        """Adds a writer schema (JSON text), e.g. one read from the topic `schemas`; returns its message's name."""
        source = json.loads(text)
        # the specification's fingerprint, 8 bytes little-endian as on the wire
        mark = bytes.fromhex(fingerprint(to_parsing_canonical_form(source), "CRC-64-AVRO"))
        name = source["name"].rsplit(".", 1)[-1]
        schema = parse_schema(source, named_schemas={})
        self._schemas[mark] = (name, schema)
        self._names.setdefault(name, (mark, schema))
        return name

    def names(self):
        return sorted(self._names)

    def fingerprint(self, name):
        """CRC-64-AVRO of a message's schema as a number."""
        return int.from_bytes(self._names[name][0], "little")

    def schema(self, name):
        return self._names[name][1]

    def encode(self, name, message):
        mark, schema = self._names[name]
        body = io.BytesIO()
        fastavro.schemaless_writer(body, schema, message, strict=True)
        return MARKER + mark + body.getvalue()

    def decode(self, value, expected=None):
        """(name, message); ValueError when it is framed otherwise, unknown, not `expected`, or followed by more."""
        if value[:2] != MARKER:
            raise ValueError(f"no single-object encoding: {value[:10].hex()}")
        if value[2:10] not in self._schemas:
            raise ValueError(f"unknown schema {value[2:10].hex()}")
        name, schema = self._schemas[value[2:10]]
        if expected and name != expected:
            raise ValueError(f"{name} where {expected} belongs")
        body = io.BytesIO(value[10:])
        message = fastavro.schemaless_reader(body, schema, None)
        if body.read(1):
            raise ValueError(f"{name}: bytes after the message")
        return name, message
