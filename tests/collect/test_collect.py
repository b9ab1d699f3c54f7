"""collect.py with real programs: what it stores is what happened, it goes on after any end, and nothing stays behind."""
import os
import pathlib
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from corpus_reader import check_record, read_corpus, record_bytes  # noqa: E402
from process import wait_until  # noqa: E402

ROOT = pathlib.Path(os.environ["FORESTALL_SOURCE"])
COLLECT = ROOT / "collect" / "collect.py"
BIN = pathlib.Path(os.environ.get("FORESTALL_BIN", ROOT / "build" / "release" / "bin"))
MIB = 1 << 20

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: cgroups and network namespaces")


@pytest.fixture
def collector(tmp_path):
    """Starts collectors on tmp_path/corpus; whatever happened, no cgroup of theirs is left. (Processes are the reaper's.)"""
    started = Collectors(tmp_path / "corpus")
    yield started
    wait_until(lambda: not started.cgroups(), 20, lambda: f"cgroups left: {started.cgroups()}")


class Collectors:
    def __init__(self, out):
        self.out, self._pids = out, []

    def start(self, *arguments):
        process = subprocess.Popen(["/usr/bin/python3", COLLECT, "--out", self.out, "--recorder", BIN / "forestall-record",
                                    *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._pids.append(process.pid)
        return process

    def run(self, *arguments):
        process = self.start(*arguments)
        text, _ = process.communicate(timeout=170)
        print(text)
        assert process.returncode == 0, text
        return text

    def cgroups(self):
        """Of the collectors of this test; others may be at work on this machine."""
        return {str(path) for pid in self._pids for path in pathlib.Path("/sys/fs/cgroup").glob(f"*/forestall-collect-{pid}-*")}


def memory_of(record):
    return [point["counters"]["memory_bytes"] for point in record["series"]]


def test_collect__several_programs__records_say_what_happened(collector):
    text = collector.run("--only", "xz:levels", "--only", "dd:direct-read", "--only", "nc", "--only", "python3:leak.py",
               "--seconds", 150, "--runs", 12, "--jobs", 3, "--size", 0.4, "--seed", 5)
    corpus = read_corpus(collector.out)
    assert len(corpus) >= 12 and f"{len(corpus)} in all" in text
    for line, record in corpus:
        check_record(line, record)
    free = {line["program"]: record for line, record in corpus if line["kind"] == "free"}
    assert set(free) == {"xz", "dd", "nc", "python3"}
    assert all(record["outcome"] == "FINISHED" for record in free.values())
    for program in ("xz", "python3"):  # these grow; the others do not
        memory = memory_of(free[program])
        assert max(memory) > 8 * MIB and max(memory) > 2 * memory[0]
    assert max(memory_of(free["dd"])) < 8 * MIB
    killed = [record for line, record in corpus if line["kind"] in ("oom", "near")]
    assert any(record["outcome"] == "OOM_KILLED" and record["cause"] == "MEMORY" for record in killed)
    causes = {(line["program"], record["cause"]) for line, record in corpus if record["outcome"] == "TIMED_OUT"}
    assert {cause for program, cause in causes if program == "dd"} <= {"IO"}
    assert {cause for program, cause in causes if program == "nc"} <= {"NET"}
    sent = [record["totals"]["net_tx_bytes"] for line, record in corpus if line["program"] == "nc" and record["outcome"] == "FINISHED"]
    assert sent and min(sent) > 2 * MIB
    assert {path.name for path in collector.out.iterdir()} == {".lock", "manifest.jsonl", *(f"{name}.records" for name in free)}


def test_collect__growing__other_inputs_and_no_limits(collector):
    collector.run("--growing", "--only", "xz", "--only", "python3:leak.py", "--only", "bc", "--runs", 6, "--seconds", 100,
                  "--size", 0.3, "--jobs", 2)
    corpus = read_corpus(collector.out)
    assert {line["program"] for line, _ in corpus} == {"xz", "python3"}  # bc does not grow
    assert {line["kind"] for line, _ in corpus} == {"free"}
    rounds = [line["key"] for line, _ in corpus if line["program"] == "python3"]
    assert len(rounds) >= 2 and len(set(rounds)) == len(rounds)


def test_collect__stopped_and_started_again__goes_on_without_repeating(collector):
    arguments = ("--only", "gzip", "--only", "bc", "--size", 0.2, "--seed", 3)
    collector.run(*arguments, "--runs", 3, "--seconds", 60)
    before = read_corpus(collector.out)
    with open(collector.out / "manifest.jsonl", "a") as manifest:
        manifest.write('{"key": "a line that was being wri')
    with open(collector.out / "gzip.records", "ab") as records:
        records.write(b"\0\0\1\0 a record without a line")
    collector.run(*arguments, "--runs", 6, "--seconds", 60)
    after = read_corpus(collector.out)
    keys = [line["key"] for line, _ in after]
    assert len(keys) >= 6 and len(set(keys)) == len(keys)
    assert after[:len(before)] == before
    for name, end in record_bytes(collector.out).items():
        assert (collector.out / name).stat().st_size == end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_collect__killed_in_a_run__leaves_nothing_and_goes_on(collector, number):
    arguments = ("--only", "python3:primes.py", "--only", "curl", "--jobs", 2, "--seed", 2, "--seconds", 100)
    process = collector.start(*arguments)
    try:
        wait_until(collector.cgroups, 60, "a run under way")
        process.send_signal(number)
        process.wait(30)
    finally:
        process.kill()
        process.stdout.close()
    wait_until(lambda: not collector.cgroups(), 20, lambda: f"cgroups left: {collector.cgroups()}")
    if number == signal.SIGKILL:
        assert list(collector.out.glob("work-*"))  # nobody was left to remove it
    text = collector.run(*arguments, "--runs", 2)
    assert number == signal.SIGTERM or "of a collector that was killed" in text
    assert not list(collector.out.glob("work-*")) and len(read_corpus(collector.out)) >= 2


def test_collect__wrong_use__one_clear_line(tmp_path):
    for arguments, words in ((["--only", "nosuch"], "no program nosuch"), (["--recorder", tmp_path / "none"], "no ")):
        done = subprocess.run(["/usr/bin/python3", COLLECT, "--out", tmp_path / "c", "--recorder", BIN / "forestall-record", *arguments],
                              capture_output=True, text=True)
        assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1


def test_record__gauge_and_input_of_the_program__in_its_record(tmp_path):
    from messages import MessageCodec
    out, script = tmp_path / "r.records", ROOT / "collect/scripts/python/primes.py"
    (tmp_path / "in").write_bytes(b"x" * 5000)
    subprocess.run([BIN / "forestall-record", "--out", out, "--metrics", tmp_path / "s",
                    "--subtree", f"forestall-collect-{os.getpid()}-test",
                    "--", "/usr/bin/python3", script, "400000"],
                   check=True, stdin=open(tmp_path / "in"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    record = MessageCodec().decode(out.read_bytes()[4:], "ExecutionRecord")[1]
    values = [metric["value"] for point in record["series"] for metric in point["counters"]["custom"] if metric["name"] == "progress"]
    assert len(values) > 3 and values == sorted(values) and 0.8 < values[-1] <= 1
    assert not (tmp_path / "s").exists()
    assert record["request"]["hints"] == {"input_bytes": str(script.stat().st_size + 5000)}  # the file among the arguments, standard input


def test_record__input_read_piece_by_piece__how_far_it_is_in_its_record(tmp_path):
    from messages import MessageCodec
    out, source = tmp_path / "r.records", tmp_path / "in"
    source.write_bytes(b"x" * 4000000)
    script = "for i in 1 2 3 4; do head -c 1000000 > /dev/null; sleep 0.25; done"
    subprocess.run([BIN / "forestall-record", "--out", out, "--subtree", f"forestall-collect-{os.getpid()}-test", "--", "/bin/sh", "-c", script],
                   check=True, stdin=open(source), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    record = MessageCodec().decode(out.read_bytes()[4:], "ExecutionRecord")[1]
    values = [metric["value"] for point in record["series"] for metric in point["counters"]["custom"] if metric["name"] == "input_read_bytes"]
    assert values == sorted(values) and values[-1] >= 4000000
    assert len([value for value in values if 500000 < value < 3900000]) >= 3  # seen on its way
