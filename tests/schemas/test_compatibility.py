"""Schemas may only change in ways that older and newer services both read; each way not to is refused here."""
import json
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from compatibility import PUBLISHED, SCHEMAS, check, faults_between  # noqa: E402

PROGRAM = pathlib.Path(__file__).resolve().parent / "compatibility.py"


def schema(name):
    return json.loads((SCHEMAS / f"{name}.avsc").read_text())


def field(record, name):
    return next(field for field in record["fields"] if field["name"] == name)


def drop(record, name):
    record["fields"].remove(field(record, name))


REFUSED = {
    "a field without a default": ("risk", lambda risk: risk["fields"].append({"name": "more", "type": "long"})),
    "a field without a default is gone": ("risk", lambda risk: drop(risk, "probability")),
    "a text becomes a number": ("risk", lambda risk: field(risk, "code").update(type="long")),
    "a wider number, which older services cannot read": ("risk", lambda risk: field(risk, "attempt").update(type="long")),
    "one symbol more": ("risk", lambda risk: field(risk, "kind")["type"]["symbols"].append("OTHER_KIND")),
    "one symbol less": ("risk", lambda risk: field(risk, "kind")["type"]["symbols"].pop()),
    "another name": ("risk", lambda risk: risk.update(name="Danger")),
    "a type that others name": ("allocation", lambda allocation: drop(allocation, "limits")),
    "inside a record": ("dead_execution",
                        lambda dead: drop(field(dead, "record")["type"], "code")),
}


def test_schemas__as_they_are__follow_what_was_published():
    assert len(list(PUBLISHED.glob("*.avsc"))) >= len(list(SCHEMAS.glob("*.avsc")))
    assert check() == []


@pytest.mark.parametrize("change", REFUSED)
def test_deliberate_change__incompatible__refused(change):
    name, alter = REFUSED[change]
    before = json.dumps(schema(name))
    changed = schema(name)
    alter(changed)
    faults = faults_between(before, json.dumps(changed))
    print(change, faults)
    assert faults and all("\n" not in fault for fault in faults)


def test_addition__with_a_default__allowed():
    changed = schema("risk")
    changed["fields"].append({"name": "more", "type": "long", "default": 0, "doc": "more"})
    assert faults_between(json.dumps(schema("risk")), json.dumps(changed)) == []


def test_program__directory_with_one_bad_change__fails_and_names_the_file(tmp_path):
    for path in SCHEMAS.glob("*.avsc"):
        (tmp_path / path.name).write_text(path.read_text())
    changed = schema("allocation")
    drop(changed, "reason")
    (tmp_path / "allocation.avsc").write_text(json.dumps(changed))
    done = subprocess.run([sys.executable, PROGRAM, tmp_path], capture_output=True, text=True)
    print(done.stderr)
    assert done.returncode == 1
    assert "allocation.avsc against allocation." in done.stderr and "risk.avsc" not in done.stderr
