"""A real Redis for tests: one process on a free port of 127.0.0.1, its files in a directory of the caller.

Nothing is kept across a restart unless `persistent` is set (append-only file, synced on every write).
"""
import pathlib
import shutil
import signal
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from process import ChildProcess, free_ports, wait_until  # noqa: E402


def _process_answering(port):
    """The process id of the Redis on this port, None while none answers or it still loads its data."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(2)
            connection.sendall(b"PING\r\nINFO server\r\n")
            answer = b""
            while b"process_id:" not in answer or not answer.endswith(b"\r\n"):
                chunk = connection.recv(4096)
                if not chunk:
                    return None
                answer += chunk
            if not answer.startswith(b"+PONG"):
                return None
            return int(answer.split(b"process_id:")[1].split(b"\r\n")[0])
    except OSError:
        return None


class RedisServer:
    """start, stop, kill9, pause, resume."""

    def __init__(self, directory, persistent=False):
        self.directory = pathlib.Path(directory).resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.persistent = persistent
        self.port = None
        self.child = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self, timeout_s=20):
        """Starts on what it kept, on the same port each time; returns when it answers PING."""
        program = shutil.which("redis-server")
        if not program:
            raise RuntimeError("no redis-server found: scripts/install-deps.sh test")
        first_time = self.port is None
        for attempt in range(5 if first_time else 1):  # a free port may be taken before Redis binds it
            if first_time:
                self.port, = free_ports(1)
            self.child = ChildProcess(
                [program, "--bind", "127.0.0.1", "--port", self.port, "--dir", self.directory, "--save", "",
                 "--appendonly", "yes" if self.persistent else "no", "--appendfsync", "always",
                 "--daemonize", "no"],
                self.directory / "redis.log")
            wait_until(lambda: not self.child.alive() or _process_answering(self.port) == self.child.pid, timeout_s,
                       "an answer of Redis")
            if self.child.alive():
                return self
        raise RuntimeError(f"Redis ended at its start:\n{self.child.log_tail()}")

    def stop(self, timeout_s=20):
        if self.child:
            self.child.stop(timeout_s)

    def kill9(self):
        if self.child:
            self.child.kill()

    def pause(self):
        self.child.signal(signal.SIGSTOP)

    def resume(self):
        self.child.signal(signal.SIGCONT)
