"""forestall-predict on a real broker: what it tells, what it learns, what it refuses. One broker, one service for all."""
import random
import struct

import pytest

from predictor import CODEC, MIB, Node, Predict, Reader, Run, committed, make_model, publish_model, record_of
from cluster import Cluster
from process import free_ports, wait_until


@pytest.fixture(scope="module")
def cluster():
    with Cluster(with_redis=False) as running:
        yield running


@pytest.fixture(scope="module")
def model(cluster):
    path = cluster.directory / "ramp.safetensors"
    return path, make_model(path, "ramp")


@pytest.fixture(scope="module")
def predict(cluster, model):
    service = Predict(cluster, model=model[0]).start()
    yield service
    assert service.program.stop() == 0, service.program.log_tail()


@pytest.fixture
def risks(cluster, predict):
    reader = Reader(cluster, "risks")
    yield reader
    reader.close()


def test_promotion__while_programs_run_into_their_limits__no_risk_missed(cluster, predict, model, risks):
    """What retrain writes on a promotion, in its order, while runs ramp towards their limits at every stage of the swap: each is
    told before its limit, once; no sample is skipped; no run is without a risk for longer than the refresh."""
    node = Node(cluster, "promotion-node")
    data = bytearray(model[0].read_bytes())
    data[-4:] = struct.pack("<f", struct.unpack("<f", data[-4:])[0] - 0.5)  # the last intercept: another model that sees the same
    promoted, ticks, each, limit = bytes(data), 420, 300, 300 * MIB
    starts = list(range(1, ticks - each + 1, 10))
    runs = {start: [Run(f"ramp-{start}", limit, MIB), Run(f"still-{start}", limit)] for start in starts}
    samples, refused = predict.metric("samples_total"), predict.metric("models_refused_total")
    version, sent = None, 0
    for tick in range(1, ticks + 1):
        now = [run for start, pair in runs.items() if start <= tick < start + each for run in pair]
        node.tick(now)
        node.flush()  # a stream, not one batch
        sent += len(now)
        if tick == 60:
            version = publish_model(cluster, "challenger", promoted)
            wait_until(lambda: version in predict.log(), 30, "the challenger")
        if tick == 240:
            publish_model(cluster, "previous", model[0].read_bytes())
            publish_model(cluster, "champion", promoted)
            producer = cluster.producer()
            producer.produce("models", None, b"challenger")
            assert producer.flush(30) == 0
            wait_until(lambda: f"role=champion version={version}" in predict.log(), 30, "the champion")
    wait_until(lambda: predict.metric("samples_total") == samples + sent, 60, "all samples scored")
    last = node.sequence
    risks.wait(lambda _: all(risks.of(ramp) and risks.of(ramp)[-1]["sequence"] >= min(last, start + each - 1) - 50
                             for start, (ramp, _still) in runs.items()), 60, "the last refreshes")
    for start, (ramp, still) in runs.items():
        told = risks.of(ramp)
        crossings = [risk for risk in told if risk["kind"] == "CROSSING" and risk["above"]]
        assert len(crossings) == 1 and crossings[0]["memory_bytes"] < 0.8 * limit, (start, crossings)
        for run in (ramp, still):
            sequences = [risk["sequence"] for risk in risks.of(run)]
            assert sequences == sorted(set(sequences)) and sequences[0] == start
            assert max(b - a for a, b in zip(sequences, sequences[1:])) <= 50
            versions = [risk["model_version"] for risk in risks.of(run)]
            assert set(versions) <= {model[1], version} and versions == sorted(versions, key=lambda v: v == version)
        assert not any(risk["above"] for risk in risks.of(still))
    swapped = [risk for start in starts for run in runs[start] for risk in risks.of(run) if risk["model_version"] == version]
    assert min(risk["sequence"] for risk in swapped) <= 241 + 1  # it had been scoring beside: warm, so at once
    assert predict.metric("models_refused_total") == refused
    producer = cluster.producer()  # withdrawn: the file's model again
    producer.produce("models", None, b"champion")
    producer.produce("models", None, b"previous")
    assert producer.flush(30) == 0
    after = Run("after", limit)

    def file_again():  # other limits each time, so that each tick is told
        after.limits = {**after.limits, "net_priority": node.sequence % 2}
        node.tick([after])
        node.flush()
        told = risks.wait(lambda _: [risk for risk in risks.of(after) if risk["sequence"] == node.sequence], 30, "a risk")
        return told[-1]["model_version"] == model[1]
    wait_until(file_again, 60, "the file's model")


