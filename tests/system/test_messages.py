"""schemas/*.avsc mean the same to another implementation of Avro as to the generated code."""
import io
import random
import re

import fastavro
import pytest
from fastavro.utils import generate_one

from cluster import BIN_DIRECTORY
from messages import TOPIC_MESSAGES, MessageCodec

codec = MessageCodec()


@pytest.mark.parametrize("name", codec.names())
def test_fingerprint__generated_code__equal(name):
    generated = (BIN_DIRECTORY.parent / "schemas" / "messages.c").read_text()
    found = re.search(rf'= \{{"{name}", 0x([0-9a-f]+)u', generated)
    assert found, f"no generated type named {name}"
    assert int(found.group(1), 16) == codec.fingerprint(name)


@pytest.mark.parametrize("name", codec.names())
def test_codec__random_message__read_back_equal(name):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    random.seed(seed)
    # once through the codec first: a float has 32 bits on the wire, and optional fields get their defaults
    raw = io.BytesIO()
    fastavro.schemaless_writer(raw, codec.schema(name), generate_one(codec.schema(name)))
    raw.seek(0)
    message = fastavro.schemaless_reader(raw, codec.schema(name), None)
    assert codec.decode(codec.encode(name, message), name) == (name, message)


def test_topics__every_message_named_has_a_schema():
    assert set(TOPIC_MESSAGES.values()) <= set(codec.names())


@pytest.mark.parametrize("value", [b"", b"\xc3", b"\x00\x00\x00\x00\x01x", b"\xc3\x01" + b"\xff" * 8])
def test_decode__not_ours__value_error(value):
    with pytest.raises(ValueError):
        codec.decode(value)
