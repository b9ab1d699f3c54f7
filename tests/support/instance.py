"""All of Forestall on a real broker and a real Redis, as `forestall local` starts it, for end-to-end tests."""
import json
import os
import pathlib
import signal
import subprocess

from cluster import Cluster
from process import wait_until

SERVICES = ("ingest", "predict", "allocate", "queue", "agent")


class Instance(Cluster):
    """with Instance(node_memory="4G") as forestall: forestall.run(["xz", ...], memory="64M")"""

    def __init__(self, node_memory="4G", settings=(), redis_persistent=True):
        super().__init__(redis_persistent=redis_persistent)
        self.state = self.directory / "state"
        self.node_memory = node_memory
        self.settings = settings
        self.local = None

    def start(self):
        super().start()
        try:
            self.start_local()
        except BaseException:
            self.print_logs()
            self.close(keep_directory=True)
            raise
        return self

    def start_local(self):
        argv = [self.program("forestall"), "local", "--state", self.state, "--kafka", self.broker.bootstrap, "--redis",
                f"127.0.0.1:{self.redis.port}", "--node-memory", self.node_memory, "--partitions", "8"]  # as several nodes
        for setting in self.settings:
            argv += ["--set", setting]
        self.local = self.start_program("local", argv)
        wait_until(self._ready, 120, lambda: "forestall local to be ready:\n" + self.local.log_tail())

    def _ready(self):
        if not self.local.alive():
            raise RuntimeError("forestall local ended:\n" + self.local.log_tail())
        return (self.state / "local.json").exists()

    def description(self):
        return json.loads((self.state / "local.json").read_text())

    def service_pid(self, name):
        """Of the running process; None while it is being started again."""
        for service in self.description()["services"]:
            if service["name"] in (name, f"forestall-{name}"):
                return service["pid"] or None
        return None

    def kill_service(self, name):
        """SIGKILL, as if the power went; the pid is of a process that this instance started."""
        pid = wait_until(lambda: self.service_pid(name), 30, f"{name} to run", 0.05)
        os.kill(pid, signal.SIGKILL)
        return pid

    def forestall(self, *arguments, timeout_s=120, check=True):
        """Runs the command to its end; stdout as text."""
        done = subprocess.run([self.program("forestall"), arguments[0], "--state", self.state, *map(str, arguments[1:])],
                              capture_output=True, text=True, timeout=timeout_s)
        if check and done.returncode != 0:
            raise RuntimeError(f"forestall {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def run(self, argv, timeout_s=120, **options):
        """`forestall run`: (status, stdout, stderr, report)."""
        report = self.directory / f"report-{len(list(self.directory.glob('report-*')))}.json"
        words = ["--report", report]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), value]
        done = self.forestall("run", *words, "--", *argv, timeout_s=timeout_s, check=False)
        if not report.exists():
            raise RuntimeError(f"no report of {argv}: {done.returncode}\n{done.stderr}")
        return done.returncode, done.stdout, done.stderr, json.loads(report.read_text())

    def submit(self, argv, **options):
        words = []
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), value]
        return self.forestall("submit", *words, "--", *argv).stdout.split()[0]


def cgroups_of_forestall():
    """Directories named forestall* in any mounted cgroup hierarchy, for before-and-after comparison."""
    found = set()
    for root in pathlib.Path("/sys/fs/cgroup").glob("*"):
        if root.is_dir():
            found.update(str(path) for path in root.glob("*/") if path.name.startswith("forestall"))
    return found