def test_ramp__towards_the_limit__told_before_it_is_reached(cluster, model, risks):
    node, ramp, quiet = Node(cluster, "ramp-node"), Run("ramp", 300 * MIB, MIB), Run("quiet", 300 * MIB)
    held = Run("held", 300 * MIB, MIB, arm="HELD_OUT")
    for _ in range(330):
        node.tick([ramp, quiet, held])
        node.flush()  # a stream, not one batch
    crossing = risks.wait(lambda _: [risk for risk in risks.of(ramp) if risk["above"]], 30, "a risk above")[0]
    told = risks.of(ramp)
    assert told[0]["sequence"] == 1 and told[0]["kind"] == "REFRESH" and not told[0]["above"]
    assert crossing["kind"] == "CROSSING" and crossing["cause"] == "MEMORY"
    assert crossing["memory_bytes"] < 0.8 * 300 * MIB
    assert crossing["probability"] >= crossing["threshold"] > 0 and crossing["horizon_ms"] == 10000
    assert 0 < crossing["within_2s"]["memory"] <= crossing["probabilities"]["memory"] <= crossing["within_30s"]["memory"] < 1
    assert crossing["memory_bytes"] <= crossing["memory"]["p50"] <= crossing["memory"]["p90"] <= crossing["memory"]["p99"]
    assert crossing["model_version"] == model[1] and crossing["node"] == "ramp-node" and crossing["pool"] == "default"
    assert crossing["limits"] == ramp.limits and crossing["incarnation"] == node.incarnation
    assert crossing["explanation"][0]["feature"] == "memory_exhaustion_second"
    assert crossing["explanation"][0]["weight"] > 0
    assert crossing["published_us"] >= crossing["consumed_us"] > 0
    assert len([risk for risk in told if risk["kind"] == "CHANGE"]) > 10  # it kept moving
    risks.wait(lambda _: [risk for risk in risks.of(quiet) if risk["sequence"] > 280], 30, "the quiet run's last refresh")
    assert {risk["kind"] for risk in risks.of(quiet)} == {"REFRESH"}
    gaps = [later["sequence"] - earlier["sequence"] for earlier, later in zip(risks.of(quiet), risks.of(quiet)[1:])]
    assert gaps and max(gaps) <= 50  # at least one every 5 s
    assert any(risk["above"] and risk["arm"] == "HELD_OUT" for risk in risks.of(held))
    keys = {message.key() for message, risk in zip(risks.raw, risks.messages) if risk["execution"] == ramp.execution}
    assert keys == {b"ramp"}
    identities = [(risk["execution"], risk["attempt"], risk["epoch"], risk["sequence"]) for risk in risks.messages]
    assert len(identities) == len(set(identities))


def test_repeats_and_gaps__repeats_dropped_gaps_taken(cluster, predict, risks):
    node, run = Node(cluster, "repeating-node"), Run("repeating", 300 * MIB)
    before = predict.metric("repeats_total")
    values = [node.tick([run]) for _ in range(10)]
    for value in values[3:8]:
        node.producer.produce("telemetry", value, node.name.encode())
    node.sequence += 100  # lost ticks
    node.tick([run])
    node.flush()
    risks.wait(lambda _: [risk for risk in risks.of(run) if risk["sequence"] == 111], 30, "the risk after the gap")
    wait_until(lambda: predict.metric("repeats_total") == before + 5, 10, "five repeats counted")
    assert [risk["sequence"] for risk in risks.of(run)] == [1, 111]


def test_change__limits_brake_kill__told_at_once(cluster, risks):
    node, run = Node(cluster, "changing-node"), Run("changing", 300 * MIB)
    node.tick([run])
    node.tick([run])
    run.limits = {**run.limits, "memory_bytes": 400 * MIB}
    node.tick([run])
    node.tick([run], brake_engaged=True)
    node.tick([run], brake_engaged=False, oom_kills=1)
    node.tick([run], oom_kills=1)
    node.flush()
    risks.wait(lambda _: len(risks.of(run)) >= 4, 30, "four risks")
    assert [(risk["sequence"], risk["kind"]) for risk in risks.of(run)] == [
        (1, "REFRESH"), (3, "CHANGE"), (4, "CHANGE"), (5, "CHANGE")]
    assert risks.of(run)[1]["limits"]["memory_bytes"] == 400 * MIB
    assert risks.of(run)[2]["brake_engaged"] and risks.of(run)[3]["oom_kills"] == 1


