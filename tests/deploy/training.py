"""retrain of the deployment, made to train and publish within a test."""
import subprocess

from cluster import BIN_DIRECTORY, SOURCE_DIRECTORY
from confluent_kafka import Producer
from forestall_topics import Schemas
from process import wait_until


def publish_a_model(deployment, directory):
    """retrain trains on the committed corpus, from a model that has hardly learned anything: what it makes is better and
    is published as challenger."""
    corpus = SOURCE_DIRECTORY / "tests" / "model" / "corpus" / "small.records"
    weak = directory / "weak.safetensors"
    subprocess.run([BIN_DIRECTORY / "forestall-retrain", "train", "--out", weak, "--by_execution", "yes", "--epochs", "1",
                    "--hidden", "16", "--learning_rate", "1e-7", "--plans", "2", "--records", corpus], check=True,
                   capture_output=True, timeout=300)
    weak.chmod(0o644)
    data, at, values = corpus.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        values.append(data[at + 4:at + 4 + size])
        at += 4 + size
    # of a corpus so small, kept whole beside what ran here, half is held out: fewer executions decide nothing
    settings = {"CHAMPION_FILE": "/weak.safetensors", "MIN_RECORDS": len(values), "MIN_NEW": len(values), "INTERVAL": "10h",
                "SAMPLE": 1, "CODE_SHARE": 1, "TENANT_SHARE": 1, "HELD_OUT": 0.5, "SEED": 3, "PLANS": 6, "EPOCHS": 4,
                "LEARNING_RATE": 0.005}
    words = [word for name, value in settings.items() for word in ("-e", f"FORESTALL_RETRAIN_{name}={value}")]
    name = "forestall-test-training"
    deployment.compose("stop", "retrain")
    try:
        deployment.compose("run", "-d", "--no-deps", "--name", name, "-e", "FORESTALL_SERVICE_STATE_DIR=/tmp", *words,
                           "-v", f"{weak}:/weak.safetensors:ro", "retrain")
        wait_until(lambda: deployment.docker("exec", name, "forestall-health", "/readyz", check=False).returncode == 0, 60,
                   "the trainer to be ready", 0.5)
        producer, schemas = Producer({"bootstrap.servers": deployment.brokers, "partitioner": "murmur2_random"}), \
            Schemas(deployment.brokers)
        for value in values:
            producer.produce("executions.finished", value, schemas.decode(value)[1]["code"].encode())
        assert producer.flush(30) == 0
        wait_until(lambda: deployment.read_topic("models"), 180,
                   lambda: "a challenger: " + deployment.docker("logs", "--tail", 20, name, check=False).stderr, 1)
    finally:
        deployment.docker("rm", "-fv", name, check=False)
    deployment.up("retrain", "--no-recreate")
