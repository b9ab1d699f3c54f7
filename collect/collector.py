"""The loop of a collection: which run is next, what becomes of one that ended, when it is enough."""
import dataclasses
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

import machine
from cases import Case
from command import NET, SCRIPTS, Maker
from network import NetworkUnavailable
from plan import Measured, free_run, limited_runs
from programs import code_of
from recorder import NotRecorded, Running
from store import CorpusError

MEMORY_LEAST_SHARE = 0.15  # of the machine's: an unlimited run must not take the rest of it
SUBTREE = "forestall-collect-"  # then the collector's pid and the run's number: recorders do not meet
FAILURES_MAX = 20          # cases that fail one after the other: something is wrong with the machine


def say(text):
    print(f"collect: {text}", flush=True)


def portable(word, directory):
    """A word of a command line that runs in directory, without saying where that is: records name no path of this machine."""
    return str(word).replace(f"{directory}/", "").replace(str(directory), ".").replace(str(SCRIPTS), "scripts")


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
        except (NotRecorded, NetworkUnavailable, OSError, subprocess.CalledProcessError) as error:
            self._note_failure(case, error)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _runs(self, case: Case, directory):
        command = case.variant.build(Maker(directory, case.chance("input"), self.options.size))
        (directory / "scripts").symlink_to(SCRIPTS)
        program = machine.find_program(command.argv[0]) or command.argv[0]
        command.argv = [program, *(portable(word, directory) for word in command.argv[1:])]
        first = yield from self._record(case, directory, command, 0, free_run(case.chance("load")))
        if first is None or first["outcome"] == "killed" or self.options.growing:
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
