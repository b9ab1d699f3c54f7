#!/usr/bin/env python3
"""Writes fingerprints.json and resolution.json beside itself with fastavro: what an implementation that is not ours says.

Run it after a change of schemas/*.avsc or of the cases below: tests/schemas/golden/generate.py
"""
import io
import json
import pathlib

import fastavro
import fastavro.schema

HERE = pathlib.Path(__file__).resolve().parent
SCHEMAS = HERE.parents[2] / "schemas"

# Schemas whose canonical form is not what they look like: name spaces, full names, attributes, nesting, white space.
FORMS = [
    '"null"', '"boolean"', '"int"', '"long"', '"float"', '"double"', '"bytes"', '"string"',
    '{"type": "long"}',
    '["null", {"type": "string", "logicalType": "x"}]',
    '{"type": "array", "items": {"type": "int"}}',
    '{"values": "bytes", "type": "map"}',
    '{"type": "fixed", "name": "F", "size": 16, "doc": "d"}',
    '{"type": "enum", "symbols": ["A", "B"], "name": "E", "namespace": "a.b", "default": "A", "aliases": ["Old"]}',
    '{"type": "record", "name": "a.b.R", "namespace": "ignored", "fields": ['
    ' {"name": "f", "doc": "d", "type": {"type": "fixed", "name": "Id", "size": 4}, "default": "\\u0001\\u0002\\u0003\\u0004"},'
    ' {"type": "Id", "name": "again", "order": "ignore"}, {"name": "far", "type": {"type": "enum", "name": "x.y.E", "symbols": []}}]}',
    '{"type": "record", "name": "R", "namespace": "n", "fields": [{"name": "inner", "type": {"type": "record", "name": "S",'
    ' "namespace": "m", "fields": [{"name": "l", "type": ["null", "S"], "default": null}]}}, {"name": "s", "type": "m.S"}]}',
    '{"type": "record", "name": "R", "fields": []}',
]


def record(*fields, name="R"):
    return {"type": "record", "name": name, "fields": [dict(zip(("name", "type", "default"), f)) for f in fields]}


ENUM_OLD = {"type": "enum", "name": "E", "symbols": ["A", "B", "C"]}
ENUM_NEW = {"type": "enum", "name": "E", "symbols": ["C", "A", "OTHER"], "default": "OTHER"}
POINT = record(("x", "int"), ("y", "double"), name="P")
POINT_NEW = record(("y", "double"), ("z", "string", "none"), ("x", "long"), name="P")

# (name, writer, reader, values). The reader's bytes of each value are what resolution must give; None: it must refuse.
CASES = [
    ("the same", record(("a", "int")), record(("a", "int")), [{"a": -1}]),
    ("added field with default", record(("a", "int")), record(("a", "int"), ("b", "string", "new")), [{"a": 7}]),
    ("added field in front", record(("a", "int")), record(("b", "long", -3), ("a", "int")), [{"a": 7}]),
    ("dropped field", record(("a", "int"), ("b", "string"), ("c", "double")), record(("a", "int"), ("c", "double")),
     [{"a": 1, "b": "x" * 300, "c": 0.5}]),
    ("reordered fields", record(("a", "string"), ("b", "long")), record(("b", "long"), ("a", "string")), [{"a": "s", "b": 1 << 40}]),
    ("defaults of every kind", record(("a", "int")),
     record(("i", "int", -5), ("l", "long", 1 << 40), ("f", "float", 1.5), ("d", "double", 2), ("t", "boolean", True), ("s", "string", "é"),
            ("b", "bytes", "\x01\x7f\x80ÿ"), ("x", {"type": "fixed", "name": "F", "size": 3}, "\x01ÿ\x80"), ("e", ENUM_OLD, "B"),
            ("n", ["null", "string"], None), ("u", ["string", "null"], "u"), ("v", {"type": "array", "items": "int"}, [1, 2, 3]),
            ("w", {"type": "array", "items": "int"}, []), ("m", {"type": "map", "values": "string"}, {"k": "v"}),
            ("r", POINT, {"x": 1, "y": 2.5}), ("a", "int")), [{"a": 9}]),
    ("promotions", record(("a", "int"), ("b", "int"), ("c", "int"), ("d", "long"), ("e", "long"), ("f", "float")),
     record(("a", "long"), ("b", "float"), ("c", "double"), ("d", "float"), ("e", "double"), ("f", "double")),
     [{"a": -70000, "b": 3, "c": -2, "d": 1 << 33, "e": -(1 << 50), "f": 0.1}]),
    ("string and bytes", record(("a", "string"), ("b", "bytes")), record(("a", "bytes"), ("b", "string")), [{"a": "é", "b": b"abc"}]),
    ("enum by symbol", record(("e", ENUM_OLD)), record(("e", ENUM_NEW)), [{"e": "A"}, {"e": "C"}, {"e": "B"}]),
    ("value into union", record(("a", "int")), record(("a", ["null", "long", "string"])), [{"a": 5}]),
    ("union out", record(("a", ["null", "int"])), record(("a", "int")), [{"a": 5}]),
    ("union to wider union", record(("a", ["null", "string"])), record(("a", ["string", "null", "long"])), [{"a": None}, {"a": "s"}]),
    ("array of records", record(("a", {"type": "array", "items": POINT})), record(("a", {"type": "array", "items": POINT_NEW})),
     [{"a": []}, {"a": [{"x": i, "y": i / 2} for i in range(5)]}]),
    ("map of records", record(("m", {"type": "map", "values": POINT})), record(("m", {"type": "map", "values": POINT_NEW})),
     [{"m": {"k": {"x": 1, "y": 2.0}}}]),
    ("named type again", record(("p", POINT), ("q", "P")), record(("q", POINT_NEW), ("p", "P")), [{"p": {"x": 1, "y": 2.0}, "q": {"x": 3, "y": 4.0}}]),
    ("skips every kind", record(("b", "bytes"), ("f", {"type": "fixed", "name": "F", "size": 3}), ("e", ENUM_OLD), ("n", ["null", "double"]),
                                ("m", {"type": "map", "values": {"type": "array", "items": POINT}}), ("t", "boolean"), ("g", "float"),
                                ("z", "null"), ("a", "int")), record(("a", "int")),
     [{"b": b"123", "f": b"abc", "e": "C", "n": 1.0, "m": {"k": [{"x": 1, "y": 2.0}], "l": []}, "t": True, "g": 1.0, "z": None, "a": 42}]),
]

