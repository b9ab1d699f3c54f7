"""The corpus in the repository, and how it was chosen: what tests of the model rely on."""
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(os.environ["FORESTALL_SOURCE"])
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(ROOT / "collect"))
from corpus_reader import check_record, read_corpus  # noqa: E402
from programs import PROGRAMS  # noqa: E402
from sample import choose, write  # noqa: E402

SMALL = ROOT / "tests" / "model" / "corpus"


def test_small_corpus__every_record__agrees_with_its_line():
    corpus = read_corpus(SMALL)
    assert len(corpus) >= 40
    assert (SMALL / "small.records").stat().st_size == max(line["offset"] + line["size"] for line, _ in corpus) < 1500 << 10
    splits = {program.name: program.split for program in PROGRAMS}
    for line, record in corpus:
        check_record(line, record)
        assert line["split"] == splits[line["program"]]


def test_small_corpus__endings__every_cause_in_several_splits():
    lines = [line for line, _ in read_corpus(SMALL)]
    endings = {(line["outcome"], line["cause"]) for line in lines}
    assert endings >= {("finished", "none"), ("oom_killed", "memory"), ("timed_out", "cpu"), ("timed_out", "io"), ("timed_out", "net"),
                       ("crashed", "other")}
    assert {line["split"] for line in lines} == {"train", "validation", "test"}


def test_small_corpus__records__name_no_path_of_a_machine():
    for line, record in read_corpus(SMALL):
        assert record["node"] == "collect" and record["request"]["cwd"] == ""
        absolute = [word for word in record["request"]["argv"] if word.startswith("/")]
        assert all(word.startswith(("/usr/bin/", "/dev/null")) for word in absolute), line["key"]


def line_of(number, outcome="finished", cause="none", points=50, size=8):
    return {"key": f"k{number}", "program": f"p{number % 3}", "code": f"p{number % 3}", "kind": "free", "outcome": outcome, "cause": cause,
            "points": points, "size": size, "peak_bytes": number, "file": "a.records", "offset": number * 8}


def test_choose__rare_ending_among_many__comes_too():
    lines = [line_of(number) for number in range(50)] + [line_of(50, "oom_killed", "memory")]
    chosen = choose(lines, 8)
    assert len(chosen) == 8 and chosen == choose(list(reversed(lines)), 8)
    assert any(line["outcome"] == "oom_killed" for line in chosen)
    assert len({line["program"] for line in chosen}) == 3


def test_choose__short_or_large__left_out(tmp_path):
    assert choose([line_of(1, points=3), line_of(2, size=1 << 20)], 5) == []
    (tmp_path / "a.records").write_bytes(bytes(range(80)))
    assert write(tmp_path, [line_of(3), line_of(5), line_of(7)], tmp_path / "out", 16) == 2
    assert (tmp_path / "out/small.records").read_bytes() == bytes([*range(24, 32), *range(40, 48)])
    lines = [json.loads(text) for text in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert [(line["key"], line["offset"], line["file"]) for line in lines] == [("k3", 0, "small.records"), ("k5", 8, "small.records")]
