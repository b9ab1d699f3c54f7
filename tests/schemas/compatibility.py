"""May the schemas be released as they are? Every schema against every version of it that was ever published, in both
directions: services read what older versions wrote (compacted topics keep it for ever), and while they are upgraded the
older ones read what newer ones write. The judge is Apache Avro's own checker.

    tests/support/python.sh tests/schemas/compatibility.py [DIRECTORY]    exit 1 with a line for each fault
    tests/support/python.sh tests/schemas/compatibility.py --publish      keep the present versions: part of a release
"""
import json
import pathlib
import sys

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import parse
from fastavro.schema import fingerprint, to_parsing_canonical_form

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
PUBLISHED = SCHEMAS / "published"


def canonical(text):
    return to_parsing_canonical_form(json.loads(text))


def _why_not(reader, writer):
    """None when what is written with writer can be read with reader, else the reasons."""
    try:
        result = ReaderWriterCompatibilityChecker().get_compatibility(parse(reader), parse(writer))
    except AvroException as error:
        return f"no valid schema: {error}"
    if result.compatibility is SchemaCompatibilityType.compatible:
        return None
    places = ", ".join(sorted(result.locations)) or "/"
    reasons = "; ".join(sorted(str(message) for message in result.messages))
    return f"{reasons} (at {places})"


def faults_between(published, present):
    """Reasons why present may not follow published; empty when it may. Both are JSON texts."""
    old, new = json.loads(published)["name"], json.loads(present)["name"]
    if old != new:
        return [f"the name changed from {old} to {new}"]
    found = []
    for reader, writer, words in ((present, published, "cannot read what was written before"),
                                  (published, present, "cannot be read by services not upgraded yet")):
        why = _why_not(reader, writer)
        if why:
            found.append(f"{words}: {why}")
    return found


def check(directory=SCHEMAS):
    """Faults of all schemas of a directory, as lines."""
    present = {path.stem: path.read_text() for path in sorted(pathlib.Path(directory).glob("*.avsc"))}
    lines = []
    for path in sorted(PUBLISHED.glob("*.avsc")):
        name = path.stem.split(".")[0]
        if name not in present:
            lines.append(f"{name}.avsc: it was published and is gone")
            continue
        for fault in faults_between(path.read_text(), present[name]):
            lines.append(f"{name}.avsc against {path.name}: {fault}")
    return lines


def publish():
    PUBLISHED.mkdir(exist_ok=True)
    for path in sorted(SCHEMAS.glob("*.avsc")):
        text = path.read_text()
        mark = fingerprint(canonical(text), "CRC-64-AVRO")
        kept = PUBLISHED / f"{path.stem}.{mark}.avsc"
        if not kept.exists():
            kept.write_text(text)  # the canonical form would drop the defaults
            print(kept.relative_to(SCHEMAS.parent))


def main(arguments):
    if arguments == ["--publish"]:
        faults = check()
        if not faults:
            publish()
    else:
        faults = check(*arguments[:1])
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
