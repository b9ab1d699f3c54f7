"""forestall-queue with a Redis that asks for a password."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cluster import Cluster  # noqa: E402
from fakes import MIB, TOPICS, FakeNode, Queue, finishes, request, submit  # noqa: E402
from process import wait_until  # noqa: E402


def test_redis__password__allocations_read():
    with Cluster() as cluster:
        cluster.create_topics(TOPICS)
        client = cluster.redis_client()
        client.hset("forestall:allocation:{code}", mapping={"revision": 3, "memory_bytes": 96 * MIB})
        client.config_set("requirepass", "secret")
        queue = Queue(cluster, env={"FORESTALL_SERVICE_REDIS_PASSWORD": "secret"}).start()
        node = FakeNode(cluster, "node", "pool")
        node.plays["code"] = finishes
        node.start()
        one = request()
        submit(cluster, one)
        wait_until(lambda: node.admissions, 30, "its admission")
        assert node.admissions[0]["limits"]["memory_bytes"] == 96 * MIB
        queue.wait_metric("allocations_read_total", 1)
        node.stop()
        queue.stop()
