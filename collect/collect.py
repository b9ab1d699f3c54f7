#!/usr/bin/env python3
"""Runs real programs of Debian under many limits, loads and inputs and stores a record of each run: the training data.

A case is a program with one input, drawn from the seed. It runs without limits first, then under limits derived from what
that run needed. Cases go round by round over all programs, so a short collection is as varied as a long one. A collection
that was stopped, in whatever way, goes on where it was; started again with more seconds it grows."""
import argparse
import dataclasses
import itertools
import math
import os
import pathlib
import random
import select
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import machine  # noqa: E402
from command import NET, READ, SCRIPTS, WRITE, Maker  # noqa: E402
from network import NetworkUnavailable, open_network  # noqa: E402
from plan import Measured, free_run, limited_runs  # noqa: E402
from programs import PROGRAMS, code_of  # noqa: E402
from recorder import NotRecorded, Running  # noqa: E402
from store import Corpus, CorpusError  # noqa: E402

WORK_FREE_BYTES = 4 << 30   # what the inputs of a few cases may take
SUBTREE = "forestall-collect-"
MEMORY_LEAST_SHARE = 0.15  # of the machine's: an unlimited run must not take the rest of it
VARIANTS_PER_TURN = 3
FAILURES_MAX = 20           # recorders that fail one after the other: something is wrong with the machine


class Stopped(Exception):
    """SIGINT, SIGTERM or SIGHUP."""


def say(text):
    print(f"collect: {text}", flush=True)


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="collect.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, help="directory of the corpus (records and manifest.jsonl)")
    parser.add_argument("--recorder", type=pathlib.Path, help="forestall-record (default: of the release build)")
    parser.add_argument("--work", type=pathlib.Path, help="where inputs are made, on a disk (default: the corpus' directory)")
    parser.add_argument("--seconds", type=float, default=600, help="start no run after so long (default 600)")
    parser.add_argument("--runs", type=int, default=0, help="stop when the corpus has so many runs (default: no bound)")
    parser.add_argument("--max-mib", type=int, default=600, help="stop when the records take so much (default 600)")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side (default 1); more of them are each other's load")
    parser.add_argument("--seed", type=int, default=1, help="what inputs and limits are drawn from (default 1)")
    parser.add_argument("--size", type=float, default=1.0, help="scale of the inputs (default 1)")
    parser.add_argument("--only", action="append", metavar="PROGRAM[:VARIANT]", help="only this program; may be repeated")
    parser.add_argument("--list", action="store_true", help="show programs, splits and variants, and what is missing here")
    return parser.parse_args(arguments)


def default_recorder():
    root = pathlib.Path(__file__).resolve().parent.parent
    return pathlib.Path(os.environ.get("FORESTALL_BIN", root / "build" / "release" / "bin")) / "forestall-record"


def chosen_variants(only):
    """(program, variant) pairs asked for; ValueError names what is unknown."""
    pairs = [(program, variant) for program in PROGRAMS for variant in program.variants]
    if not only:
        return pairs
    known = {name for program, variant in pairs for name in (program.name, f"{program.name}:{variant.name}")}
    unknown = sorted(set(only) - known)
    if unknown:
        raise ValueError(f"no program {', '.join(unknown)}; --list shows them")
    return [(program, variant) for program, variant in pairs
            if program.name in only or f"{program.name}:{variant.name}" in only]


def list_programs():
    for program in PROGRAMS:
        where = machine.find_program(program.name) or f"MISSING: install {program.package}"
        print(f"{program.name:10} {program.split:10} {where}")
        for variant in program.variants:
            print(f"    {variant.name:14} {' '.join(sorted(variant.traits))}")


@dataclasses.dataclass(frozen=True)
class Case:
    program: object
    variant: object
    round: int
    seed: int
    size: float

    @property
    def name(self):
        return f"{self.program.name}/{self.variant.name}/{self.seed}-{self.round}"

    def chance(self, purpose):
        return random.Random(f"{self.name}/{self.size:g}/{purpose}")


