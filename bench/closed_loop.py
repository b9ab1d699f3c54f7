#!/usr/bin/env python3
"""Real runs of programs the model never saw, under limits they exceed: how many finish in their first attempt, and at what price.

    make bench-closed-loop [RUNS=100]          as root; a broker, a Redis and `forestall local` are started for it

An input is a held-out program of collect/ with arguments and files drawn from the seed. It is recorded without a limit. A case
is an input with a limit of 30 to 75 % of the memory it needed, six to each input: it runs by the recorder alone (it must die, or the
case does not count), under Forestall with the brake, and under Forestall without it. Each case is a code of its own, so nothing is known
of it. Each input also runs with 1.25 to 2.5 times its need, where nobody should raise anything. The same recordings are then
replayed under the same limits by the other rules (`forestall replay`), and by ours, which tells how far replay can be believed.

With --at-once N the cases (one limit to an input) run so many at a time on a node that offers --node-share of the sum of the N largest
peaks, and cost is what slack and failed attempts took. The other rules are replayed each alone, with room for everything: a node that
is too small can only make them dearer. Programs that share processors take longer: *_as_alone_* is cost in the time each took alone.

Prints one JSON object per run and line of the result; --out keeps the recordings and runs, and goes on from them.
"""
import argparse
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "collect")]
import machine  # noqa: E402
from cases import chosen_variants, endless_cases  # noqa: E402
from collector import portable  # noqa: E402
from command import CACHE, FAULT, MEMORY, NET, SCRIPTS, TEST, Maker  # noqa: E402
from instance import Instance  # noqa: E402
from messages import MessageCodec  # noqa: E402

MIB = 1 << 20
LEAST_PEAK = 32 * MIB  # below it the program itself is most of what it needs
LONGEST_S, SHORTEST_S = 8, 0.6
RIVALS = "ours,headroom,eta,eta-fast,linear,static"
LIMITS = 6             # cases to each input
FLAT_EVERY = 3         # inputs of programs that do not grow, of so many rounds one


def say(text):
    print(f"closed-loop: {text}", file=sys.stderr, flush=True)


def quantile(values, share):
    values = sorted(values)
    return values[min(int(share * len(values)), len(values) - 1)] if values else None


def read_records(path, codec):
    data, at = path.read_bytes(), 0
    while at + 4 <= len(data):
        size, = struct.unpack_from(">I", data, at)
        yield codec.decode(data[at + 4:at + 4 + size], "ExecutionRecord")[1]
        at += 4 + size


def write_record(file, codec, record):
    framed = codec.encode("ExecutionRecord", record)
    file.write(struct.pack(">I", len(framed)) + framed)


def slack_of(record):
    """(share of the limit not used times seconds, seconds, GiB*h not used, GiB*h given) of one attempt, between samples straight."""
    points = record["series"]
    share_s = seconds = unused = given = 0.0
    for before, after in zip(points, points[1:]):
        span, limit = (after["time_us"] - before["time_us"]) / 1e6, before["limits"]["memory_bytes"]
        used = (before["counters"]["memory_bytes"] + after["counters"]["memory_bytes"]) / 2
        if limit > 0:
            seconds += span
            share_s += max(1 - used / limit, 0) * span
            unused += max(limit - used, 0) * span
            given += limit * span
    return share_s, seconds, unused / 2**30 / 3600, given / 2**30 / 3600


