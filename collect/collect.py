#!/usr/bin/env python3
"""Runs real programs of Debian under many limits, loads and inputs and stores a record of each run: the training data.

A case is a program with one input, drawn from the seed. It runs without limits first, then under limits derived from what
that run needed. Cases go round by round over all programs, so a short collection is as varied as a long one. A collection
that was stopped, in whatever way, goes on where it was; started again with more seconds it grows."""
import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import machine  # noqa: E402
from cases import chosen_variants, endless_cases  # noqa: E402
from collector import SUBTREE, Collector, say  # noqa: E402
from command import MEMORY, NET, READ, WRITE  # noqa: E402
from network import NetworkUnavailable, open_network  # noqa: E402
from programs import PROGRAMS  # noqa: E402
from store import Corpus, CorpusError  # noqa: E402

WORK_FREE_BYTES = 4 << 30  # what the inputs of a few cases may take


class Stopped(Exception):
    """SIGINT, SIGTERM or SIGHUP."""


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
    parser.add_argument("--growing", action="store_true", help="only what grows, without limits, each run with another input")
    parser.add_argument("--list", action="store_true", help="show programs, splits and variants, and what is missing here")
    return parser.parse_args(arguments)


def default_recorder():
    root = pathlib.Path(__file__).resolve().parent.parent
    return pathlib.Path(os.environ.get("FORESTALL_BIN", root / "build" / "release" / "bin")) / "forestall-record"


def list_programs():
    for program in PROGRAMS:
        where = machine.find_program(program.name) or f"MISSING: install {program.package}"
        print(f"{program.name:10} {program.split:10} {where}")
        for variant in program.variants:
            print(f"    {variant.name:14} {' '.join(sorted(variant.traits))}")


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
        if options.growing:
            pairs = [(program, variant) for program, variant in pairs if MEMORY in variant.traits]
        if not pairs:
            raise CorpusError("nothing is left to run" + (": none of these grows" if options.growing else ""))
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
