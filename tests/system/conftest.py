"""Fixtures of the end-to-end tests."""
import pytest

from cluster import Cluster


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Remembers a failure, so that the cluster prints its logs and stays on disk."""
    report = yield
    if report.failed:
        item.failed = True
    return report


@pytest.fixture
def cluster(request):
    """A broker and a Redis of this test's own."""
    running = Cluster().start()
    yield running
    failed = getattr(request.node, "failed", False)
    if failed:
        running.print_logs()
    running.close(keep_directory=failed)