class Bench:
    def __init__(self, options):
        self.options, self.codec = options, MessageCodec()
        self.out = options.out
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / "runs.jsonl"
        self.lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        self.done = {(line["case"], line["mode"]) for line in self.lines}
        self.file = path.open("a")
        self.recorder = pathlib.Path(os.environ.get("FORESTALL_BIN", ROOT / "build/release/bin")) / "forestall-record"

    def keep(self, line):
        self.lines.append(line)
        self.done.add((line["case"], line["mode"]))
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def record(self, directory, argv, limit=0):
        path = directory / "one.record"
        path.unlink(missing_ok=True)
        subprocess.run([self.recorder, "--out", path, "--code", "case", "--stdout", "/dev/null", "--stderr", "/dev/null", "--cwd", directory,
                        "--timeout", f"{LONGEST_S}s", *(["--memory", str(limit)] if limit else []), "--", *argv],
                       timeout=2 * LONGEST_S, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env=machine.environment(directory), check=False)
        return next(read_records(path, self.codec)) if path.exists() else None

    def forestall(self, instance, directory, command, code, limit):
        report = directory / "report.json"
        report.unlink(missing_ok=True)
        for path in command.fresh:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        subprocess.run([instance.program("forestall"), "run", "--state", instance.state, "--report", report, "--code", code,
                        "--memory", str(limit), "--quiet", "--cwd", directory, "--hint", "none=0", "--", *command.argv],
                       timeout=10 * LONGEST_S, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env=machine.environment(directory), check=False)
        return json.loads(report.read_text())

    def case(self, case, instances):
        """Runs the cases of one input in all modes; how many count."""
        code = f"{case.program.name}-{case.variant.name}-{case.seed}-{case.round}".replace("_", "-")
        directory = pathlib.Path(tempfile.mkdtemp(prefix="case-", dir=self.out))
        try:
            (directory / "tmp").mkdir()
            (directory / "scripts").symlink_to(SCRIPTS)
            chance = case.chance("closed-loop")
            command = case.variant.build(Maker(directory, case.chance("input"), self.options.size))
            command.argv = [machine.find_program(command.argv[0]) or command.argv[0],
                            *(portable(word, directory) for word in command.argv[1:])]
            return self._modes(case, code, directory, command, chance, instances)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def prepared(self, case):
        """Directory, command, recording and limit of a case that counts; None otherwise."""
        directory = pathlib.Path(tempfile.mkdtemp(prefix="case-", dir=self.out))
        (directory / "tmp").mkdir()
        (directory / "scripts").symlink_to(SCRIPTS)
        command = case.variant.build(Maker(directory, case.chance("input"), self.options.size))
        command.argv = [machine.find_program(command.argv[0]) or command.argv[0], *(portable(word, directory) for word in command.argv[1:])]
        free = self.record(directory, command.argv)
        peak = free["totals"]["memory_peak_bytes"] if free else 0
        limit = max(int(peak * case.chance("closed-loop").uniform(0.3, 0.75)) // MIB, 8) * MIB
        if not free or free["outcome"] != "FINISHED" or peak < LEAST_PEAK or free["ended_us"] - free["started_us"] < SHORTEST_S * 1e6 or \
                self.record(directory, command.argv, limit)["outcome"] != "OOM_KILLED":
            shutil.rmtree(directory, ignore_errors=True)
            return None
        return directory, command, free, limit

    def crowded(self, pairs):
        """All cases at once on a node that is too small for their peaks."""
        cases = []
        for case in endless_cases(pairs, self.options.seed, self.options.size):
            made = self.prepared(case) if MEMORY in case.variant.traits else None
            if made:
                code = f"{case.program.name}-{case.variant.name}-{case.seed}-{case.round}".replace("_", "-")
                self._recording(code, made[2], made[3])
                cases.append((code, *made))
            if len(cases) >= self.options.runs:
                break
        peaks = sorted((free["totals"]["memory_peak_bytes"] for _, _, _, free, _ in cases), reverse=True)
        node = int(sum(peaks[:self.options.at_once]) * self.options.node_share) // MIB
        with Instance(node_memory=f"{node}M") as instance:
            def run(one):
                code, directory, command, free, limit = one
                seconds = (free["ended_us"] - free["started_us"]) / 1e6
                self._run({"case": code, "peak_bytes": free["totals"]["memory_peak_bytes"], "seconds": round(seconds, 2)}, "crowded", instance,
                          directory, command, code, limit)
            with ThreadPoolExecutor(self.options.at_once) as pool:
                list(pool.map(run, cases))
            self.slack(instance, "crowded")
        for _, directory, *_ in cases:
            shutil.rmtree(directory, ignore_errors=True)
        alone = {line["case"]: line["seconds"] for line in self.lines if line["mode"] == "crowded"}
        took = {line["case"]: line for line in self.lines if line["mode"] == "slack-crowded" and line["seconds"]}
        stretch = sum(line["seconds"] for line in took.values()) / sum(alone.values())
        return {"stretch": round(stretch, 2), "failed_as_alone_gib_h": round(sum(line["failed_gib_h"] for line in took.values()) / stretch, 6),
                "slack_as_alone_gib_h": round(sum(line["slack_gib_h"] * alone[code] / line["seconds"] for code, line in took.items()), 6),
                "node_mib": node, "peaks_mib": [peak // MIB for peak in peaks[:self.options.at_once]], "at_once": self.options.at_once}

    def _modes(self, case, code, directory, command, chance, instances):
        free = self.record(directory, command.argv)
        seconds = (free["ended_us"] - free["started_us"]) / 1e6 if free else 0
        peak = free["totals"]["memory_peak_bytes"] if free else 0
        grows = MEMORY in case.variant.traits and peak >= LEAST_PEAK
        if not free or free["outcome"] != "FINISHED" or not SHORTEST_S <= seconds <= LONGEST_S:
            return 0
        common = {"case": code, "program": case.program.name, "peak_bytes": peak, "seconds": round(seconds, 2)}
        counted = 0
        for number in range(LIMITS if grows else 0):
            limit = max(int(peak * chance.uniform(0.3, 0.75)) // MIB, 8) * MIB
            killed = self.record(directory, command.argv, limit)
            if killed and killed["outcome"] == "OOM_KILLED":
                counted += 1
                this = {**common, "case": f"{code}-{number}", "limit_bytes": limit}
                self._recording(this["case"], free, limit)
                self.keep({**this, "mode": "without", "outcome": killed["outcome"],
                           "died_after_s": round((killed["ended_us"] - killed["started_us"]) / 1e6, 2)})
                for mode, instance in instances.items():
                    self._run(this, mode, instance, directory, command, this["case"], limit)
        limit = (int(peak * chance.uniform(1.25, 2.5)) // MIB + 8) * MIB
        self._run(common, "enough", instances["brake"], directory, command, code + "-enough", limit)
        return counted

    def _run(self, common, mode, instance, directory, command, code, limit):
        try:
            report = self.forestall(instance, directory, command, code, limit)
        except subprocess.TimeoutExpired:
            say(f"{code}: {mode}: not ended within {10 * LONGEST_S} s: counted as not finished")
            report = {"adjustments": [], "outcome": "too slow", "attempts": 1, "peak_bytes": None, "final_limit_bytes": None, "duration_ms": None}
        raises = [one for one in report["adjustments"] if one["direction"] == "raise" and one["result"] in ("applied", "partly")]
        self.keep({**common, "mode": mode, "code": code, "limit_bytes": limit, "outcome": report["outcome"], "attempts": report["attempts"],
                   "peak_seen_bytes": report["peak_bytes"], "final_limit_bytes": report["final_limit_bytes"], "raises": len(raises),
                   "brake_ms": report.get("brake_ms"), "took_s": round((report["duration_ms"] or 0) / 1000, 2)})

    def _recording(self, code, record, limit):
        """As it was, told that this much had been asked for."""
        record = {**record, "code": code}
        record["request"] = {**record["request"], "limits": {**record["request"]["limits"], "memory_bytes": limit}}
        with (self.out / "recordings.records").open("ab") as file:
            write_record(file, self.codec, record)

    def slack(self, instance, mode):
        """Of each execution from its series, all attempts; what failed was given for nothing."""
        found = {}
        for _, record in instance.read_messages("executions.finished", codec=self.codec):
            share_s, seconds, unused, given = slack_of(record)
            line = found.setdefault(record["code"], {"share_s": 0, "seconds": 0, "slack_gib_h": 0, "failed_gib_h": 0})
            if record["outcome"] == "FINISHED":
                line["share_s"] += share_s
                line["seconds"] += seconds
                line["slack_gib_h"] += unused
            else:
                line["failed_gib_h"] += given
        for code, line in found.items():
            self.keep({"case": code, "mode": f"slack-{mode}", **line})

    def pairs(self):
        return [(program, variant) for program, variant in chosen_variants(self.options.only)
                if program.split == TEST and not variant.traits & {NET, FAULT} and variant.traits & {MEMORY, CACHE}
                and machine.find_program(program.name)]

    def run(self):
        pairs = self.pairs()
        wanted = self.options.runs - sum(line["mode"] == "without" for line in self.lines)
        if wanted <= 0:
            return
        seen = {line["case"].removesuffix(f"-{number}") for line in self.lines for number in range(LIMITS)}
        with Instance() as brake, Instance(settings=("agent.brake=no",)) as bare:
            instances = {"brake": brake, "no-brake": bare}
            for case in endless_cases(pairs, self.options.seed, self.options.size):
                code = f"{case.program.name}-{case.variant.name}-{case.seed}-{case.round}".replace("_", "-")
                flat = MEMORY not in case.variant.traits
                if code in seen or (flat and case.round % FLAT_EVERY):
                    continue
                try:
                    wanted -= self.case(case, instances)
                except (subprocess.TimeoutExpired, subprocess.CalledProcessError, OSError) as error:
                    say(f"{code}: left out: {error}")
                if wanted <= 0:
                    break
            for mode, instance in instances.items():
                self.slack(instance, mode)


def result(lines, mode):
    runs = [line for line in lines if line["mode"] == mode]
    slack = {line["case"]: line for line in lines if line["mode"] == f"slack-{mode}"}
    known = [slack[line["code"]] for line in runs if line["code"] in slack]
    finished = [line for line in runs if line["outcome"] == "finished"]
    seconds = sum(line["seconds"] for line in known)
    died_s = {line["case"]: line["died_after_s"] for line in lines if line["mode"] == "without"}
    first = [line for line in finished if line["attempts"] == 1]
    told = [line["final_limit_bytes"] / line["peak_bytes"] for line in first if line["final_limit_bytes"]]  # its record came in time
    fast = [line for line in runs if died_s.get(line["case"], 9) < 1.5]
    return {"bench": "closed-loop", "mode": mode, "how": "live", "runs": len(runs), "finished_first": round(len(first) / len(runs), 4),
            "finished": round(len(finished) / len(runs), 4),
            "final_over_peak_p50": round(quantile(told, 0.5), 3),
            "final_over_peak_p90": round(quantile(told, 0.9), 3),
            "slack_mean": round(sum(line["share_s"] for line in known) / seconds, 4) if seconds else None,
            "slack_gib_h": round(sum(line["slack_gib_h"] for line in known), 5),
            "failed_gib_h": round(sum(line["failed_gib_h"] for line in known), 5),
            "raises_p50": quantile([line["raises"] for line in runs], 0.5), "brake_ms_p50": quantile([line["brake_ms"] or 0 for line in runs], 0.5),
            "died_within_1.5s": len(fast), "of_them_finished_first": sum(line in first for line in fast)}


def needless(lines):
    runs = [line for line in lines if line["mode"] == "enough"]
    return {"bench": "closed-loop", "mode": "enough", "how": "live", "runs": len(runs), "raised": sum(line["raises"] > 0 for line in runs),
            "raised_share": round(sum(line["raises"] > 0 for line in runs) / max(len(runs), 1), 4)}


def replayed(out, binary, *arguments):
    done = subprocess.run([binary / "forestall", "replay", "--json", "--policy", RIVALS, *arguments, out / "recordings.records"],
                          stdout=subprocess.PIPE, text=True, check=True)
    for text in done.stdout.splitlines():
        line = json.loads(text)
        yield {"bench": "closed-loop", "mode": "no-brake" if arguments else "brake", "how": "replay", "policy": line["policy"],
               "runs": line["executions"], "finished_first": round(line["first_try_finished"] / line["executions"], 4),
               "final_over_peak_p50": round(line["limit_over_peak_p50"], 3), "slack_mean": round(line["slack_mean"], 4),
               "slack_gib_h": round(line["slack_gib_h"], 5), "failed_gib_h": round(line["failed_gib_h"], 5),
               "changes_per_execution": round(line["changes_per_execution"], 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, help="keeps recordings and runs; goes on from what is there")
    parser.add_argument("--runs", type=int, default=100, help="cases that die without Forestall")
    parser.add_argument("--seed", type=int, default=1001)
    parser.add_argument("--size", type=float, default=1.0)
    parser.add_argument("--only", action="append", metavar="PROGRAM[:VARIANT]")
    parser.add_argument("--at-once", type=int, default=0, metavar="N", help="so many at a time on a node that is too small")
    parser.add_argument("--node-share", type=float, default=0.6, help="of the sum of the N largest peaks")
    options = parser.parse_args()
    if os.geteuid() != 0:
        say("needs root: programs run in cgroups")
        return 1
    with tempfile.TemporaryDirectory(prefix="closed-loop-") as temporary:
        options.out = (options.out or pathlib.Path(temporary)).resolve()
        bench = Bench(options)
        if options.at_once:
            about = bench.crowded(bench.pairs())
            print(json.dumps({**result(bench.lines, "crowded"), **about}))
            for line in replayed(options.out, bench.recorder.parent):
                print(json.dumps(line))
            return 0
        bench.run()
        for line in bench.lines:
            print(json.dumps(line))
        for mode in ("brake", "no-brake"):
            print(json.dumps(result(bench.lines, mode)))
        print(json.dumps(needless(bench.lines)))
        for arguments in ((), ("--no-brake",)):
            for line in replayed(options.out, bench.recorder.parent, *arguments):
                print(json.dumps(line))
    return 0


sys.exit(main())
