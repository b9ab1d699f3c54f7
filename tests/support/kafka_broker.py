"""A real Kafka broker for tests: one KRaft process on free ports of 127.0.0.1, its data in a directory of the caller.

The jars come once through Maven into ${XDG_CACHE_HOME:-~/.cache}/forestall/kafka-<version>, together with a formatted
data directory to copy and a class data archive; with these a broker answers about 1 s after its start and takes
about 150 MiB. By hand:

    tests/support/kafka_broker.py fetch        fill the cache
    tests/support/kafka_broker.py run DIR      run a broker on DIR until Ctrl-C, printing its address
"""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from process import ChildProcess, free_ports, wait_until  # noqa: E402

KAFKA_VERSION = "4.1.1"  # as in kafka/pom.xml
DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
HERE = pathlib.Path(__file__).resolve().parent

# Small buffers and one thread of each kind: a test broker shares two cores with what it tests.
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "num.partitions": "4",
    "auto.create.topics.enable": "false",  # a typing error in a topic's name must fail, not make a topic
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "2",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "message.max.bytes": str(16 << 20),  # `models` carries whole models
    "num.network.threads": "2",
    "num.io.threads": "2",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": str(4 << 20),
    "log.cleaner.io.buffer.size": str(128 << 10),
    "log.index.size.max.bytes": str(1 << 20),
    # A broker killed and restarted is back after about 3 s instead of 12: its old session must time out first. Below 2 s,
    # a machine that is busy with other tests is enough for the broker to lose its session, and with it its partitions.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "250",
}


def cache_directory():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "forestall" / f"kafka-{KAFKA_VERSION}"


def _java():
    java = shutil.which("java")
    if not java:
        raise RuntimeError("no java found: scripts/install-deps.sh test")
    return java


def _archive_path():
    """The class data archive fits one Java build only, so it is named after it."""
    version = subprocess.run([_java(), "-version"], capture_output=True, check=True).stderr
    return cache_directory() / f"classes-{hashlib.sha256(version).hexdigest()[:12]}.jsa"


def _class_path():
    """Sorted and relative to the cache directory, the working directory of every broker: the archive checks it."""
    jars = sorted(path.name for path in (cache_directory() / "lib").glob("*.jar"))
    return ":".join(f"lib/{name}" for name in jars)


def _java_command(extra, main, *arguments):
    return [_java(), "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={HERE / 'kafka' / 'log4j2.properties'}", *extra,
            "-cp", _class_path(), main, *map(str, arguments)]


def _properties(ports, data_directory, settings):
    client_port, controller_port = ports
    client = f"PLAINTEXT://127.0.0.1:{client_port}"
    controller = f"CONTROLLER://127.0.0.1:{controller_port}"
    merged = {
        **SETTINGS,
        "listeners": f"{client},{controller}",
        "advertised.listeners": client,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "log.dirs": str(data_directory),
        **settings,
    }
    return "".join(f"{key}={value}\n" for key, value in merged.items())


def _receive(connection, size):
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise OSError("connection closed")
        data += chunk
    return data


def broker_count(port):
    """Brokers listed by a Metadata request (version 4, no topics), 0 when nothing answers."""
    try:
        with contextlib.closing(socket.create_connection(("127.0.0.1", port), 1)) as connection:
            connection.settimeout(2)
            body = struct.pack(">hhih2s", 3, 4, 1, 2, b"wu") + struct.pack(">i?", 0, False)
            connection.sendall(struct.pack(">i", len(body)) + body)
            size, = struct.unpack(">i", _receive(connection, 4))
            response = _receive(connection, size)
            return struct.unpack(">i", response[8:12])[0]
    except OSError:
        return 0