REFUSED = [
    ("new field without default", record(("a", "int")), record(("a", "int"), ("b", "int")), {"a": 1}),
    ("narrowing", record(("a", "long")), record(("a", "int")), {"a": 1}),
    ("double to float", record(("a", "double")), record(("a", "float")), {"a": 1.0}),
    ("another kind", record(("a", "string")), record(("a", "long")), {"a": "1"}),
    ("unknown symbol", record(("e", ENUM_OLD)), record(("e", {"type": "enum", "name": "E", "symbols": ["A"]})), {"e": "B"}),
    ("null into value", record(("a", ["null", "int"])), record(("a", "int")), {"a": None}),
    ("no branch for it", record(("a", "string")), record(("a", ["null", "long"])), {"a": "s"}),
    ("another size", record(("a", {"type": "fixed", "name": "F", "size": 2})), record(("a", {"type": "fixed", "name": "F", "size": 3})), {"a": b"12"}),
]


def encode(schema, value):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


def inlined(schema, named):
    """The schema with each name replaced by what it names: fastavro does not look up a reader's names."""
    if isinstance(schema, dict):
        if "name" in schema:
            named[schema["name"]] = schema
        return {key: inlined(value, named) if key in ("type", "fields", "items", "values") else value
                for key, value in schema.items()}
    if isinstance(schema, list):
        return [inlined(part, named) for part in schema]
    return named.get(schema, schema)


def resolved(writer, reader, data):
    return fastavro.schemaless_reader(io.BytesIO(data), writer, inlined(reader, {}))


def fingerprint(schema):
    form = fastavro.schema.to_parsing_canonical_form(schema)
    return {"form": form, "fingerprint": fastavro.schema.fingerprint(form, "CRC-64-AVRO")}


def parse(schema):
    return fastavro.parse_schema(json.loads(json.dumps(schema)))


def case(name, writer, reader, value, refuse=False):
    data = encode(parse(writer), value)
    row = {"name": name, "writer": json.dumps(writer), "reader": json.dumps(reader), "bytes": data.hex()}
    try:
        got = resolved(parse(writer), parse(reader), data)
        for field in reader["fields"]:  # fastavro leaves defaults of bytes and fixed as the text in the schema
            kind = field["type"]["type"] if isinstance(field["type"], dict) else field["type"]
            if kind in ("bytes", "fixed") and isinstance(got[field["name"]], str):
                got[field["name"]] = got[field["name"]].encode("latin-1")
        row["resolved"] = encode(parse(reader), got).hex()
    except Exception:  # fastavro has no one type for "does not resolve"
        row["resolved"] = None
    assert (row["resolved"] is None) == refuse, row
    return row


def main():
    prints = [{"schema": text, **fingerprint(json.loads(text))} for text in FORMS]
    prints += [{"file": path.name, **fingerprint(json.loads(path.read_text()))} for path in sorted(SCHEMAS.glob("*.avsc"))]
    rows = [case(name, w, r, value) for name, w, r, values in CASES for value in values]
    rows += [case(name, w, r, value, refuse=True) for name, w, r, value in REFUSED]
    for name, content in (("fingerprints.json", prints), ("resolution.json", rows)):
        (HERE / name).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
