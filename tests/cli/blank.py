"""Messages with every field there, zero or empty, from schemas/*.avsc: tests name only what they are about."""
import copy

from messages import MessageCodec

CODEC = MessageCodec()


def _blank(kind, named):
    if isinstance(kind, list):
        return None if "null" in kind else _blank(kind[0], named)
    if isinstance(kind, str):
        if kind in named:
            return _blank(named[kind], named)
        return {"string": "", "boolean": False, "bytes": b"", "float": 0.0, "double": 0.0}.get(kind, 0)
    what = kind["type"]
    if what == "record":
        named[kind["name"].rsplit(".", 1)[-1]] = named[kind["name"]] = kind
        return {field["name"]: _blank(field["type"], named) for field in kind["fields"]}
    if what in ("enum", "fixed"):
        named[kind["name"].rsplit(".", 1)[-1]] = named[kind["name"]] = kind
        return kind["symbols"][0] if what == "enum" else bytes(kind["size"])
    if what == "array":
        _blank(kind["items"], named)  # names may be defined inside
        return []
    if what == "map":
        return {}
    return _blank(what, named)


def merge(message, fields):
    for key, value in fields.items():
        assert key in message, key
        if isinstance(value, dict) and isinstance(message[key], dict) and message[key]:
            merge(message[key], value)
        else:
            message[key] = value
    return message


def blank(name, **fields):
    return merge(copy.deepcopy(_blank(CODEC.schema(name), {})), fields)


def blank_part(name, *path, **fields):
    """A record inside a message, e.g. blank_part("ExecutionRecord", "adjustments", "adjustment")."""
    schema, named = CODEC.schema(name), {}
    _blank(schema, named)
    for step in path:
        schema = next(field["type"] for field in schema["fields"] if field["name"] == step)
        while not (isinstance(schema, dict) and schema["type"] == "record"):
            if isinstance(schema, list):
                schema = next(part for part in schema if part != "null")
            elif isinstance(schema, str):
                schema = named[schema]
            else:
                schema = schema["items"] if schema["type"] == "array" else schema["type"]
    return merge(copy.deepcopy(_blank(schema, dict(named))), fields)
