"""A message as another version of Forestall writes it: one more field at its front, so other bytes and another fingerprint.

    other = OtherVersion("code_policy.avsc")
    producer.produce("schemas", other.text, other.key)
    value = other.encode({...})      a message of this version's fields
"""
import copy
import io
import json
import pathlib

import fastavro
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

from messages import MARKER

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"


class OtherVersion:
    def __init__(self, file):
        source = json.loads((SCHEMAS / file).read_text())
        source["fields"].insert(0, {"name": "more", "type": "long"})
        self.text = json.dumps(source).encode()
        self.mark = bytes.fromhex(fingerprint(to_parsing_canonical_form(source), "CRC-64-AVRO"))
        self.key = f"{int.from_bytes(self.mark, 'little'):016x}".encode()
        self.schema = parse_schema(copy.deepcopy(source), named_schemas={})

    def encode(self, message):
        body = io.BytesIO()
        fastavro.schemaless_writer(body, self.schema, {"more": 42, **message}, strict=True)
        return MARKER + self.mark + body.getvalue()
