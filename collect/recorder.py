"""One recorded run: forestall-record around the program, burners beside it, its verdict read back."""
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import machine
from child import start, stop
from command import Command
from network import NODE_DEVICE, open_network
from plan import Run

LONGEST_S = 90.0  # a run without a deadline that takes longer is ended and not kept
BURNER = pathlib.Path(__file__).with_name("burner.py")
_SUMMARY = re.compile(r"^forestall-record: code=\S+ outcome=(\S+) cause=(\S+) duration_ms=(\d+) peak_bytes=(\d+) points=(\d+)$", re.M)


class NotRecorded(Exception):
    """The recorder could not do it; the reason is its own words."""


@dataclasses.dataclass(frozen=True)
class Result:
    outcome: str
    cause: str
    exit_status: int
    duration_ms: int
    peak_bytes: int
    points: int
    cpu_s: float


class Running:
    """A run under way; `descriptor` becomes readable when it has ended."""

    def __init__(self, recorder, work, subtree, code, command: Command, run: Run, number, on_network):
        self.run = run
        self.record_path = work / f"run-{number}.record"
        self._error_path = work / f"run-{number}.err"
        self._prepare(command)
        self.pressure = machine.pressure()
        self.process, self.descriptor, self._burners = None, -1, []
        # One of its own: what the kernel still sends for a killed program would take the next one's bandwidth.
        self._network = open_network() if on_network else None
        try:
            self._start(recorder, work, subtree, code, command, run, number)
        except BaseException:
            self.close()
            raise

    def _start(self, recorder, work, subtree, code, command, run, number):
        for kind in run.load.split("+"):
            if kind:
                self._burners.append(start([sys.executable, BURNER, kind, *([work] if kind == "disk" else [])]))
        argv = [recorder, "--out", self.record_path, "--subtree", subtree, "--code", code, "--pool", "collect", "--node", "collect",
                "--cwd", work, "--stdout", "/dev/null", "--stderr", work / f"run-{number}.out", *self._limits(run)]
        if command.gauge:
            argv += ["--metrics", work / f"run-{number}.sock"]
        argv = [*(self._network.enter() if self._network else []), *argv, "--", *command.argv]
        self.began = time.monotonic()
        with open(command.stdin or os.devnull, "rb") as source, open(self._error_path, "wb") as errors:
            # SIGTERM lets the recorder end the program and remove its cgroup.
            self.process = start(argv, signal.SIGTERM, stdin=source, stdout=subprocess.DEVNULL, stderr=errors,
                                 env=machine.environment(work))
        self.descriptor = os.pidfd_open(self.process.pid)

    @staticmethod
    def _prepare(command):
        for path in command.fresh:
            subprocess.run(["rm", "-rf", "--", path], check=True)
        for path in command.cold:
            machine.drop_cache(path)

    def _limits(self, run):
        options = {"--memory": run.limits.memory_bytes, "--cpu": run.limits.cpu_millicores, "--io_read": run.limits.io_read_bps,
                   "--io_write": run.limits.io_write_bps, "--net_egress": run.limits.net_egress_bps,
                   "--timeout": f"{run.timeout_ms}ms" if run.timeout_ms else 0,
                   "--net_device": NODE_DEVICE if self._network else 0}
        return [word for name, value in options.items() if value for word in (name, value)]

    def overdue(self):
        return time.monotonic() - self.began > LONGEST_S

    def end(self):
        """Lets the recorder end its program; `descriptor` tells when it has. Not Popen.terminate(), which might reap it."""
        signal.pidfd_send_signal(self.descriptor, signal.SIGTERM)

    def close(self):
        """Ends what is still running; safe to call twice."""
        if self.process:
            stop(self.process)
        if self._network:
            self._network.close()
            self._network = None
        for burner in self._burners:
            burner.kill()
            burner.wait()
        self._burners = []
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def finish(self):
        """After the descriptor became readable: the Result, or NotRecorded."""
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.close()
        text = self._error_path.read_text(errors="replace")
        found = _SUMMARY.search(text)
        if not found or not self.record_path.exists():
            raise NotRecorded(text.strip().splitlines()[-1] if text.strip() else f"exit status {self.process.returncode}")
        outcome, cause, *numbers = found.groups()
        duration_ms, peak_bytes, points = map(int, numbers)
        return Result(outcome, cause, self.process.returncode, duration_ms, peak_bytes, points,
                      round(usage.ru_utime + usage.ru_stime, 3))
