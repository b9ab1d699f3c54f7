"""What the end-to-end tests of the commands share."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cluster import Cluster  # noqa: E402
from fake_queue import create_topics  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as running:
        create_topics(running)
        yield running
