"""The other commands against a real Kafka and a real Redis, with other programs on the other side of the topics."""
import hashlib
import json
import struct
import subprocess

import pytest
from blank import CODEC, blank, blank_part
from cluster import Cluster
from command import ENVIRONMENT, FORESTALL, forestall
from fake_queue import MIB, FakeQueue, limits, now_us, producer_of, raised
from process import free_ports, wait_until


def new_id(number):
    return (number << 100 | 7 << 76 | 2 << 62 | number).to_bytes(16, "big")


def text_of(execution):
    digits = execution.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


# --- submit, cancel, status, explain -----------------------------------------------------------------------------------


def test_submit_cancel_status__one_execution__followed_by_its_id(cluster):
    with FakeQueue(cluster):
        result = forestall(cluster, "submit --pool side --priority 900 --hint k=v --", "sleep", "600")
        assert result.returncode == 0, result.stderr
        execution = result.stdout.strip()

        def phase():
            answer = forestall(cluster, "status --json", execution)
            return json.loads(answer.stdout)["phase"] if answer.returncode == 0 else None

        wait_until(lambda: phase() == "running", 30, "the execution to run")
        state = json.loads(forestall(cluster, "status --json", execution).stdout)
        assert state["request"]["priority"] == 900 and state["request"]["hints"] == {"k": "v"}
        assert state["request"]["pool"] == "side"
        result = forestall(cluster, "cancel", execution)
        assert result.returncode == 0, result.stderr
        wait_until(lambda: phase() == "done", 30, "the execution to end")
        result = forestall(cluster, "cancel", execution)
        assert result.returncode == 1 and "it has ended already" in result.stderr


def test_status__all__counts_rows_and_nodes(cluster):
    node = blank("NodeStatus", node="node-7", pool="default", time_us=now_us(),
                 capacity=limits(4096 * MIB), free=limits(1024 * MIB))
    producer = producer_of(cluster)
    producer.produce("nodes", CODEC.encode("NodeStatus", node), b"default")
    assert producer.flush(30) == 0
    with FakeQueue(cluster):
        assert forestall(cluster, "run --code listed --", "true").returncode == 0
        gone = forestall(cluster, "run --code gone --report -", "--", "true")
        execution = json.loads(gone.stderr)["execution"]
        message = next(one for one in cluster.read_topic("executions.state") if one.key().hex() == execution.replace("-", ""))
        producer.produce("executions.state", None, message.key(), partition=message.partition())  # a day later
        assert producer.flush(30) == 0
    answer = json.loads(forestall(cluster, "status --json --all").stdout)
    listed = [row for row in answer["executions"] if row["code"] == "listed"]
    assert listed[0]["outcome"] == "finished" and listed[0]["exit_status"] == 0
    assert not any(row["code"] == "gone" for row in answer["executions"])
    assert [row["free_memory_bytes"] for row in answer["nodes"] if row["node"] == "node-7"] == [1024 * MIB]
    text = forestall(cluster, "status").stdout
    assert "0 waiting, 0 running" in text and "node-7" in text and "listed" in text


def test_status__unknown_id__says_what_it_may_be(cluster):
    result = forestall(cluster, "status", text_of(new_id(99)))
    assert result.returncode == 1 and "no such execution" in result.stderr
    assert forestall(cluster, "status", "nonsense").returncode == 2


