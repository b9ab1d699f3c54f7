"""forestall-predict started anew: `codes` and `models` are read to their ends before anything is decided."""
import pytest

from predictor import MIB, Node, Predict, Reader, Run, Ticking, make_model, publish_model
from cluster import Cluster
from other_version import OtherVersion
from process import wait_until


@pytest.fixture
def cluster():
    with Cluster(with_redis=False) as running:
        yield running


def publish_three(cluster, other):
    """An old champion, one whose writer's schema is not known yet, and the newest; the versions of the first and the last."""
    versions = []
    for number, encode in ((1, None), (2, other.encode), (3, None)):
        path = cluster.directory / f"champion-{number}.safetensors"
        make_model(path, "random", number)
        keywords = {"encode": encode} if encode else {}
        versions.append(publish_model(cluster, "champion", path.read_bytes(), **keywords))
    return versions[0], versions[2]


def prepare(cluster):
    """The topics are there; a champion takes over after one tick."""
    predict = Predict(cluster, rewind_ticks=1).start()
    risks = Reader(cluster, "risks")
    assert predict.program.stop() == 0, predict.program.log_tail()
    return predict, risks


def test_start__old_champion_in_the_topic__decides_nothing(cluster):
    predict, risks = prepare(cluster)
    other = OtherVersion("model.avsc")
    _, newest = publish_three(cluster, other)
    node, run = Node(cluster), Run("running", 300 * MIB)
    with Ticking(node, [run]):
        predict.start(ready=False)

        def waits_or_decides_wrongly():
            run.limits = {**run.limits, "net_priority": 1 - run.limits["net_priority"]}  # told at once
            return ("before anything is decided" in predict.page("/readyz")[1]
                    or any(risk["model_version"] != newest for risk in risks.read()))
        wait_until(waits_or_decides_wrongly, 60, lambda: f"predict to read models: {predict.page('/readyz')}")
        producer = cluster.producer()
        producer.produce("schemas", other.text, other.key)
        assert producer.flush(30) == 0
        risks.wait(lambda _: len(risks.of(run)) >= 2, 60, "risks")
    assert {risk["model_version"] for risk in risks.of(run)} == {newest}
    predict.wait_ready()
    wait_until(lambda: predict.metric("ticks_total") > 0, 10, "the metrics")
    assert predict.metric("started_behind_total") == 0
    assert predict.program.stop() == 0, predict.program.log_tail()


def test_start__models_cannot_be_read_in_time__goes_on_and_says_so(cluster):
    predict, risks = prepare(cluster)
    old, _ = publish_three(cluster, OtherVersion("model.avsc"))
    predict.options["predict.follow_wait"] = "1s"
    node, run = Node(cluster), Run("running", 300 * MIB)
    with Ticking(node, [run]):
        predict.start(ready=False)
        told = risks.wait(lambda _: risks.of(run), 25, "a risk although models cannot be read")
    assert told[0]["model_version"] == old
    assert "started_behind" in predict.log()
    wait_until(lambda: predict.metric("started_behind_total") == 1, 10, "the start counted")
    assert predict.program.stop() == 0, predict.program.log_tail()
