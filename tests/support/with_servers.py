"""with_servers.py [--no-redis] COMMAND...: runs a program beside a fresh real broker and Redis.

Their addresses are in FORESTALL_TEST_KAFKA and FORESTALL_TEST_REDIS (host:port). Exits with the command's status;
for tests in C that want a real broker:

    tests/support/python.sh with_servers.py build/release/tests/test_x
"""
import os
import subprocess
import sys

from cluster import Cluster
from process import die_with


def main(arguments):
    with_redis = True
    if arguments[:1] == ["--no-redis"]:
        with_redis = False
        arguments = arguments[1:]
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    cluster = Cluster(with_redis=with_redis).start()
    status = 1
    try:
        addresses = {"FORESTALL_TEST_KAFKA": cluster.broker.bootstrap}
        if with_redis:
            addresses["FORESTALL_TEST_REDIS"] = cluster.redis.address
        own_pid = os.getpid()
        status = subprocess.run(arguments, env={**os.environ, **addresses},
                                preexec_fn=lambda: die_with(own_pid)).returncode
    finally:
        if status != 0:
            cluster.print_logs()
        cluster.close()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
