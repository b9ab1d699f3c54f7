"""forestall-retrain on a real broker: records in, a challenger out that becomes champion after its shadow, readable by other
languages; a worse one is rolled back; killed in the middle of a training it goes on with it and stores nothing twice; lies do
not promote a model; the commands on files."""
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BIN_DIRECTORY, SOURCE_DIRECTORY, Cluster  # noqa: E402
from messages import MessageCodec  # noqa: E402
from process import free_ports, wait_until  # noqa: E402

CORPUS = SOURCE_DIRECTORY / "tests" / "model" / "corpus"
SHIPPED = SOURCE_DIRECTORY / "model" / "pretrained" / "champion.safetensors"
RETRAIN = BIN_DIRECTORY / "forestall-retrain"
QUICK = ["--seed", "3", "--plans", "6", "--epochs", "4", "--learning_rate", "0.005"]


def framed_records():
    """The committed corpus of real runs: framed values as they stand in `executions.finished`."""
    data, at, values = (CORPUS / "small.records").read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        values.append(data[at + 4:at + 4 + size])
        at += 4 + size
    return values


def run(*arguments, check=True):
    result = subprocess.run([RETRAIN, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    if check:
        assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def weak(tmp_path_factory):
    """A model that has hardly learned anything: easy to beat."""
    path = tmp_path_factory.mktemp("weak") / "weak.safetensors"
    run("train", "--out", path, "--by_execution", "yes", "--epochs", 1, "--hidden", 16, "--learning_rate", "1e-7",
        "--plans", 2, "--records", CORPUS / "small.records")
    return path


def version_of(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


# --- commands on files -------------------------------------------------------------------------------------------------


def test_train__killed_twice__ends_with_the_same_bytes(tmp_path):
    """kill -9 in the middle: the next start goes on from the last epoch and ends as if nothing had happened."""
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    options = ["--splits", CORPUS / "manifest.jsonl", "--hidden", 16, "--members", 2, "--plans", 6, "--epochs", 5, "--dropout", 0.2,
               "--records", CORPUS]
    undisturbed = run("train", "--out", whole, *options)
    assert "member 2/2 epoch" in undisturbed.stderr and "resumed" not in undisturbed.stderr
    for epoch in ("member 1/2 epoch 2/", "member 2/2 epoch 3/"):
        killed = subprocess.Popen([RETRAIN, *map(str, ["train", "--out", broken, *options])], stderr=subprocess.PIPE, text=True)
        for line in killed.stderr:
            if line.startswith(epoch):
                break
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=30)
        assert killed.returncode == -signal.SIGKILL and not broken.exists()
    resumed = run("train", "--out", broken, *options)
    assert "resumed after epoch" in resumed.stderr and "member 2/2 epoch 1/" not in resumed.stderr
    assert broken.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob("*.checkpoint*"))


def test_merge_and_calibrate__two_models__one_that_evaluates(tmp_path):
    options = ["--splits", CORPUS / "manifest.jsonl", "--plans", 4, "--epochs", 2, "--records", CORPUS]
    for seed, hidden in ((1, 6), (1, 10)):
        run("train", "--out", tmp_path / f"{hidden}.safetensors", "--seed", seed, "--hidden", hidden, *options)
    raw, whole = tmp_path / "raw.safetensors", tmp_path / "whole.safetensors"
    run("merge", "--out", raw, tmp_path / "6.safetensors", tmp_path / "10.safetensors")
    run("calibrate", "--model", raw, "--out", whole, *options)
    scores = json.loads(run("evaluate", "--model", whole, *options).stdout)
    assert scores["model"] == version_of(whole) and all(0 < threshold < 1 for threshold in scores["thresholds"].values())
    run("train", "--out", tmp_path / "other.safetensors", "--seed", 2, "--hidden", 6, *options)
    refused = run("merge", "--out", raw, tmp_path / "6.safetensors", tmp_path / "other.safetensors", check=False)
    assert refused.returncode == 1 and "same records" in refused.stderr


def test_train__damaged_checkpoint__begins_anew(tmp_path):
    whole, model = tmp_path / "whole.safetensors", tmp_path / "model.safetensors"
    options = ["--splits", CORPUS / "manifest.jsonl", "--hidden", 8, "--plans", 2, "--epochs", 2, "--records", CORPUS]
    run("train", "--out", whole, *options)
    (tmp_path / "model.safetensors.checkpoint.1").write_bytes(os.urandom(5000))
    assert "resumed" not in run("train", "--out", model, *options).stderr
    assert model.read_bytes() == whole.read_bytes()


def test_train__by_program__evaluated_beside_the_rules(tmp_path):
    model = tmp_path / "model.safetensors"
    trained = run("train", "--out", model, "--splits", CORPUS / "manifest.jsonl", "--hidden", 16, *QUICK, "--records", CORPUS)
    assert re.search(r"epoch 1/4 loss .* ticks/s, at most \d+ s left", trained.stderr)
    assert version_of(model) in trained.stderr
    scores = json.loads(run("evaluate", "--model", model, "--splits", CORPUS / "manifest.jsonl", "--parts", "test",
                            "--records", CORPUS).stdout)
    assert scores["model"] == version_of(model)
    assert set(scores["memory"]) == {"model", "eta_100ms", "eta_5s", "headroom"}
    for rule in scores["memory"].values():
        assert {"average_precision", "at_rate"} <= set(rule)
        assert {"recall_1s", "recall_2s", "recall_5s", "false_alarms_per_hour"} <= set(rule["at_rate"])
    assert {"brier", "calibration_error", "average_precision"} <= set(scores["causes"]["memory"])
    train = {line["program"] for line in map(json.loads, (CORPUS / "manifest.jsonl").read_text().splitlines())
             if line["split"] == "train"}
    assert scores["programs"] and not set(scores["programs"]) & train


def test_commands__bad_input__one_clear_line(tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"no model")
    (tmp_path / "junk.records").write_bytes(b"no records")
    cases = [(["train", "--records", CORPUS], "--out"),
             (["train", "--out", tmp_path / "x", "--records", tmp_path / "none"], "No such file"),
             (["evaluate", "--model", tmp_path / "broken.safetensors", "--records", CORPUS], "broken.safetensors"),
             (["evaluate", "--model", tmp_path / "broken.safetensors", "--profiles", "some", "--records", CORPUS], "none, known or past"),
             (["evaluate", "--model", SHIPPED, "--parts", "all", "--records", tmp_path / "junk.records"], "have no series"),
             (["challenge", "--records", CORPUS], "--champion")]
    for arguments, expected in cases:
        failed = run(*arguments, check=False)
        assert failed.returncode == 1 and expected in failed.stderr, (arguments, failed.stderr)


def test_merge__out_is_a_pipe__refused_and_left_as_it_was(tmp_path):
    """A file that is renamed onto a device takes its place; root may do that to /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    refused = run("merge", "--out", pipe, SHIPPED, check=False)
    assert refused.returncode == 1 and "no regular file" in refused.stderr
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]


# --- the service -------------------------------------------------------------------------------------------------------


class Stand:
    def __init__(self, cluster, champion):
        self.cluster, self.champion, self.codec = cluster, champion, MessageCodec()
        self.starts = 0

    def launch(self, *options):
        self.starts += 1
        self.port = free_ports(1)[0]
        self.service = self.cluster.start_program(
            f"retrain-{self.starts}",
            [RETRAIN, "--service.brokers", self.cluster.broker.bootstrap, "--service.state_dir", self.cluster.directory / "state",
             "--service.http_port", str(self.port), "--champion_file", self.champion, "--sample", "1", "--held_out", "0.5", *QUICK, *options])
        return self.service

    def start(self, *options):
        self.launch(*options)
        wait_until(self.ready, 60, "readyz")
        return self.service

    def ready(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status == 200
        except OSError:
            return False

    def metric(self, name):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5).read().decode()
        found = re.search(rf"^forestall_retrain_{re.escape(name)} (\S+)$", text, re.M)
        return float(found.group(1))

    def produce(self, topic, values, key=b"code"):
        producer = self.cluster.producer()
        for value in values:
            producer.produce(topic, value, key=key)
        assert producer.flush(30) == 0

    def produce_model(self, role, path):
        self.produce("models", [self.codec.encode("Model", {
            "role": role, "version": version_of(path), "chunk": 0, "chunks": 1, "bytes": path.read_bytes(),
            "total_bytes": path.stat().st_size, "sha256": version_of(path), "metrics": {}, "parent": "", "records": 0,
            "created_us": 0, "note": "a test"})], key=role.encode())

    def lines(self, event):
        text = pathlib.Path(self.service.log_path).read_text()
        return [line for line in text.splitlines() if re.search(rf"\b{event}\b", line)]

    def models(self, role):
        """What was published under this role, oldest first; None where it was withdrawn."""
        return [record.value() and self.codec.decode(record.value(), "Model")[1]
                for record in self.cluster.read_topic("models", timeout_s=3) if record.key() == role.encode()]


def dead(codec, value):
    record = codec.decode(value, "ExecutionRecord")[1]
    return codec.encode("DeadExecution", {"record": record, "risks": [], "decisions": [], "model_version": "", "reason": "test",
                                          "dead_us": record["ended_us"], "replayed_as": None})


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def anew(codec, values, times=1):
    """The same executions under new ids: later runs of the same programs."""
    later = []
    for _ in range(times):
        for value in values:
            record = codec.decode(value, "ExecutionRecord")[1]
            record["execution"] = record["request"]["execution"] = os.urandom(16)
            later.append(codec.encode("ExecutionRecord", record))
    return later


def test_service__killed_while_training__better_challenger_promoted_after_its_shadow(weak):
    with Cluster(with_redis=False) as cluster:
        stand = Stand(cluster, weak)
        values = framed_records()
        options = ["--min_records", str(len(values)), "--min_new", str(len(values)), "--interval", "10h", "--code_share", "1",
                   "--shadow_least", "20", "--watch", "40", "--epochs", "30", "--patience", "30", "--learning_rate", "0.002"]
        first = stand.start(*options)
        failed = [value for value in values if stand.codec.decode(value)[1]["outcome"] == "OOM_KILLED"]
        stand.produce("executions.dlq", [dead(stand.codec, value) for value in failed])
        # the same records at both trainings: else the second begins anew
        wait_until(lambda: stand.metric("reservoir_records") == len(failed), 60, "the dead letters stored")
        absurd = stand.codec.decode(values[0])[1]
        absurd["totals"]["memory_peak_bytes"] = 2**62
        mislabelled = {**stand.codec.decode(failed[0])[1], "outcome": "FINISHED", "cause": "NONE", "exit_status": 0, "signal": 0}
        no_number = {**stand.codec.decode(values[0])[1], "series_inclusion": float("nan")}
        stand.produce("executions.finished", [stand.codec.encode("ExecutionRecord", record)
                                              for record in (absurd, mislabelled, no_number)])
        stand.produce("executions.finished", values + [b"no record"])
        wait_until(lambda: stand.lines("training"), 60, "a training")
        child = int(re.search(r"pid=(\d+)", stand.lines("training")[0]).group(1))
        assert stand.metric("reservoir_records") == len(values)  # dead letters are not stored a second time
        assert [stand.metric(f'refused_total{{fault="{fault}"}}') for fault in ("counters", "outcome", "numbers")] == [1, 1, 1]
        assert len(cluster.read_topic("quarantine", count=1)) == 1
        wait_until(lambda: stand.lines("epoch 2/30"), 60, "some epochs")  # so many that the kill comes in the middle
        first.signal(signal.SIGKILL)
        first.wait(20)
        wait_until(lambda: not alive(child), 20, "the end of the child")
        assert stand.models("champion") == []

        stand.start(*options)
        assert stand.metric("reservoir_records") == len(values)
        wait_until(lambda: stand.lines("trained"), 90, "the training's end")
        assert "published=challenger" in stand.lines("trained")[0], stand.lines("trained")
        assert not stand.lines("epoch 1/30") and stand.lines("epoch 30/30")  # it went on where it was killed
        assert not list((cluster.directory / "state" / "retrain").glob("training.checkpoint*"))
        challenger = stand.models("challenger")[-1]
        assert hashlib.sha256(challenger["bytes"]).hexdigest() == challenger["sha256"] == challenger["version"]
        assert challenger["parent"] == version_of(weak) and challenger["chunks"] == 1 and challenger["records"] > 0
        assert challenger["metrics"]["challenger_loss"] < challenger["metrics"]["champion_loss"]
        assert challenger["metrics"]["reference_challenger_loss"] < challenger["metrics"]["reference_champion_loss"]
        assert stand.models("champion") == []  # what a training found is not yet trusted
        saved = cluster.directory / "state" / "retrain"
        wait_until(lambda: (saved / "shadow.safetensors").exists(), 20, "the challenger followed")

        stand.produce("executions.finished", anew(stand.codec, values))
        wait_until(lambda: stand.lines("promoted"), 60, "the promotion")
        (champion,) = stand.models("champion")
        assert champion["version"] == challenger["version"] and champion["bytes"] == challenger["bytes"]
        assert "promoted after its shadow: better beyond chance" in champion["note"]
        assert champion["metrics"]["shadow_executions"] >= 20
        assert champion["metrics"]["shadow_challenger_loss"] < champion["metrics"]["shadow_champion_loss"]
        assert stand.models("previous")[-1]["version"] == version_of(weak)
        assert stand.models("challenger")[-1] is None
        from safetensors.numpy import load
        assert load(champion["bytes"])["lstm.0.weight"].shape[1] == 4 * 16
        wait_until(lambda: version_of(saved / "champion.safetensors") == champion["version"], 20, "the champion followed")
        stand.produce("executions.finished", anew(stand.codec, values))
        wait_until(lambda: stand.lines("settled"), 60, "the end of its watch")  # it is better than the one before
        assert len(stand.models("champion")) == 1 and not stand.lines("rolled_back")
        assert stand.service.stop() == 0, stand.service.log_tail()


def test_service__champion_worse_than_the_one_before__rolled_back(weak, tmp_path):
    good = SHIPPED
    with Cluster(with_redis=False) as cluster:
        stand = Stand(cluster, good)
        stand.start("--min_records", "100000", "--watch", "200")
        for role, path in (("previous", good), ("champion", weak)):  # somebody promoted a bad one
            stand.produce_model(role, path)
        saved = cluster.directory / "state" / "retrain"
        for role, path in (("previous", good), ("champion", weak)):
            wait_until(lambda: (saved / f"{role}.safetensors").exists() and
                       version_of(saved / f"{role}.safetensors") == version_of(path), 30, f"the {role} followed")
        stand.produce("executions.finished", anew(stand.codec, framed_records()))
        wait_until(lambda: stand.lines("rolled_back"), 60, "the rollback")
        assert stand.metric("rolled_back_total") == 1
        last = stand.models("champion")[-1]
        assert last["version"] == version_of(good) and last["bytes"] == good.read_bytes() and "rolled back" in last["note"]
        assert stand.models("previous")[-1] is None
        wait_until(lambda: version_of(saved / "champion.safetensors") == version_of(good), 20, "the champion followed")
        assert stand.service.stop() == 0, stand.service.log_tail()


def test_service__record_that_cannot_be_kept__judged_once_when_it_can(tmp_path):
    with Cluster(with_redis=False) as cluster:
        stand = Stand(cluster, SHIPPED)
        stand.start("--min_records", "100000")
        kept = cluster.directory / "state" / "retrain" / "records"
        kept.rmdir()  # nothing can be written into it any more
        value, = anew(stand.codec, framed_records()[:1])
        stand.produce("executions.finished", [value])
        wait_until(lambda: stand.metric("store_failed_total") >= 2, 60, "two attempts to keep it")
        assert stand.lines("store_failed") and stand.metric("scored_total") == 0
        assert stand.service.stop() == 0, stand.service.log_tail()

        stand.start("--min_records", "100000")
        wait_until(lambda: stand.metric("reservoir_records") == 1, 60, "the record kept")
        wait_until(lambda: stand.metric("scored_total") == 1, 20, "the record judged")
        stand.produce("executions.finished", [value])  # as after a kill between the two
        wait_until(lambda: stand.metric("scored_total") == 2, 60, "a record that is there already judged")
        assert stand.metric("reservoir_records") == 1
        assert stand.service.stop() == 0, stand.service.log_tail()


def test_service__model_that_cannot_be_written__ends_and_says_what_to_do(weak):
    with Cluster(with_redis=False) as cluster:
        stand = Stand(cluster, SHIPPED)
        stand.start()
        followed = cluster.directory / "state" / "retrain" / "champion.safetensors"
        in_the_way = followed.with_suffix(".safetensors.new")
        in_the_way.mkdir()  # what is written first has this name
        stand.produce_model("champion", weak)
        assert stand.service.wait(60) == 1
        last, = stand.lines("failed")
        assert str(followed) in last and "Is a directory" in last and "a restart reads models from its beginning" in last
        assert stand.launch().wait(60) == 1
        assert f"cannot start: reading models: cannot write {followed}" in stand.service.log_tail()

        in_the_way.rmdir()
        stand.start()
        assert version_of(followed) == version_of(weak)
        assert stand.service.stop() == 0, stand.service.log_tail()


# --- poison ------------------------------------------------------------------------------------------------------------


def challenge(directory, records, champion, *options):
    """What a challenge on these records says: its report."""
    path, report = directory / "poison.records", directory / "report.json"
    path.write_bytes(b"".join(len(value).to_bytes(4, "big") + value for value in records))
    run("challenge", "--champion", champion, "--out", directory / "out.safetensors", "--report", report, "--held_out", "0.4",
        "--code_share", "1", *QUICK, *options, "--records", path)
    return json.loads(report.read_text())


def test_poison__plausible_lies__win_on_the_log_and_lose_on_the_reference(tmp_path):
    """A log in which every run is said to have crashed of its own: each record believable, all of them false. A challenger that
    believes it beats the champion on the held-out part of the log; only the reference keeps it out."""
    codec, champion = MessageCodec(), SHIPPED
    lies = []
    for value in anew(codec, framed_records(), 2):  # ids are drawn, and with them what is held out: about 45 of these
        record = codec.decode(value)[1]
        record.update(outcome="CRASHED", cause="OTHER", exit_status=1, signal=0)
        record["totals"]["oom_kills"] = 0
        for point in record["series"]:
            point["counters"]["oom_kills"] = 0
        lies.append(codec.encode("ExecutionRecord", record))
    believed = challenge(tmp_path, lies, champion, "--reference_records", "none")
    assert believed["verdict"] == "challenger_wins" and believed["refused"] == 0  # what would happen without the gate
    guarded = challenge(tmp_path, lies, champion)
    assert guarded["verdict"] == "champion_stays" and "worse on the reference" in guarded["reason"]
    assert guarded["reference_challenger_loss"] > guarded["reference_champion_loss"]
    assert guarded["challenger_loss"] < guarded["champion_loss"]


def test_service__no_broker__one_clear_line(tmp_path):
    port = free_ports(1)[0]
    failed = subprocess.run([RETRAIN, "--service.brokers", f"127.0.0.1:{port}", "--service.state_dir", tmp_path],
                            capture_output=True, text=True, timeout=60)
    assert failed.returncode == 1 and f"127.0.0.1:{port}" in failed.stderr