def endless_cases(pairs, seed, size):
    """Each round has every program with some of its variants in turn, in a new order; who has many comes more often."""
    programs = {}
    for program, variant in pairs:
        programs.setdefault(program.name, []).append((program, variant))
    orders = {name: random.Random(f"{seed}/{name}").sample(choices, len(choices)) for name, choices in programs.items()}
    turns = {name: math.ceil(len(order) / VARIANTS_PER_TURN) for name, order in orders.items()}
    for number in itertools.count():
        cases = []
        for name, order in sorted(orders.items()):
            for turn in range(number * turns[name], (number + 1) * turns[name]):
                program, variant = order[turn % len(order)]
                cases.append(Case(program, variant, number, seed, size))
        yield from random.Random(f"{seed}/{number}").sample(cases, len(cases))


def portable(word, directory):
    """A word of a command line that runs in directory, without saying where that is: records name no path of this machine."""
    text = str(word)
    return "." if text == str(directory) else text.replace(f"{directory}/", "").replace(str(SCRIPTS), "scripts")


class Collector:
    """The loop: at most --jobs cases at once, each a generator that gives the next run and takes its result."""

    def __init__(self, options, corpus, work, has_disk):
        self.options, self.corpus, self.work, self.has_disk = options, corpus, work, has_disk
        self.subtree = f"{SUBTREE}{os.getpid()}-"  # and the run's number: recorders do not meet
        self.active = {}  # pidfd -> (generator, Running)
        self.deadline = time.monotonic() + options.seconds
        self.recorded = self.failures = self._number = 0

    def exhausted(self):
        options = self.options
        return (time.monotonic() >= self.deadline or 0 < options.runs <= len(self.corpus.lines)
                or self.corpus.bytes >= options.max_mib << 20)

    def run(self, cases):
        poller = select.poll()
        while True:
            while len(self.active) < self.options.jobs and not self.exhausted():
                self._advance(self._case(next(cases)), None, poller)
            if not self.active:
                return
            for descriptor, _ in poller.poll(1000):
                poller.unregister(descriptor)
                generator, running = self.active.pop(descriptor)
                self._advance(generator, running, poller)
            crowded = machine.memory_available_share() < MEMORY_LEAST_SHARE
            for _, running in self.active.values():
                if crowded or running.overdue():
                    running.end()

    def _advance(self, generator, finished, poller):
        try:
            running = next(generator) if finished is None else generator.send(finished)
        except StopIteration:
            return
        self.active[running.descriptor] = (generator, running)
        poller.register(running.descriptor, select.POLLIN)

    def close(self):
        for generator, running in self.active.values():
            running.close()
            generator.close()
        self.active.clear()
        for name in machine.cgroup_names(self.subtree):
            machine.remove_cgroups(name)

    def _case(self, case):
        """Generator: yields Running, is sent it back when it has ended."""
        directory = pathlib.Path(tempfile.mkdtemp(prefix="case-", dir=self.work))
        (directory / "tmp").mkdir()
        try:
            yield from self._runs(case, directory)
        except (NotRecorded, NetworkUnavailable) as error:
            self._note_failure(case, error)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _runs(self, case, directory):
        command = case.variant.build(Maker(directory, case.chance("input"), self.options.size))
        (directory / "scripts").symlink_to(SCRIPTS)
        program = machine.find_program(command.argv[0]) or command.argv[0]
        command.argv = [program, *(portable(word, directory) for word in command.argv[1:])]
        first = yield from self._record(case, directory, command, 0, free_run(case.chance("load")))
        if first is None or first["outcome"] == "killed":
            return
        measured = Measured(first["duration_ms"] / 1000, first["cpu_s"], first["peak_bytes"])
        runs = limited_runs(case.variant, command, measured, case.chance("limits"))
        for number, run in enumerate(runs, 1):
            if (run.limits.io_read_bps or run.limits.io_write_bps) and not self.has_disk:
                continue  # said at the start
            yield from self._record(case, directory, command, number, run)

    def _record(self, case, directory, command, number, run):
        """The manifest line of the run, from the corpus when it is there already; None when there is no time left."""
        key = f"{case.name}/{number}"
        if key in self.corpus.lines:
            return self.corpus.lines[key]
        if self.exhausted():
            return None
        self._number += 1
        running = Running(self.options.recorder, directory, f"{self.subtree}{self._number}",
                          code_of(case.program, case.variant), command, run, self._number, NET in case.variant.traits)
        yield running
        result = running.finish()
        self.failures = 0
        if result.outcome == "killed":
            say(f"{key}: not kept, took longer or more memory than a run may")
            return None
        line = self.corpus.append(key, case.program.name, running.record_path, {
            "variant": case.variant.name, "code": code_of(case.program, case.variant), "split": case.program.split,
            "kind": run.kind, "limits": run.limits.given(), "timeout_ms": run.timeout_ms, "load": run.load,
            **dataclasses.asdict(result), "pressure": running.pressure, "seed": case.seed})
        os.unlink(running.record_path)
        self.recorded += 1
        say(f"{key} {run.kind} {run.load or 'quiet'}: {result.outcome} {result.cause} {result.duration_ms / 1000:.1f} s "
            f"{result.peak_bytes >> 20} MiB")
        return line

    def _note_failure(self, case, error):
        self.failures += 1
        say(f"{case.name}: NOT RECORDED: {error}")
        if self.failures >= FAILURES_MAX:
            raise CorpusError(f"{FAILURES_MAX} runs in a row were not recorded; the last reason: {error}")


