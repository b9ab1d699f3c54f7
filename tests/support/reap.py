#!/usr/bin/env python3
"""reap.py COMMAND...: runs a command and leaves no process of it behind.

Whatever the command started and did not end, daemons included, becomes a child of this process (it is a subreaper);
what is left when the command has ended is listed, killed, and makes the exit status 1 when it was 0: a clean test
leaves nothing. When this process itself is killed, the command is killed by the kernel.
"""
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from process import die_with  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 2  # what was told to end just before the command ended may take this long


def descendants():
    """(pid, command line) of every living process below this one."""
    parents = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as stat:
                state, parent = stat.read().rsplit(")", 1)[1].split()[:2]
            if state not in "ZX":
                parents[int(entry)] = int(parent)
        except OSError:
            continue  # ended meanwhile
    found = []
    for pid in parents:
        ancestor = pid
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        if ancestor == os.getpid() and pid != os.getpid():
            found.append(pid)
    return found


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "(ended)"


def collect_zombies():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def kill_leftovers():
    """Returns how many had to be killed."""
    deadline = time.monotonic() + GRACE_S
    while descendants() and time.monotonic() < deadline:
        collect_zombies()
        time.sleep(0.02)
    killed = set()
    while left := descendants():
        for pid in left:
            if pid not in killed:
                print(f"reap: left behind: {pid} {command_line(pid)}", file=sys.stderr, flush=True)
                killed.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        collect_zombies()
        time.sleep(0.01)
    return len(killed)


def main(argv):
    if not argv:
        print(__doc__, file=sys.stderr)
        return 2
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    own_pid = os.getpid()
    die_with(os.getppid())
    child = subprocess.Popen(argv, preexec_fn=lambda: die_with(own_pid))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, frame: child.send_signal(received))
    status = child.wait()
    leftovers = kill_leftovers()
    if status < 0:
        print(f"reap: ended by signal {-status}", file=sys.stderr)
        return 128 - status
    return status or (1 if leftovers else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
