"""Starting child processes that never outlive the collector."""
import ctypes
import os
import signal
import subprocess

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent(number):
    parent = os.getpid()

    def prepare():
        _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it died before prctl
            os._exit(127)
    return prepare


def start(argv, death_signal=signal.SIGKILL, **options):
    """Popen of a process that gets death_signal when the collector dies, however that happens. Its session is its own:
    a Ctrl-C at the terminal reaches the collector alone, which then ends its children in order."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen([str(word) for word in argv], preexec_fn=_die_with_parent(death_signal),
                            start_new_session=True, **options)


def stop(process, patience_s=10.0):
    """Asks it to end, then ends it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
