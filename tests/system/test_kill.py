"""kill -9 of each service while executions run: each reaches exactly one terminal state, none runs twice, risks go on."""
import os
import random
import sys
import time

import pytest

from instance import SERVICES, Instance
from process import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="cgroups need root")
EXECUTIONS = 12
# Writes one line when it starts, then works for a while and grows past its limit on the way.
WORK = """
import os, sys, time
with open(sys.argv[1], "a") as log:
    log.write(sys.argv[2] + "\\n")
kept = []
end = time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    if len(kept) < 60:
        kept.append(bytearray(b"x" * (1 << 20)))
    time.sleep(0.2)
"""


@pytest.fixture(scope="module")
def forestall():
    with Instance(node_memory="6G", settings=["queue.member=1"]) as instance:
        yield instance


def newest_risk_us(instance):
    return max((risk["published_us"] for _, risk in instance.read_messages("risks")), default=0)


@pytest.mark.parametrize("service", SERVICES)
def test_service__killed_while_executions_run__one_terminal_state_each(forestall, service):
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    print("seed", seed)
    log = forestall.directory / f"started-{service}"
    names = [f"{service}-{number}" for number in range(EXECUTIONS)]
    executions = [forestall.submit([sys.executable, "-c", WORK, log, name, f"{rng.uniform(5, 9):.1f}"],
                                   code=f"kill-{service}", memory="40M") for name in names]
    wait_until(lambda: log.exists() and len(log.read_text().split()) >= EXECUTIONS // 2, 60, "half of them to run", 0.05)
    before = forestall.kill_service(service)
    killed = time.time_ns() // 1000
    wait_until(lambda: forestall.service_pid(service) not in (None, before), 30, f"{service} to be started again", 0.05)
    wait_until(lambda: newest_risk_us(forestall) > killed + 100_000, 30, "a risk after the kill", 0.1)
    gap_s = (newest_risk_us(forestall) - killed) / 1e6
    print(f"{service}: a risk {gap_s:.1f} s after the kill")
    assert gap_s <= 5 + 1.5, "risks must go on within 5 s of the restart"

    def states():
        return [state for _, state in forestall.read_messages("executions.state")
                if state and state["request"]["code"] == f"kill-{service}"]

    wait_until(lambda: len({state["execution"] for state in states() if state["phase"] == "DONE"}) == EXECUTIONS, 90,
               lambda: "all to end: " + str([(state["phase"], state["reason"]) for state in states()][-EXECUTIONS:]), 0.5)
    done = [state for state in states() if state["phase"] == "DONE"]
    assert len(done) == EXECUTIONS == len(executions), "an execution has more than one terminal state"
    assert {state["outcome"] for state in done} == {"FINISHED"}, [(s["outcome"], s["reason"]) for s in done]
    assert sorted(log.read_text().split()) == sorted(names), "an attempt ran twice or not at all"
    records = [record for _, record in forestall.read_messages("executions.finished")
               if record["code"] == f"kill-{service}"]
    assert len({record["execution"] for record in records}) == EXECUTIONS
