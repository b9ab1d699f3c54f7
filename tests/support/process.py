"""Child processes that do not outlive the test, free ports, and waiting for conditions.

Every child gets SIGKILL from the kernel when the process that started it dies, however it dies. The kernel ties this
to the starting *thread*: start processes from the main thread, or from one that lives as long as the child should.
"""
import ctypes
import os
import random
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent_pid):
    """For preexec_fn: SIGKILL when the parent dies; ends here and now when it died before this took effect."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


class ChildProcess:
    """One server or program started by a test; its output goes to a file that failures quote."""

    def __init__(self, argv, log_path, cwd=None, env=None):
        self.argv = [str(argument) for argument in argv]
        self.log_path = str(log_path)
        parent_pid = os.getpid()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: die_with(parent_pid), start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    @property
    def returncode(self):
        return self.process.poll()

    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def wait(self, timeout_s):
        return self.process.wait(timeout_s)

    def stop(self, timeout_s=20):
        """SIGTERM, then SIGKILL when it does not end in time; returns the exit status."""
        if self.alive():
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def kill(self):
        """SIGKILL, as if the power went; returns when the process is gone."""
        if self.alive():
            self.process.kill()
        return self.process.wait()

    def log_tail(self, lines=30):
        try:
            with open(self.log_path, errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except OSError:
            return "(no output)"


def _first_ephemeral_port():
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as setting:
            return int(setting.read().split()[0])
    except OSError:
        return 32768


def free_ports(count):
    """Distinct free TCP ports of 127.0.0.1, below the range the kernel hands to clients.

    A port from that range could be taken by any client's socket while a killed server is down, even by one that
    reconnects to this very port (TCP's simultaneous open), and the restarted server could not bind it again.
    """
    top = max(_first_ephemeral_port(), 12000)
    sockets = []
    try:
        while len(sockets) < count:
            candidate = socket.socket()
            try:
                candidate.bind(("127.0.0.1", random.SystemRandom().randrange(10000, top)))
            except OSError:
                candidate.close()
                continue
            sockets.append(candidate)
        return [bound.getsockname()[1] for bound in sockets]
    finally:
        for bound in sockets:
            bound.close()


def wait_until(condition, timeout_s, what, interval_s=0.02):
    """Returns the first true value of condition(); fails with `what` when none comes in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {timeout_s} s: {what() if callable(what) else what}")
        time.sleep(interval_s)