class KafkaBroker:
    """start, stop, kill9, pause, resume; the data survives all of them until the caller removes the directory."""

    def __init__(self, directory, settings=None, java_options=()):
        self.directory = pathlib.Path(directory).resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.settings = {key: str(value) for key, value in (settings or {}).items()}
        self.java_options = list(java_options)
        self.data_directory = self.directory / "data"
        self.ports = None
        self.child = None

    @property
    def port(self):
        return self.ports[0]

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    @property
    def log_path(self):
        return self.directory / "broker.log"

    def start(self, timeout_s=60, java_options=()):
        """Starts on the data that is there, fresh the first time; returns when a Metadata request lists the broker."""
        first_time = self.ports is None
        if first_time:
            prepare()
            shutil.copytree(cache_directory() / "template", self.data_directory, dirs_exist_ok=True)
        attempts = 5 if first_time else 1  # a free port may be taken before the broker binds it
        for attempt in range(attempts):
            if first_time:
                self.ports = free_ports(2)
            try:
                self._start_once(timeout_s, java_options)
                return self
            except RuntimeError:
                self.kill9()
                if attempt == attempts - 1 or "Address already in use" not in self.child.log_tail(200):
                    raise
        return self

    def _start_once(self, timeout_s, java_options):
        properties = self.directory / "server.properties"
        properties.write_text(_properties(self.ports, self.data_directory, self.settings))
        archive = _archive_path()
        extra = [*self.java_options, *java_options]
        if archive.exists() and not java_options:
            extra += [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto"]
        self.child = ChildProcess(_java_command(extra, "kafka.Kafka", properties), self.log_path,
                                  cwd=cache_directory())

        def ready():
            if not self.child.alive():
                raise RuntimeError(f"the broker ended at its start:\n{self.child.log_tail()}")
            return broker_count(self.port) >= 1

        try:
            wait_until(ready, timeout_s, "a Metadata answer of the broker")
        except TimeoutError as error:
            raise RuntimeError(f"{error}\n{self.child.log_tail()}") from error

    def stop(self, timeout_s=30):
        if self.child:
            self.child.stop(timeout_s)

    def kill9(self):
        if self.child:
            self.child.kill()

    def pause(self):
        self.child.signal(signal.SIGSTOP)

    def resume(self):
        self.child.signal(signal.SIGCONT)


@contextlib.contextmanager
def _locked(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_jars(target):
    maven = shutil.which("mvn")
    if not maven:
        raise RuntimeError("no mvn found: scripts/install-deps.sh test")
    target.mkdir(parents=True)
    shutil.copy(HERE / "kafka" / "pom.xml", target / "pom.xml")
    subprocess.run([maven, "-q", "-B", "-Dstyle.color=never", "-f", target / "pom.xml",
                    f"{DEPENDENCY_PLUGIN}:copy-dependencies", "-DincludeScope=runtime",
                    f"-DoutputDirectory={target / 'lib'}"], stdin=subprocess.DEVNULL, check=True)


def _format_template(directory):
    """A formatted, empty data directory; copying it takes no time, formatting takes a second each."""
    scratch = directory / "format"
    scratch.mkdir(exist_ok=True)
    properties = scratch / "server.properties"
    properties.write_text(_properties((9092, 9093), scratch / "data", {}))
    command = _java_command([], "kafka.tools.StorageTool", "format", "-t", "Zm9yZXN0YWxsLXRlc3Rz", "-c", properties)
    subprocess.run(command, cwd=directory, stdout=subprocess.DEVNULL, check=True)
    (scratch / "data").rename(directory / "template")
    shutil.rmtree(scratch)


def _dump_archive(archive):
    """Runs a broker through its usual work once and lets Java keep the loaded classes."""
    directory = cache_directory() / "warm-up"
    shutil.rmtree(directory, ignore_errors=True)
    partial = archive.with_suffix(".part")
    broker = KafkaBroker(directory)
    broker.ports = free_ports(2)
    shutil.copytree(cache_directory() / "template", broker.data_directory)
    broker.start(java_options=[f"-XX:ArchiveClassesAtExit={partial}"])
    _exercise(broker.bootstrap)
    broker.stop(timeout_s=120)
    partial.rename(archive)
    shutil.rmtree(directory)


def _exercise(bootstrap):
    """Creates a topic, produces in a transaction, consumes with a group: loads the classes that tests need."""
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic("warm-up", 1, 1)]).values():
        future.result(20)
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "warm-up"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce("warm-up", b"value")
    producer.commit_transaction(30)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "warm-up", "auto.offset.reset": "earliest"})
    consumer.subscribe(["warm-up"])
    wait_until(lambda: consumer.poll(0.2), 30, "the message of the warm-up")
    consumer.commit(asynchronous=False)
    consumer.close()


def prepare():
    """Fills the cache: the jars and the template once, the class data archive once per Java."""
    directory = cache_directory()
    with _locked(directory.with_name(directory.name + ".lock")):
        if not (directory / "template").exists():
            started = time.monotonic()
            print(f"kafka_broker: fetching Kafka {KAFKA_VERSION} into {directory} (once)", file=sys.stderr, flush=True)
            partial = directory.with_name(directory.name + ".part")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(directory, ignore_errors=True)
            _fetch_jars(partial)
            partial.rename(directory)  # the class path is relative, so the directory may move
            _format_template(directory)
            print(f"kafka_broker: fetched in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        archive = _archive_path()
        if not archive.exists():
            _dump_archive(archive)


def main(arguments):
    if arguments == ["fetch"]:
        prepare()
        return 0
    if len(arguments) == 2 and arguments[0] == "run":
        broker = KafkaBroker(arguments[1]).start()
        print(broker.bootstrap, flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            broker.child.process.wait()
        broker.stop()
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