def test_explain__raised_and_dead__samples_risks_decisions_and_reasons(cluster):
    def play(queue, request, attempt):
        execution, started = request["execution"], now_us() - 2_000_000
        common = {"execution": execution, "attempt": attempt, "code": request["code"]}
        for step in range(20):
            sample = blank_part("Tick", "samples", started_us=started, **common)
            sample["counters"]["memory_bytes"] = step * 4 * MIB
            tick = blank("Tick", node="node-1", sequence=step, time_us=started + step * 100_000, samples=[sample])
            queue.send("telemetry", "Tick", tick, b"node-1")
            risk = blank("Risk", sampled_us=started + step * 100_000, probability=step / 20, sequence=step,
                         started_us=started, kind="CHANGE", cause="MEMORY", node="node-1", **common)
            queue.send("risks", "Risk", risk, request["code"].encode())
        applied = raised(execution, attempt, 64 * MIB, 96 * MIB, started + 1_000_000)
        refused = raised(execution, attempt, 96 * MIB, 512 * MIB, started + 1_500_000, 2, "REFUSED_CAPACITY")
        queue.send("adjustments", "Adjustment", applied["adjustment"], b"node-1")
        record = {"started_us": started, "ended_us": started + 2_000_000, "outcome": "OOM_KILLED", "cause": "MEMORY",
                  "exit_status": -1, "signal": 9, "adjustments": [applied, refused], "detail": "oom_kill 1", "dead": True}
        dead = blank("DeadExecution", reason="needs more than the ceiling", dead_us=now_us())
        dead["record"].update(common, request=request, outcome="OOM_KILLED")
        queue.send("executions.dlq", "DeadExecution", dead, request["code"].encode())
        allocation = blank("Allocation", code=request["code"], limits=limits(512 * MIB), revision=3, reason="the ceiling")
        queue.send("allocations", "Allocation", allocation, request["code"].encode())
        return record

    with FakeQueue(cluster, [play]):
        result = forestall(cluster, "run --code explained --memory 64M --max-attempts 1 --report - --quiet --", "true")
    execution = json.loads(result.stderr)["execution"]
    text = forestall(cluster, "explain", execution).stdout
    for part in ("dead_lettered, exit status 137, cause memory: oom_kill 1", "memory 64M -> 96M", "from 67108864 to 100663296",
                 "refused_capacity", "dead letter: needs more than the ceiling", "begins with memory 512M (revision 3)", "█"):
        assert part in text, text
    answer = json.loads(forestall(cluster, "explain --json", execution).stdout)
    assert len(answer["samples"]) == 20 and len(answer["risks"]) == 20
    assert [entry["result"] for entry in answer["report"]["adjustments"]] == ["applied", "refused_capacity"]
    assert answer["report"]["max_probability"] == pytest.approx(0.95)
    assert answer["dead_letter"] == "needs more than the ceiling"
    assert answer["allocation"]["limits"]["memory_bytes"] == 512 * MIB


# --- report ------------------------------------------------------------------------------------------------------------


def test_report__held_out_beside_acted_on__averted_with_interval_and_cost(cluster):
    producer, started = producer_of(cluster), now_us() - 10**7
    for number in range(12):  # a third held out, of which three of four died; of the others none
        held, failed = number % 3 == 0, number in (0, 3, 6)
        record = blank("ExecutionRecord", execution=new_id(7000 + number), attempt=1, code="report-code", arm="HELD_OUT" if held else "TREATED",
                       propensity=1 / 3 if held else 2 / 3, started_us=started, ended_us=started + 8 * 10**6, series_inclusion=1.0,
                       outcome="OOM_KILLED" if failed else "FINISHED", cause="MEMORY" if failed else "NONE",
                       first_limits={"memory_bytes": 1024 * MIB}, totals={"memory_peak_bytes": 512 * MIB})
        if held:
            producer.produce("risks", CODEC.encode("Risk", blank("Risk", execution=new_id(7000 + number), attempt=1, code="report-code",
                                                                 above=True, arm="HELD_OUT")), key=b"report-code")
        for _ in range(2):  # topics may hold a record twice
            producer.produce("executions.finished", CODEC.encode("ExecutionRecord", record), key=b"report-code")
    assert producer.flush(30) == 0
    answer = json.loads(forestall(cluster, "report --json --code report-code").stdout)
    assert answer["all"] is None
    line, = answer["codes"]
    assert (line["executions"], line["attempts"], line["failed"]) == (12, 12, 3)
    assert line["held_out"] == {"attempts": 4, "failed": 3, "failed_share": pytest.approx(0.75)}
    assert line["acted_on"] == {"attempts": 8, "failed": 0, "failed_share": 0}
    assert line["averted"]["executions"] == pytest.approx(6)
    assert 0 < line["averted"]["low"] < 6 < line["averted"]["high"] <= 8
    assert (line["held_out_alarms"], line["held_out_false_alarms"]) == (4, 1)
    assert line["failed_gib_h"] == line["cost_gib_h"] == pytest.approx(3 * 8 / 3600)
    text = forestall(cluster, "report").stdout
    assert "report-code" in text and "6.0 (" in text and text.splitlines()[-1].startswith("all ")
    assert forestall(cluster, "report", "word").returncode == 2


