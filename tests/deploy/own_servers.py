"""A Kafka and a Redis that are not of the compose file: the broker asks for TLS, a name and a password."""
import json
import subprocess

import pytest
from compose import DEPLOY, SERVICES
from process import wait_until

OWN = "forestall-test-own"
KAFKA = {"CLUSTER_ID": "Zm9yZXN0YWxsLW93bi1rYQ", "KAFKA_NODE_ID": 1, "KAFKA_PROCESS_ROLES": "broker,controller",
         "KAFKA_LISTENERS": "OWN://:9092,CONTROLLER://:9093", "KAFKA_ADVERTISED_LISTENERS": f"OWN://{OWN}-kafka:9092",
         "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "OWN:SASL_SSL,CONTROLLER:PLAINTEXT",
         "KAFKA_INTER_BROKER_LISTENER_NAME": "OWN", "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
         "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093", "KAFKA_LOG_DIRS": "/var/lib/kafka/data", "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
         "KAFKA_SSL_KEYSTORE_TYPE": "PEM", "KAFKA_SSL_KEYSTORE_LOCATION": "/etc/own/broker.pem",
         "KAFKA_SSL_TRUSTSTORE_TYPE": "PEM", "KAFKA_SSL_TRUSTSTORE_LOCATION": "/etc/own/ca.pem",
         "KAFKA_SASL_ENABLED_MECHANISMS": "PLAIN", "KAFKA_SASL_MECHANISM_INTER_BROKER_PROTOCOL": "PLAIN",
         "KAFKA_LISTENER_NAME_OWN_PLAIN_SASL_JAAS_CONFIG":
             "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"broker\" password=\"of-the-broker\" "
             "user_broker=\"of-the-broker\" user_forestall=\"of-forestall\";",
         "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": 1, "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": 1,
         "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": 1, "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": 1,
         "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": 1, "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": 0,
         "KAFKA_HEAP_OPTS": "-Xms256m -Xmx512m"}


def certificates(directory):
    """An authority of one's own, ca.pem, and what the broker shows, signed by it: broker.pem, with its key."""
    def make(name, *arguments):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.pem", *arguments],
                       check=True, capture_output=True)
    make("ca", "-subj", "/CN=ca.test")
    make("broker", "-CA", directory / "ca.pem", "-CAkey", directory / "ca.key", "-subj", "/CN=broker.test",
         "-addext", f"subjectAltName=DNS:{OWN}-kafka", "-addext", "basicConstraints=critical,CA:FALSE")
    with open(directory / "broker.pem", "a") as file:
        file.write((directory / "broker.key").read_text())


@pytest.fixture
def own_servers(deployment, tmp_path):
    """A Kafka with TLS that asks for a name and a password, and a Redis, on a network of their own; nothing of ours runs."""
    certificates(tmp_path)
    images = dict(line.split("=", 1) for line in (DEPLOY / ".env").read_text().splitlines() if "_IMAGE=" in line)
    deployment.compose("down", "-v", profiles=("registry", "cli"))
    deployment.docker("network", "create", OWN)
    try:
        words = [word for key, value in KAFKA.items() for word in ("-e", f"{key}={value}")]
        words += [word for name in ("broker", "ca") for word in ("-v", f"{tmp_path}/{name}.pem:/etc/own/{name}.pem:ro")]
        deployment.docker("run", "-d", "--name", OWN + "-kafka", "--network", OWN, *words, images["KAFKA_IMAGE"])
        deployment.docker("run", "-d", "--name", OWN + "-redis", "--network", OWN, images["REDIS_IMAGE"])
        listens = ("exec", OWN + "-kafka", "bash", "-c", "exec 3<>/dev/tcp/localhost/9092")
        wait_until(lambda: deployment.docker(*listens, check=False).returncode == 0, 60,
                   lambda: "Kafka: " + deployment.docker("logs", "--tail", 30, OWN + "-kafka", check=False).stdout, 0.5)
        yield
    finally:
        deployment.docker("rm", "-fv", OWN + "-kafka", OWN + "-redis", check=False)
        deployment.docker("network", "rm", OWN, check=False)


def own_files(directory, password, authority="ssl.ca.location = /etc/forestall/ca.pem"):
    """An override with forestall.ini as docs/deploy.md tells."""
    ini = directory / "forestall.ini"
    ini.write_text((DEPLOY / "forestall.ini").read_text() + f"\n[kafka]\nsecurity.protocol = SASL_SSL\n{authority}\n"
                   f"sasl.mechanism = PLAIN\nsasl.username = forestall\nsasl.password = {password}\n")
    ini.chmod(0o644)
    mount = {"volumes": [f"{ini}:/etc/forestall/forestall.ini:ro", f"{directory}/ca.pem:/etc/forestall/ca.pem:ro"]}
    network = {"networks": {"default": {"name": OWN, "external": True}}}
    all_of_it, node = directory / "override.yaml", directory / "node.yaml"
    all_of_it.write_text(json.dumps({"services": {name: mount for name in ("init", "cli", *SERVICES)}, **network}))
    node.write_text(json.dumps(network))
    return [DEPLOY / "compose.yaml", DEPLOY / "external.compose.yaml", all_of_it], [DEPLOY / "agent.compose.yaml", node]
