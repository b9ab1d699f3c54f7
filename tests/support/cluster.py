"""What an end-to-end test stands on: a broker, a Redis, a temporary directory, and programs that end with it.

    with Cluster() as cluster:
        cluster.create_topics({"requests": 4})
        service = cluster.start_program("ingest", [cluster.program("forestall-ingest"), "--config", ...])
        records = cluster.read_topic("requests", count=3)

Everything is on free ports of 127.0.0.1. Leaving the block stops the programs in reverse order, then Redis and the
broker, and removes the directory; it is kept and named when FORESTALL_KEEP is set or the block ends by an exception.
"""
import os
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kafka_broker import KafkaBroker  # noqa: E402
from process import ChildProcess, wait_until  # noqa: E402
from redis_server import RedisServer  # noqa: E402

SOURCE_DIRECTORY = pathlib.Path(os.environ.get("FORESTALL_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
BIN_DIRECTORY = pathlib.Path(os.environ.get("FORESTALL_BIN") or SOURCE_DIRECTORY / "build" / "release" / "bin")

# A client notices a broker that came back after 3 s instead of 16 with the first; that it leads its partitions again
# may otherwise wait for the next refresh, 5 min by default.
CLIENT_SETTINGS = {"reconnect.backoff.max.ms": 500, "topic.metadata.refresh.interval.ms": 2000,
                   "socket.nagle.disable": True}


COMPACTED = {"allocations", "codes", "models", "policies", "schemas", "executions.state"}


class Cluster:
    def __init__(self, broker_settings=None, with_redis=True, redis_persistent=False, java_options=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="forestall-test-"))
        self.broker = KafkaBroker(self.directory / "kafka", broker_settings, java_options)
        self.redis = RedisServer(self.directory / "redis", redis_persistent) if with_redis else None
        self.programs = []

    def start(self):
        try:
            if self.redis:
                self.redis.start()
            self.broker.start()
        except BaseException:
            self.close(keep_directory=True)
            raise
        return self

    def close(self, keep_directory=False):
        for program in reversed(self.programs):
            program.stop()
        if self.redis:
            self.redis.stop()
        self.broker.stop()
        if keep_directory or os.environ.get("FORESTALL_KEEP"):
            print(f"cluster: kept {self.directory}", file=sys.stderr)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, error_type, error, traceback):
        if error_type:
            self.print_logs()
        self.close(keep_directory=error_type is not None)

    def print_logs(self, lines=40):
        """The end of every log, for a failure's report."""
        for log in sorted(self.directory.rglob("*.log")):
            if self.broker.data_directory in log.parents:  # Kafka names its records so
                continue
            tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-lines:])
            print(f"--- {log.relative_to(self.directory)}\n{tail}", file=sys.stderr)

    # Programs ------------------------------------------------------------------------------------------------------

    @staticmethod
    def program(name):
        """Path of a built program; a clear error when it was not built."""
        path = BIN_DIRECTORY / name
        if not path.exists():
            raise FileNotFoundError(f"{path} is not built")
        return path

    def start_program(self, name, argv, env=None):
        """Starts a program whose output goes to <name>.log; it ends with the cluster at the latest."""
        child = ChildProcess(argv, self.directory / f"{name}.log", cwd=self.directory,
                             env={"FORESTALL_SERVICE_RESTART_AFTER_OUTAGE": "no",  # nobody here starts it again
                                  **os.environ, **(env or {})})
        self.programs.append(child)
        return child

    # Kafka ---------------------------------------------------------------------------------------------------------

    def _client(self, **settings):
        named = {key.replace("_", "."): value for key, value in settings.items()}
        return {"bootstrap.servers": self.broker.bootstrap, **CLIENT_SETTINGS, **named}

    def admin(self):
        from confluent_kafka.admin import AdminClient
        return AdminClient(self._client())

    def producer(self, **settings):
        """confluent_kafka.Producer: acks=all, idempotent, partitioner as the project's."""
        from confluent_kafka import Producer
        return Producer(self._client(enable_idempotence=True, partitioner="murmur2_random", **settings))

    def consumer(self, topics=(), **settings):
        """confluent_kafka.Consumer from the beginning, committed transactions only; a group of its own by default."""
        from confluent_kafka import Consumer
        defaults = {"group_id": f"test-{os.getpid()}-{time.monotonic_ns()}", "auto_offset_reset": "earliest",
                    "enable_auto_commit": False, "isolation_level": "read_committed"}
        consumer = Consumer(self._client(**{**defaults, **settings}))
        if topics:
            consumer.subscribe(list(topics))
        return consumer

    def create_topics(self, partitions, config=None):
        """partitions: {name: count}; config applies to all of them. Without one, those that Forestall compacts are."""
        from confluent_kafka.admin import NewTopic
        admin = self.admin()
        compact = {"cleanup.policy": "compact"}
        created = admin.create_topics([NewTopic(name, count, 1,
                                                config=config or (compact if name in COMPACTED else {}))
                                       for name, count in partitions.items()])
        for future in created.values():
            future.result(30)
        # the broker that created them lists them a moment later
        wait_until(lambda: set(partitions) <= set(admin.list_topics(timeout=10).topics), 30, "created topics to be listed")

    def wait_led(self, timeout_s=60):
        """Until the broker, just back, leads every partition.

        A client of librdkafka 2.5 and later that meets a partition without a leader may never find it again (its issue
        5430): a test that goes on after the broker was away waits for this and makes its own clients anew.
        """
        def led():
            topics = self.admin().list_topics(timeout=10).topics.values()
            return topics and all(part.leader >= 0 for topic in topics for part in topic.partitions.values())
        wait_until(led, timeout_s, "the broker to lead its partitions again")

    @staticmethod
    def _ends(consumer, topic):
        """{partition: offset of its end}; None while the broker, just back, leads none of them."""
        from confluent_kafka import KafkaError, KafkaException, TopicPartition
        try:
            known = consumer.list_topics(topic, 10).topics[topic]
            if known.error:
                raise KafkaException(known.error)
            return {number: consumer.get_watermark_offsets(TopicPartition(topic, number), 10)[1]
                    for number in known.partitions}
        except KafkaException as error:
            passing = (KafkaError._UNKNOWN_PARTITION, KafkaError.LEADER_NOT_AVAILABLE,
                       KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN,
                       KafkaError._TIMED_OUT)
            if error.args[0].code() in passing:
                return None
            raise

    def read_topic(self, topic, count=None, timeout_s=30):
        """The messages of all partitions, oldest first within each: `count` of them, or all up to the end as it is now.

        Fails when `count` do not come in time.
        """
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition
        consumer = self.consumer()
        try:
            ends = wait_until(lambda: self._ends(consumer, topic), timeout_s, f"the partitions of {topic}", 0.1)
            partitions = [TopicPartition(topic, number, OFFSET_BEGINNING) for number in ends]
            consumer.assign(partitions)
            messages = []

            def enough():
                message = consumer.poll(0.1)
                if message is not None:
                    if message.error():
                        raise RuntimeError(str(message.error()))
                    messages.append(message)
                if count is not None:
                    return len(messages) >= count
                positions = {part.partition: part.offset for part in consumer.position(partitions)}
                # control records and compaction leave gaps, so positions are compared, not counts
                return all(positions[number] >= end or end == 0 for number, end in ends.items())

            wait_until(enough, timeout_s, lambda: f"{count or 'all'} messages of {topic}, got {len(messages)}", 0)
            return messages
        finally:
            consumer.close()

    def read_messages(self, topic, count=None, timeout_s=30, codec=None):
        """Like read_topic(), decoded: [(key, message)]; message is None for a tombstone."""
        from messages import TOPIC_MESSAGES, MessageCodec
        codec = codec or MessageCodec()
        return [(message.key(), codec.decode(message.value(), TOPIC_MESSAGES[topic])[1]
                 if message.value() is not None else None)
                for message in self.read_topic(topic, count, timeout_s)]

    # Redis ---------------------------------------------------------------------------------------------------------

    def redis_client(self, **settings):
        import redis
        return redis.Redis(host="127.0.0.1", port=self.redis.port, decode_responses=True, **settings)
