"""What the end-to-end tests of forestall-queue share; each file brings its own `cluster` and `queue`."""
import pathlib
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fakes import FakeNode, States  # noqa: E402


@pytest.fixture(scope="module")
def states(cluster, queue):
    following = States(cluster)
    yield following
    following.close()


@pytest.fixture
def pool():
    """A pool of this test alone."""
    return "pool-" + uuid.uuid4().hex[:8]


@pytest.fixture
def nodes(cluster, queue, pool):
    """nodes("a", ...) starts a node of this test's pool."""
    started = []

    def start(name, **settings):
        node = FakeNode(cluster, f"{pool}-{name}", pool, **settings)
        started.append(node.start())
        return node
    yield start
    for node in started:
        node.stop()
