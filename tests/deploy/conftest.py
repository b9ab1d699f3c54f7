"""What test_compose.py gets: the deployment, and in its place for a test the servers of one's own."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"))
from compose import Deployment, outputs  # noqa: E402
from own_servers import own_servers  # noqa: E402, F401


@pytest.fixture(scope="module")
def deployment():
    fresh = Deployment()
    fresh.outputs = outputs()
    fresh.compose("down", "-v", "--remove-orphans", profiles=("registry", "cli"))  # of a run that was killed
    yield fresh


@pytest.fixture(autouse=True)
def tell(request, deployment):
    """What the containers said, when a test fails."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        print(deployment.logs(40))