# --- allocation, dlq, model --------------------------------------------------------------------------------------------


def test_allocation__set_pin_get_unpin__policy_on_the_topic_and_hash_from_redis(cluster):
    code = "team/job@2"
    cluster.redis_client().hset(f"forestall:allocation:{{{code}}}", mapping={
        "revision": 5, "memory_bytes": 200 * MIB, "cpu_millicores": 0, "probability": 0.01, "reason": "peaks of 9 runs",
        "raised": "memory", "runs": 9, "pinned": 0})
    assert forestall(cluster, "allocation set --ceiling-memory 1G --floor-memory 32M --held-out 20", code).returncode == 0
    assert forestall(cluster, "allocation set --mode observe", code).returncode == 0
    assert forestall(cluster, "allocation pin --memory 128M", code).returncode == 0
    answer = json.loads(forestall(cluster, "allocation get --json", code).stdout)
    assert answer["allocation"]["memory_bytes"] == 200 * MIB and answer["allocation"]["reason"] == "peaks of 9 runs"
    policy = answer["policy"]
    assert policy["ceiling"]["memory_bytes"] == 1024 * MIB and policy["floor"]["memory_bytes"] == 32 * MIB
    assert policy["pin"]["memory_bytes"] == 128 * MIB and policy["mode"] == "observe"
    assert policy["held_out_permille"] == 20
    text = forestall(cluster, "allocation get", code).stdout
    assert "memory 200M" in text and "raised: memory" in text and "ceiling         memory 1G" in text
    assert forestall(cluster, "allocation unpin", code).returncode == 0
    _, newest = [pair for pair in cluster.read_messages("policies") if pair[0] == code.encode()][-1]
    assert newest["pin"] is None and newest["ceiling"]["memory_bytes"] == 1024 * MIB and newest["author"]


def test_allocation__wrong__refused_and_nothing_written(cluster):
    for words, says in ((("set", "x"), "set needs"), (("pin", "x"), "pin needs"), (("get", "a{b}"), "not valid"),
                        (("raise", "x"), "get, set, pin or unpin"),
                        (("set", "--floor-memory", "2G", "--ceiling-memory", "1G", "x"), "above its ceiling")):
        result = forestall(cluster, "allocation", *words)
        assert result.returncode == 2 and says in result.stderr, result
    assert not [key for key, _ in cluster.read_messages("policies") if key == b"x"]


