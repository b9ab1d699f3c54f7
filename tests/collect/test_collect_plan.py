"""The table of programs and the choice of limited runs: pure, so nothing is run here."""
import itertools
import os
import pathlib
import random
import sys

ROOT = pathlib.Path(os.environ["FORESTALL_SOURCE"])
sys.path.insert(0, str(ROOT / "collect"))
from cases import chosen_variants, endless_cases  # noqa: E402
from collector import portable  # noqa: E402
from command import CPU, FAULT, MEMORY, NET, READ, SCRIPTS, TEST, TRAIN, VALIDATION, Command, Variant  # noqa: E402
from plan import LEAST_LIMIT_BYTES, Measured, free_run, limited_runs  # noqa: E402
from programs import PROGRAMS, code_of  # noqa: E402

MIB = 1 << 20


def runs_of(traits, measured, command=None, seeds=200):
    variant = Variant("v", frozenset(traits), None)
    return [run for seed in range(seeds) for run in limited_runs(variant, command or Command(["x"]), measured, random.Random(seed))]


def test_table__every_program__in_one_split_with_distinct_codes():
    names = [program.name for program in PROGRAMS]
    assert len(names) == len(set(names)) >= 20
    splits = {split: [program for program in PROGRAMS if program.split == split] for split in (TRAIN, VALIDATION, TEST)}
    assert sum(map(len, splits.values())) == len(PROGRAMS) and len(splits[TEST]) >= 5
    for split, programs in splits.items():  # each can be scored on every cause
        traits = set().union(*(variant.traits for program in programs for variant in program.variants))
        assert {MEMORY, CPU, READ, NET, FAULT} <= traits, split
    for program in PROGRAMS:
        assert len({variant.name for variant in program.variants}) == len(program.variants)
        assert all(len(code_of(program, variant)) <= 128 for variant in program.variants)


def test_limited_runs__same_seed__same_runs():
    measured = Measured(4.0, 3.5, 200 * MIB)
    assert runs_of({MEMORY, CPU}, measured) == runs_of({MEMORY, CPU}, measured)
    assert free_run(random.Random(1)) == free_run(random.Random(1))


def test_limited_runs__growing__limits_on_both_sides_of_the_peak():
    peak = 200 * MIB
    runs = runs_of({MEMORY}, Measured(4.0, 3.5, peak))
    below = [run for run in runs if run.kind in ("oom", "near")]
    above = [run for run in runs if run.kind == "enough"]
    assert below and above
    assert all(LEAST_LIMIT_BYTES <= run.limits.memory_bytes < peak for run in below)
    assert all(run.limits.memory_bytes > peak for run in above)


def test_limited_runs__not_growing__never_below_the_peak():
    for run in runs_of({CPU, READ}, Measured(4.0, 3.5, 5 * MIB), Command(["x"], read_bytes=100 * MIB)):
        assert run.limits.memory_bytes == 0 or run.limits.memory_bytes > 5 * MIB


def test_limited_runs__deadlines__missed_and_met():
    command = Command(["x"], read_bytes=100 * MIB, sent_bytes=50 * MIB)
    measured = Measured(3.0, 2.8, 5 * MIB)
    runs = runs_of({CPU, READ, NET}, measured, command)
    kinds = {run.kind for run in runs}
    assert {"cpu-missed", "cpu-met", "read-missed", "read-met", "net-missed", "net-met"} <= kinds
    for run in runs:
        kind, _, end = run.kind.partition("-")
        if kind == "cpu":
            needed_s = max(measured.cpu_s * 1000 / run.limits.cpu_millicores, measured.duration_s)
        elif kind in ("read", "net"):
            needed_s = (100 * MIB / run.limits.io_read_bps) if kind == "read" else 50 * MIB / run.limits.net_egress_bps
        else:
            continue
        assert (run.timeout_ms / 1000 < needed_s) == (end == "missed")


def test_endless_cases__two_rounds__every_program_in_each_and_no_case_twice():
    cases = list(itertools.islice(endless_cases(chosen_variants(None), 1, 1.0), 400))
    assert len({case.name for case in cases}) == len(cases)
    for number in (0, 1):
        assert {case.program.name for case in cases if case.round == number} == {program.name for program in PROGRAMS}
    again = itertools.islice(endless_cases(chosen_variants(None), 1, 1.0), 400)
    assert [case.name for case in again] == [case.name for case in cases]


def test_portable__words_of_a_command__without_the_directory():
    directory = pathlib.Path("/somewhere/case-1")
    words = ["-T", directory, f"if={directory}/f1.bin", SCRIPTS / "python" / "leak.py", 7]
    assert [portable(word, directory) for word in words] == ["-T", ".", "if=f1.bin", "scripts/python/leak.py", "7"]
    assert portable(f"export HOME={directory} X=1; a --in={directory}", directory) == "export HOME=. X=1; a --in=."