def test_unreadable__malformed_mutated_unknown_schema__quarantine_and_go_on(cluster, predict, risks):
    dead, = free_ports(1)  # meanwhile: a broker that is not there
    lonely = cluster.start_program("predict-dead", [cluster.program("forestall-predict"),
                                                    f"--service.brokers=127.0.0.1:{dead}"])
    node, run = Node(cluster, "broken-node"), Run("broken", 300 * MIB)
    chance = random.Random(4)
    good = node.tick([run])
    key = node.name.encode()
    bad = [b"", b"no avro", good[:-3], good[:2] + bytes(8) + good[10:], CODEC.encode("Tick", {
        "node": "", "pool": "", "incarnation": bytes(16), "epoch": 0, "sequence": 0, "time_us": 0, "monotonic_us": 0,
        "dropped": 0, "samples": [], "extra": False})]
    for value in bad:
        node.producer.produce("telemetry", value, key)
    for _ in range(50):  # whatever these are read as, the service goes on
        mutated = bytearray(good)
        mutated[chance.randrange(10, len(mutated))] ^= 1 << chance.randrange(8)
        node.producer.produce("telemetry", bytes(mutated), key)
    # absurd values are values: clamped, not refused
    absurd = {"memory_bytes": 2**63 - 1, "cpu_usage_us": -2**63, "net_tx_bytes": 2**63 - 1, "memory_peak_bytes": -1}
    other = Run("absurd", 2**63 - 1)
    strange = Node(cluster, "strange-node")
    for number in range(20):
        strange.tick([other], **(absurd if number % 2 else {}))
    strange.flush()
    node.producer.produce("executions.finished", b"no record", b"broken")
    node.flush()
    risks.wait(lambda _: risks.of(other), 60, "a risk of the absurd run")
    assert all(0 <= risk["probability"] <= 1 for risk in risks.of(other))
    healthy = Run("healthy", 300 * MIB)
    node.epoch += 1000
    node.ticks(3, [healthy])
    # behind the unknown schema on the same partition: that one is waited for, but not for long
    risks.wait(lambda _: risks.of(healthy), 60, "a risk after the broken ticks")
    node.producer.produce("telemetry", bad[3], key)
    node.ticks(50, [healthy])
    risks.wait(lambda _: len(risks.of(healthy)) >= 2, 60, "a risk after another of them")
    quarantine = Reader(cluster, "quarantine")
    quarantine.wait(lambda messages: len(messages) >= len(bad) + 1, 30, "the quarantined messages")
    reasons = {}
    for message in quarantine.raw:
        headers = {name: value.decode() for name, value in message.headers()}
        assert headers["service"] == "forestall-predict"
        reasons.setdefault(headers["topic"], []).append(headers["reason"])
    quarantine.close()
    assert any("topic schemas" in reason for reason in reasons["telemetry"])
    assert any("node" in reason for reason in reasons["telemetry"])
    assert any("ExecutionRecord" in reason for reason in reasons["executions.finished"])
    values = [message.value() for message in quarantine.raw]
    assert all(value in values for value in bad if value)
    assert predict.program.alive()
    assert lonely.wait(30) == 1
    assert f"127.0.0.1:{dead}" in lonely.log_tail()


def test_finished__records__counted_once_and_published(cluster, predict, model, risks):
    codes = Reader(cluster, "codes")
    node = Node(cluster, "finished-node")
    producer = cluster.producer()
    outcomes = ["FINISHED", "OOM_KILLED", "FINISHED", "OOM_KILLED"]
    for outcome in outcomes:
        run = Run("learned", 50 * MIB)
        producer.produce("executions.finished", CODEC.encode("ExecutionRecord", record_of(run, node, outcome)), b"learned")
    assert producer.flush(30) == 0
    mine = lambda messages: [m for m in messages if m and m["code"] == "learned"]  # noqa: E731
    profiles = codes.wait(lambda messages: len(mine(messages)) >= 4 and mine(messages), 60, "four profiles")
    last = profiles[-1]
    assert [profile["revision"] for profile in profiles] == [1, 2, 3, 4]
    assert last["runs"] == 4 and last["finished"] == 2 and last["failures"] == {"memory": 2}
    assert last["model_version"] == model[1] and last["head"] and last["calibration"] and last["examples"] > 100
    assert last["memory_peak"]["total"] > 0 and last["duration"]["total"] > 0
    through, = last["through"]
    assert through["topic"] == "executions.finished" and through["offset"] >= 3
    run = Run("learned", 300 * MIB)
    Node(cluster, "later-node").ticks(1, [run])
    told = risks.wait(lambda _: risks.of(run), 30, "a risk of the learned code")
    assert told[0]["profile_revision"] == 4
    assert predict.metric("records_total") >= 4
    codes.close()


