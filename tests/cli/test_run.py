"""`forestall run` against a real Kafka, with queue and node played by Python: what its caller sees of the program."""
import json
import os
import pathlib
import signal
import subprocess

import pytest
from blank import blank, blank_part
from command import ENVIRONMENT, FORESTALL, arguments, forestall
from fake_queue import MIB, FakeQueue, limits, now_us, raised
from process import free_ports


def test_run__plain_program__output_status_and_surroundings_passed_through(cluster, tmp_path):
    script = "echo out $GIVEN; echo err >&2; pwd; exit 7"
    with FakeQueue(cluster) as queue:
        result = subprocess.run(arguments(cluster, "run --", "sh", "-c", script), capture_output=True, text=True,
                                timeout=60, env={**ENVIRONMENT, "GIVEN": "here"}, cwd=tmp_path)
    assert result.stdout == f"out here\n{tmp_path}\n"
    assert result.stderr == "err\n"
    assert result.returncode == 7
    request = queue.requests[0]
    assert request["code"] == "sh" and request["argv"] == ["sh", "-c", script] and request["pool"] == "default"
    assert not any(entry.startswith("FORESTALL_") for entry in request["env"])
    assert not pathlib.Path(request["stdout_path"]).parent.exists()  # nothing is left


def test_run__output_comes_late__shown_while_it_runs(cluster):
    with FakeQueue(cluster):
        process = subprocess.Popen(arguments(cluster, "run --", "sh", "-c", "echo first; sleep 2; echo last"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        assert process.stdout.readline() == "first\n"
        assert process.poll() is None
        assert process.communicate(timeout=60)[0] == "last\n"


def test_run__long_output__whole_and_in_order(cluster):
    with FakeQueue(cluster):
        result = forestall(cluster, "run --", "seq", "1", "200000")
    assert result.returncode == 0
    assert result.stdout == "".join(f"{number}\n" for number in range(1, 200001))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a small disk is mounted")
def test_run__disk_full__told_that_output_is_missing(cluster, tmp_path):
    disk = tmp_path / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        with FakeQueue(cluster):
            result = subprocess.run(arguments(cluster, "run --", "sh", "-c", "head -c 4000000 /dev/zero"), capture_output=True,
                                    timeout=60, env={**ENVIRONMENT, "TMPDIR": str(disk)}, stdin=subprocess.DEVNULL)
    finally:
        subprocess.run(["umount", disk], check=True)
    assert result.returncode == 1 and len(result.stdout) < 4000000  # head's own status and what it could write
    assert b"was full" in result.stderr and b"larger disk" in result.stderr, result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: cgroups")
def test_run__own_failure_on_an_instance_of_its_own__nothing_more_awaited(tmp_path):
    result = subprocess.run([FORESTALL, "run", "--state", tmp_path / "state", "--", "sh", "-c", "exit 3"],
                            capture_output=True, text=True, timeout=90, env=ENVIRONMENT, stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stderr) == (3, "")


def test_run__log_of_its_instance_cannot_be_written__says_which_and_what_to_do(tmp_path):
    (tmp_path / "log" / "local.log").mkdir(parents=True)
    done = subprocess.run([FORESTALL, "run", "--state", tmp_path, "--", "true"], capture_output=True, text=True, timeout=30,
                          env=ENVIRONMENT, stdin=subprocess.DEVNULL)
    assert done.returncode != 0
    assert f"{tmp_path}/log/local.log: Is a directory" in done.stderr and "--state" in done.stderr


def test_run__raised_execution__report_as_documented(cluster, tmp_path):
    def play(queue, request, attempt):
        started = now_us() - 3_000_000
        point = blank_part("ExecutionRecord", "series")
        series = []
        for ms, used in ((2000, 60), (2500, 70)):
            series.append({**point, "time_us": started + ms * 1000,
                           "counters": {**point["counters"], "memory_bytes": used * MIB}})
        risk = blank("Risk", execution=request["execution"], attempt=attempt, code=request["code"], probability=0.96875,
                     started_us=started, sampled_us=started + 1000000, kind="CROSSING", above=True, cause="MEMORY")
        queue.send("risks", "Risk", risk, request["code"].encode())
        totals = blank_part("ExecutionRecord", "totals", memory_peak_bytes=120 * MIB)
        return {"started_us": started, "ended_us": started + 3_000_000, "series": series, "totals": totals,
                "highest_limits": limits(160 * MIB),
                "adjustments": [raised(request["execution"], attempt, 64 * MIB, 160 * MIB, started + 1_500_000)]}

    path = tmp_path / "report.json"
    with FakeQueue(cluster, [play]):
        result = forestall(cluster, "run --memory 64M --report", path, "--", "true")
    assert result.returncode == 0, result.stderr
    report = json.loads(path.read_text())
    expected = {"code": "true", "outcome": "finished", "cause": "none", "exit_status": 0, "attempts": 1,
                "peak_bytes": 120 * MIB, "first_limit_bytes": 64 * MIB, "final_limit_bytes": 160 * MIB,
                "max_probability": 0.96875, "first_raise_ms": 1500, "first_raise_lead_ms": 1000, "duration_ms": 3000,
                "records_missing": 0}
    assert {key: report[key] for key in expected} == expected
    adjustment, = report["adjustments"]
    assert adjustment["changes"] == {"memory_bytes": [64 * MIB, 160 * MIB]}
    assert adjustment["result"] == "applied" and adjustment["applied_after_ms"] == 20


def test_run__killed_and_retried__output_once_and_last_status(cluster, tmp_path):
    def killed(queue, request, attempt):
        return {"outcome": "OOM_KILLED", "cause": "MEMORY", "exit_status": -1, "signal": 9}

    count = tmp_path / "count"
    script = f"echo x >>{count}; seq 1 100; [ $(wc -l <{count}) = 1 ] || seq 101 200"
    path = tmp_path / "report.json"
    with FakeQueue(cluster, [killed]):
        result = forestall(cluster, "run --report", path, "--", "sh", "-c", script)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "".join(f"{number}\n" for number in range(1, 201))
    assert result.stderr == ""
    assert json.loads(path.read_text())["attempts"] == 2


@pytest.mark.parametrize("fields, status, outcome", [
    ({"outcome": "OOM_KILLED", "cause": "MEMORY", "exit_status": 1}, 137, "oom_killed"),
    ({"outcome": "TIMED_OUT", "cause": "CPU", "exit_status": -1, "signal": 9}, 124, "deadline_missed"),
    ({"outcome": "OOM_KILLED", "cause": "MEMORY", "exit_status": -1, "signal": 9, "dead": True}, 137, "dead_lettered"),
    ({"outcome": "CRASHED", "cause": "OTHER", "exit_status": -1, "signal": 11}, 139, "crashed"),
])
def test_run__failures__status_and_outcome(cluster, tmp_path, fields, status, outcome):
    path = tmp_path / "report.json"
    with FakeQueue(cluster, [lambda queue, request, attempt: fields]):  # `dead` is for the state alone
        result = forestall(cluster, "run --max-attempts 1 --report", path, "--", "true")
    assert result.returncode == status
    assert json.loads(path.read_text())["outcome"] == outcome


def test_run__interrupted__cancelled_and_130(cluster):
    with FakeQueue(cluster) as queue:
        process = subprocess.Popen(arguments(cluster, "run --", "sh", "-c", "echo begun; sleep 600"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "cancelled" in errors
        assert queue.requests[0]["execution"] in queue.cancelled


def test_run__reader_of_the_output_gone__cancelled_as_by_sigpipe(cluster):
    with FakeQueue(cluster) as queue:
        process = subprocess.Popen(arguments(cluster, "run --", "sh", "-c", "while :; do echo y; sleep 0.01; done"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 141
        process.stderr.close()
        assert queue.requests[0]["execution"] in queue.cancelled


def test_run__wrong_command_lines__125_and_what_to_do(cluster):
    for words, says in ((("--memory", "many", "--", "true"), "--memory many is not a size"), ((), "no program is given"),
                        (("--code", "a b", "--", "true"), "--code a b is not valid")):
        result = forestall(cluster, "run", *words)
        assert result.returncode == 125 and says in result.stderr


def test_run__kafka_away__125_and_the_address():
    port, = free_ports(1)
    result = subprocess.run([FORESTALL, "run", "--brokers", f"127.0.0.1:{port}", "--", "true"], capture_output=True,
                            text=True, timeout=60, env=ENVIRONMENT)
    assert result.returncode == 125
    assert f"127.0.0.1:{port}" in result.stderr


def test_run__configuration_file_in_the_environment__no_instance_of_its_own(cluster, tmp_path):
    file = tmp_path / "forestall.ini"
    file.write_text(f"[service]\nbrokers = {cluster.broker.bootstrap}\nredis = {cluster.redis.address}\n")
    with FakeQueue(cluster) as queue:
        result = subprocess.run([FORESTALL, "run", "--", "echo", "there"], capture_output=True, text=True, timeout=60,
                                env={**ENVIRONMENT, "FORESTALL_CONFIG": str(file)}, stdin=subprocess.DEVNULL)
    assert result.returncode == 0 and result.stdout == "there\n", result.stderr
    assert len(queue.requests) == 1
