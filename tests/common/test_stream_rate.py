"""common/stream on a real broker: how many messages a second it keeps up with, and how late they are."""
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster  # noqa: E402

PROBE = pathlib.Path(os.environ["FORESTALL_TESTS"]) / "stream_probe"


def test_bench__10000_messages_per_second__kept_up_with():
    with Cluster(with_redis=False) as cluster:
        cluster.create_topics({"in": 4})
        result = subprocess.run([PROBE, "bench", cluster.broker.bootstrap, "in", "20000"], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    print(result.stdout)
    figures = {line["rate"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert figures[10000]["messages_per_s"] > 5000  # far below what an idle machine does
    assert figures[10000]["p50_ms"] < 100