def test_models__champion_published__takes_over_without_a_stop(cluster, predict, model, risks):
    node, run = Node(cluster, "model-node"), Run("modelled", 300 * MIB)
    path = cluster.directory / "next.safetensors"

    def tell():  # other limits each time, so that each tick is told
        run.limits = {**run.limits, "net_priority": node.sequence % 2}
        node.tick([run])
        node.flush()
        return risks.wait(lambda _: [risk for risk in risks.of(run) if risk["sequence"] == node.sequence], 30, "a risk")[-1]

    assert tell()["model_version"] == model[1]
    refused = predict.metric("models_refused_total")
    make_model(path, "other-features")
    publish_model(cluster, "champion", path.read_bytes())
    wait_until(lambda: predict.metric("models_refused_total") == refused + 1, 30, "the wrong model refused")
    make_model(path, "random", 5)
    publish_model(cluster, "champion", path.read_bytes(), sha256="0" * 64)
    wait_until(lambda: predict.metric("models_refused_total") == refused + 2, 30, "the damaged model refused")
    assert "features version" in predict.log() and "sha256" in predict.log()
    assert tell()["model_version"] == model[1]
    version = publish_model(cluster, "champion", path.read_bytes())

    def swapped():
        return tell()["model_version"] == version  # and a risk for each tick in between
    wait_until(swapped, 60, "the new champion")
    assert node.sequence > 60  # warm first
    challenger = publish_model(cluster, "challenger", model[0].read_bytes())
    wait_until(lambda: challenger in predict.log(), 30, "the challenger")
    for _ in range(5):
        assert tell()["model_version"] == version
    wait_until(lambda: predict.metric("shadow_samples_total") > 0, 30, "the challenger scoring")
    producer = cluster.producer()  # withdrawn: the file's model again
    for role in (b"champion", b"challenger"):
        producer.produce("models", None, role)
    assert producer.flush(30) == 0
    wait_until(lambda: tell()["model_version"] == model[1], 60, "the file's model")


def test_metrics_and_pages__shown(predict):
    assert predict.page("/healthz")[0] == 200
    for name in ("ticks_total", "samples_total", "risks_total", "attempts", "codes", "sampled_to_told_seconds_count"):
        assert predict.metric(name) > 0, name
    assert predict.metric("fallback") == 0


def test_offsets__everything_done__committed(cluster, predict):
    node, run = Node(cluster, "offset-node"), Run("offset", 300 * MIB)
    node.ticks(10, [run])
    ends = sum(cluster.consumer().get_watermark_offsets(part, 10)[1] for part in partitions(cluster, "telemetry"))
    wait_until(lambda: committed(cluster, "telemetry") == ends, 30, lambda: f"{ends} committed")


def partitions(cluster, topic):
    from confluent_kafka import TopicPartition
    return [TopicPartition(topic, number) for number in cluster.admin().list_topics(topic, 10).topics[topic].partitions]


def test_no_model__histogram__decides(cluster):
    broken = cluster.directory / "broken.safetensors"
    broken.write_bytes(b"not a model")
    service = Predict(cluster, member="fallback", model=broken, code_idle="60s")
    service.options["service.topic_prefix"] = "other-"
    service.start()
    node, run = Node(cluster, "fallback-node", "other-telemetry"), Run("fallback", 300 * MIB, MIB)
    risks = Reader(cluster, "risks", prefix="other-")
    node.ticks(290, [run])
    above = risks.wait(lambda _: [risk for risk in risks.of(run) if risk["above"]], 30, "a risk above")[0]
    assert above["model_version"] == "histogram" and above["memory_bytes"] < 290 * MIB
    assert len(above["explanation"]) == 3
    assert "model_refused" in service.log() and service.metric("fallback") == 1
    risks.close()
    assert service.program.stop() == 0, service.program.log_tail()
