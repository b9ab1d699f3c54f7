"""The command line tool as a test calls it."""
import os
import subprocess

from cluster import Cluster

FORESTALL = Cluster.program("forestall")
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("FORESTALL_")}


def arguments(cluster, command, *rest):
    target = ["--brokers", cluster.broker.bootstrap, "--redis", cluster.redis.address]
    words = command.split()
    return [FORESTALL, words[0], *target, *words[1:], *map(str, rest)]


def forestall(cluster, command, *rest, timeout_s=60):
    return subprocess.run(arguments(cluster, command, *rest), capture_output=True, text=True, timeout=timeout_s,
                          env=ENVIRONMENT, stdin=subprocess.DEVNULL)
