"""deploy/compose.yaml as the tests drive it: a project of its own on free ports, and the outside's way in."""
import json
import os
import pathlib
import subprocess
import time

from cluster import BIN_DIRECTORY, CLIENT_SETTINGS, SOURCE_DIRECTORY
from process import free_ports, wait_until

DEPLOY = SOURCE_DIRECTORY / "deploy"
EXAMPLES = SOURCE_DIRECTORY / "examples"
SERVICES = ("ingest", "predict", "allocate", "queue", "retrain", "agent")
PORTS = ("KAFKA_PORT", "REDIS_PORT", "REGISTRY_PORT", "INGEST_PORT", "INGEST_HTTP_PORT", "PREDICT_HTTP_PORT",
         "ALLOCATE_HTTP_PORT", "QUEUE_HTTP_PORT", "RETRAIN_HTTP_PORT")


def report(line):
    """Into the figures that the run ends with."""
    print(line)
    if os.environ.get("FORESTALL_COMPOSE_REPORT"):
        with open(os.environ["FORESTALL_COMPOSE_REPORT"], "a") as file:
            file.write(line + "\n")


def outputs():
    """What `forestall run` keeps while it runs, others' included."""
    return set(pathlib.Path("/var/tmp").glob("forestall-*-*-*-*"))


class Deployment:
    def __init__(self):
        self.ports = dict(zip(PORTS, free_ports(len(PORTS))))
        # /var/tmp of this machine: `forestall run` outside writes and reads the output there
        self.environment = {**{key: value for key, value in os.environ.items() if not key.startswith("FORESTALL_")
                               or key == "FORESTALL_CGROUP"},
                            **{name: str(port) for name, port in self.ports.items()},
                            "FORESTALL_OUTPUT": "/var/tmp", "FORESTALL_NODE_MEMORY": "4G"}

    @property
    def brokers(self):
        return f"localhost:{self.ports['KAFKA_PORT']}"

    @property
    def redis(self):
        return f"127.0.0.1:{self.ports['REDIS_PORT']}"

    @property
    def registry(self):
        return f"http://127.0.0.1:{self.ports['REGISTRY_PORT']}/apis/ccompat/v7"

    # --- docker

    @staticmethod
    def docker(*arguments, check=True, timeout_s=600):
        done = subprocess.run(["docker", *map(str, arguments)], capture_output=True, text=True, timeout=timeout_s,
                              stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise RuntimeError(f"docker {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def compose(self, *arguments, check=True, timeout_s=900, profiles=(), files=(DEPLOY / "compose.yaml",), **environment):
        command = ["docker", "compose", "--project-directory", DEPLOY]
        for file in files:
            command += ["-f", file]
        for profile in profiles:
            command += ["--profile", profile]
        done = subprocess.run([*map(str, command), *map(str, arguments)], capture_output=True, text=True,
                              timeout=timeout_s, stdin=subprocess.DEVNULL, env={**self.environment, **environment})
        if check and done.returncode != 0:
            raise RuntimeError(f"compose {arguments}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}\n"
                               + self.logs())
        return done

    def logs(self, tail=15):
        done = subprocess.run(["docker", "compose", "--ansi", "never", "--project-directory", DEPLOY, "-f", DEPLOY / "compose.yaml",
                               "--profile", "registry", "logs", "--no-color", "--tail", str(tail)],
                              capture_output=True, text=True, env=self.environment)
        return done.stdout

    def up(self, *arguments, **more):
        started = time.monotonic()
        self.compose("up", "-d", "--wait", "--wait-timeout", "300", *arguments, **more)
        return time.monotonic() - started

    def containers(self, service):
        return self.compose("ps", "-q", service).stdout.split()

    def once(self, service, *arguments, environment=(), timeout_s=120):
        """One more container of a service, run to its end: (status, last line it wrote)."""
        words = []
        for setting in environment:
            words += ["-e", setting]
        done = self.compose("run", "--rm", "--no-deps", "-T", *words, service, *arguments, check=False,
                            timeout_s=timeout_s, profiles=("cli",))
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("forestall", "ts="))
                 or " error " in line or "level=error" in line]
        return done.returncode, lines, done.stdout + done.stderr

    def memory(self):
        """{service: MiB in use}, of the containers that run."""
        names = {}
        for line in self.compose("ps", "--format", "json").stdout.splitlines():
            item = json.loads(line)
            names[item["Name"]] = item["Service"]
        used = {}
        for line in self.docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}").stdout.splitlines():
            name, value = line.split()[:2]
            if name in names:
                number = float(value.rstrip("BKMGi"))
                scale = {"K": 1 / 1024, "M": 1, "G": 1024}.get(value.rstrip("iB")[-1], 1 / 1048576)
                used[names[name]] = used.get(names[name], 0) + number * scale
        return used

    # --- from outside

    def forestall(self, *arguments, check=True, timeout_s=180, **environment):
        words = [BIN_DIRECTORY / "forestall", arguments[0], "--brokers", self.brokers, "--redis", self.redis, *arguments[1:]]
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout_s,
                              stdin=subprocess.DEVNULL, env={**self.environment, **environment})
        if check and done.returncode != 0:
            raise RuntimeError(f"forestall {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.logs()}")
        return done

    def run(self, directory, argv, **options):
        """`forestall run`: (status, stdout, report)."""
        path = pathlib.Path(directory) / f"report-{time.monotonic_ns()}.json"
        words = []
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), value]
        done = self.forestall("run", "--report", path, "--cwd", "/", *words, "--", *argv, check=False)
        if not path.exists():
            raise RuntimeError(f"no report of {argv}: {done.returncode}\n{done.stderr}\n{self.logs()}")
        return done.returncode, done.stdout, json.loads(path.read_text())

    def consumer(self, **settings):
        from confluent_kafka import Consumer
        return Consumer({"bootstrap.servers": self.brokers, **CLIENT_SETTINGS, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "isolation.level": "read_committed",
                         "group.id": f"compose-test-{time.monotonic_ns()}", **settings})

    def read_topic(self, topic, timeout_s=60):
        """All raw messages of a topic as it is now."""
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition
        consumer = self.consumer()
        try:
            partitions = [TopicPartition(topic, number, OFFSET_BEGINNING)
                          for number in consumer.list_topics(topic, 30).topics[topic].partitions]
            ends = {one.partition: consumer.get_watermark_offsets(one, 30)[1] for one in partitions}
            consumer.assign(partitions)
            messages = []

            def read_all():
                message = consumer.poll(0.2)
                if message is not None and not message.error():
                    messages.append(message)
                return all(place.offset >= ends[place.partition] or ends[place.partition] == 0
                           for place in consumer.position(partitions))

            wait_until(read_all, timeout_s, f"the end of {topic}", 0)
            return messages
        finally:
            consumer.close()