def test_allocation__redis_away__says_which_and_what_to_do(cluster):
    port, = free_ports(1)
    result = subprocess.run([FORESTALL, "allocation", "--brokers", cluster.broker.bootstrap, "--redis",
                             f"127.0.0.1:{port}", "get", "x"], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert result.returncode == 1 and f"127.0.0.1:{port}" in result.stderr


def test_dlq__ls_show_replay__new_execution_and_both_named(cluster):
    execution = new_id(1234)
    dead = blank("DeadExecution", reason="more than the ceiling", dead_us=now_us(), model_version="m1")
    dead["record"].update(execution=execution, attempt=2, code="buried", outcome="OOM_KILLED", cause="MEMORY",
                          highest_limits=limits(512 * MIB))
    dead["record"]["request"].update(execution=execution, code="buried", pool="default", argv=["/bin/true"],
                                     max_attempts=1, hints={"a": "b"}, limits=limits(64 * MIB))
    producer = producer_of(cluster)
    producer.produce("executions.dlq", CODEC.encode("DeadExecution", dead), b"buried")
    assert producer.flush(30) == 0
    name = text_of(execution)
    letters = json.loads(forestall(cluster, "dlq ls --json --code buried").stdout)
    assert [(letter["execution"], letter["limit_bytes"], letter["replayed_as"]) for letter in letters] == \
        [(name, 512 * MIB, None)]
    assert "more than the ceiling" in forestall(cluster, "dlq show", name).stdout
    assert json.loads(forestall(cluster, "dlq show --json", name).stdout)["record"]["attempt"] == 2
    with FakeQueue(cluster) as queue:
        result = forestall(cluster, "dlq replay --memory 1G", name)
        assert result.returncode == 0, result.stderr
        wait_until(lambda: queue.requests, 30, "the request")
    request = queue.requests[0]
    assert text_of(request["execution"]) == result.stdout.strip() != name
    assert request["hints"] == {"a": "b", "replay_of": name} and request["limits"]["memory_bytes"] == 1024 * MIB
    letters = json.loads(forestall(cluster, "dlq ls --json --code buried").stdout)
    assert [letter["replayed_as"] for letter in letters] == [result.stdout.strip()]
    assert forestall(cluster, "dlq show", text_of(new_id(5))).returncode == 1


def test_dlq__unreadable_letter__told_beside_the_others(cluster):
    producer = producer_of(cluster)
    producer.produce("executions.dlq", b"no message", b"code")
    assert producer.flush(30) == 0
    listed = forestall(cluster, "dlq ls")
    assert listed.returncode == 0 and "1 message could not be read" in listed.stderr, listed.stderr


def test_model__published_and_in_a_file__shown(cluster, tmp_path):
    model = blank("Model", role="champion", version="abc", chunks=1, bytes=b"x" * 10, total_bytes=10,
                  metrics={"average_precision": 0.9}, note="won")
    producer = producer_of(cluster)
    producer.produce("models", CODEC.encode("Model", model), b"champion")
    assert producer.flush(30) == 0
    assert json.loads(forestall(cluster, "model ls --json").stdout)["champion"]["metrics"] == {"average_precision": 0.9}
    assert "champion" in forestall(cluster, "model ls").stdout
    header = json.dumps({"__metadata__": {"kind": "test"}, "w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(8))
    result = forestall(cluster, "model show --json", path)
    assert json.loads(result.stdout)["header"]["w"]["shape"] == [2]
    path.write_bytes(b"nonsense that is long enough")
    result = forestall(cluster, "model show", path)
    assert result.returncode == 1 and "not a safetensors file" in result.stderr
    result = forestall(cluster, "model show champion")  # the bytes above are no model
    assert result.returncode == 1 and "damaged" in result.stderr
    producer.produce("models", None, b"champion")
    assert producer.flush(30) == 0
    assert "champion" not in json.loads(forestall(cluster, "model ls --json").stdout)


SHIPPED = Cluster.program("forestall").parents[1] / "share" / "forestall" / "champion.safetensors"


def retrained(path, **metadata):
    """The shipped model with another intercept, or other metadata."""
    data = SHIPPED.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header["__metadata__"].update(metadata)
    text, tensors = json.dumps(header).encode(), bytearray(data[8 + size:])
    struct.pack_into("<f", tensors, header["calibration.intercept"]["data_offsets"][0], 7.0)
    path.write_bytes(len(text).to_bytes(8, "little") + text + tensors)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def published_models(cluster):
    found = {}
    for record in cluster.read_topic("models", timeout_s=10):
        found[record.key().decode()] = record.value() and CODEC.decode(record.value(), "Model")[1]
    return found


def test_model__promoted_compared_and_rolled_back(cluster, tmp_path):
    shipped = hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    path, version = retrained(tmp_path / "next.safetensors")
    result = forestall(cluster, "model promote")
    assert result.returncode == 1 and "no challenger" in result.stderr
    result = forestall(cluster, "model rollback")
    assert result.returncode == 1 and "nothing to go back" in result.stderr
    result = forestall(cluster, "model promote", retrained(tmp_path / "old.safetensors", features_version="0")[0])
    assert result.returncode == 1 and "features_version" in result.stderr
    data, producer = path.read_bytes(), producer_of(cluster)
    producer.produce("models", CODEC.encode("Model", blank(
        "Model", role="challenger", version=version, sha256=version, chunks=1, bytes=data, total_bytes=len(data), records=12,
        metrics={"challenger_loss": 0.5}, note="better")), b"challenger")
    assert producer.flush(30) == 0
    assert json.loads(forestall(cluster, "model promote --json").stdout) == {"champion": version, "before": shipped}
    models = published_models(cluster)
    assert models["champion"]["bytes"] == data and models["champion"]["metrics"] == {"challenger_loss": 0.5}
    assert models["champion"]["records"] == 12 and "promoted by" in models["champion"]["note"]
    assert models["previous"]["bytes"] == SHIPPED.read_bytes() and models["challenger"] is None
    assert set(json.loads(forestall(cluster, "model ls --json").stdout)) == {"champion", "previous"}
    assert json.loads(forestall(cluster, "model show champion --json").stdout)["version"] == version
    diff = json.loads(forestall(cluster, "model diff --json previous", path).stdout)
    assert diff["versions"] == [shipped, version] and diff["metadata"] == {}
    assert [name for name, change in diff["tensors"].items() if change] == ["calibration.intercept"]
    assert "calibration.intercept" in forestall(cluster, "model diff champion shipped").stdout
    assert "the same model" in forestall(cluster, "model diff champion", path).stdout
    result = forestall(cluster, "model promote", path)
    assert result.returncode == 1 and "champion already" in result.stderr
    assert json.loads(forestall(cluster, "model rollback --json").stdout) == {"champion": shipped, "before": version}
    models = published_models(cluster)
    assert models["champion"]["bytes"] == SHIPPED.read_bytes() and models["previous"] is None
    assert json.loads(forestall(cluster, "model rollback --json").stdout)["champion"] == shipped  # to the file itself
    assert published_models(cluster)["champion"] is None
    assert forestall(cluster, "model diff champion").returncode == 2


# --- the tool itself ---------------------------------------------------------------------------------------------------


def test_help__every_command__answers_and_unknown_ones_do_not():
    overview = subprocess.run([FORESTALL, "--help"], capture_output=True, text=True, env=ENVIRONMENT)
    names = [line.split()[0] for line in overview.stdout.split("commands:\n")[1].splitlines() if line.startswith("  ")]
    assert {"local", "run", "submit", "cancel", "status", "explain", "allocation", "dlq", "model"} <= set(names)
    for name in names:
        if name == "demo":
            continue  # a program of its own
        result = subprocess.run([FORESTALL, name, "--help"], capture_output=True, text=True, env=ENVIRONMENT)
        assert result.returncode == 0 and result.stdout.startswith(f"usage: forestall {name}") and "--json" in result.stdout
    result = subprocess.run([FORESTALL, "nonsense"], capture_output=True, text=True, env=ENVIRONMENT)
    assert result.returncode == 2 and "no command nonsense" in result.stderr


def test_commands__no_instance__say_how_to_begin(tmp_path):
    for command in ("status", "dlq ls", "model ls", "allocation get x", "submit -- true"):
        result = subprocess.run([FORESTALL, *command.split()[:1], "--state", tmp_path, *command.split()[1:]],
                                capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
        assert result.returncode == 1 and "forestall local" in result.stderr, result