def usable_pairs(pairs, network_reason, has_disk):
    """Drops what cannot run here and says why."""
    skipped, usable = {}, []
    for program, variant in pairs:
        if not machine.find_program(program.name):
            skipped[program.name] = f"not installed (Debian package {program.package})"
        elif NET in variant.traits and network_reason:
            skipped[f"{program.name}:{variant.name}"] = network_reason
        else:
            usable.append((program, variant))
            if not has_disk and variant.traits & {READ, WRITE}:
                skipped[f"{program.name}:{variant.name} with I/O limits"] = "its files are not on a block device"
    for name, reason in skipped.items():
        say(f"SKIPPED {name}: {reason}")
    return usable


def stop_on_signals():
    def on_signal(number, frame):
        for every in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(every, signal.SIG_IGN)  # cleaning up is not interrupted
        raise Stopped(signal.Signals(number).name)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)


def remove_leftovers(work_root):
    """Of collectors that were killed: their cgroups and inputs."""
    for name in machine.cgroup_names(SUBTREE):
        if not pathlib.Path(f"/proc/{name.removeprefix(SUBTREE).partition('-')[0]}").exists():
            machine.remove_cgroups(name)
            say(f"removed the cgroups {name} of a collector that was killed")
    for path in work_root.glob("work-*"):
        shutil.rmtree(path, ignore_errors=True)
        say(f"removed {path} of a collector that was killed")


def collect(options, corpus, work_root):
    remove_leftovers(work_root)
    work = pathlib.Path(tempfile.mkdtemp(prefix="work-", dir=work_root))
    collector = None
    try:
        disk = machine.block_device(work)
        say(f"corpus {options.out} has {len(corpus.lines)} runs; inputs on {disk or 'no block device'}")
        reason = ""
        try:
            open_network().close()
        except NetworkUnavailable as error:
            reason = str(error)
        pairs = usable_pairs(chosen_variants(options.only), reason, bool(disk))
        if not pairs:
            raise CorpusError("nothing is left to run")
        collector = Collector(options, corpus, work, bool(disk))
        collector.run(endless_cases(pairs, options.seed, options.size))
    finally:
        if collector:
            collector.close()
            say(f"{collector.recorded} new runs, {len(corpus.lines)} in all, {corpus.bytes / (1 << 20):.1f} MiB")
        shutil.rmtree(work, ignore_errors=True)


def check(options):
    """A sentence that says what is missing, or None."""
    if not options.out:
        return "say --out DIR (or --list)"
    if os.geteuid() != 0:
        return "needs root: programs run in cgroups of their own"
    options.recorder = (options.recorder or default_recorder()).resolve()
    if not os.access(options.recorder, os.X_OK):
        return f"no {options.recorder}: build it (make build) or say --recorder"
    work = options.work or options.out
    work.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(work).free < WORK_FREE_BYTES:
        return f"{work} has less than {WORK_FREE_BYTES >> 30} GiB free; say --work"
    try:
        chosen_variants(options.only)
    except ValueError as error:
        return str(error)
    return None


def main(arguments):
    options = parse_arguments(arguments)
    if options.list:
        list_programs()
        return 0
    problem = check(options)
    if problem:
        print(f"collect: {problem}", file=sys.stderr)
        return 1
    stop_on_signals()
    try:
        corpus = Corpus(options.out.resolve())
        try:
            collect(options, corpus, (options.work or options.out).resolve())
        finally:
            corpus.close()
    except CorpusError as error:
        print(f"collect: {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        say(f"stopped by {stopped}; start again to go on")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
