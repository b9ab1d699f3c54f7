"""The replay against what really happens: a program is recorded without a limit and replayed under one, and then run
under that limit by Forestall. Outcome, highest limit and the time in the brake must agree."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

BIN = pathlib.Path(os.environ["FORESTALL_BIN"])
SOURCE = """
import sys, time
step, pause, total = map(float, sys.argv[1:])
held = []
time.sleep(0.5)
for _ in range(int(total / step)):
    held.append(bytearray(b"x") * int(step * 2**20))
    time.sleep(pause)
time.sleep(0.5)
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: real cgroups")


# step and total in MiB, pause in seconds; the limit is what --request-share 0.3 makes of the peak. Where a jump is held
# depends on the moment: the real run itself differs by a third from one time to the next.
@pytest.mark.parametrize("name, step, pause, total, limit, tolerance", [
    ("slow", 2, 0.05, 120, "64M", 0.2), ("fast", 8, 0.02, 400, "128M", 0.2), ("jump", 200, 0.5, 200, "64M", 0.4)])
def test_replay_agrees_with_the_real_run(tmp_path, name, step, pause, total, limit, tolerance):
    command = [sys.executable, "-c", SOURCE, str(step), str(pause), str(total)]
    recording, report = tmp_path / "one.records", tmp_path / "report.json"
    done = subprocess.run([BIN / "forestall-record", "--out", recording, "--code", name, "--", *command], timeout=60,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = subprocess.run([BIN / "forestall", "replay", "--json", "--policy", "ours", "--request-share", "0.3", recording],
                           timeout=60, capture_output=True, text=True, check=True).stdout
    replayed = json.loads(lines)
    done = subprocess.run([BIN / "forestall", "run", "--code", f"replay-{name}-{os.getpid()}", "--memory", limit,
                           "--report", report, "--", *command], timeout=90, capture_output=True, text=True)
    real = json.loads(report.read_text())
    assert done.returncode == 0 and real["outcome"] == "finished" and real["first_limit_bytes"] == int(limit[:-1]) << 20
    ratio = real["final_limit_bytes"] / real["peak_bytes"]
    print(f"{name}: real {ratio:.2f}, {len(real['adjustments'])} raises, {real['brake_ms']:.0f} ms in the brake; replayed "
          f"{replayed['limit_over_peak_p50']:.2f}, {replayed['changes_per_execution']:.0f}, {1000 * replayed['stalled_s']:.0f} ms")
    assert replayed["failures"] == real["attempts"] - 1 == 0
    assert replayed["limit_over_peak_p50"] == pytest.approx(ratio, rel=tolerance)
    assert replayed["changes_per_execution"] >= 1 and real["adjustments"]
    assert abs(1000 * replayed["stalled_s"] - real["brake_ms"]) < 500
