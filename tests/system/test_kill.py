"""kill -9 of each service while executions run, alone and one of two: each reaches exactly one terminal state, none runs twice, risks go on."""
import os
import random
import sys
import time

import pytest

from instance import SERVICES, Instance
from process import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="cgroups need root")
EXECUTIONS = 12
DOUBLED = ("predict", "allocate", "queue")
ROUNDS, EACH = 12, 4  # one killed in each, so many executions submitted
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


def newest_risk_us(instance):
    return max((risk["published_us"] for _, risk in instance.read_messages("risks")), default=0)


def assert_each_ends_once(instance, code, log, names):
    def states():
        return [state for _, state in instance.read_messages("executions.state") if state and state["request"]["code"] == code]

    wait_until(lambda: len({state["execution"] for state in states() if state["phase"] == "DONE"}) == len(names), 120,
               lambda: "all to end: " + str([(state["phase"], state["reason"]) for state in states()][-len(names):]), 0.5)
    done = [state for state in states() if state["phase"] == "DONE"]
    assert len(done) == len(names), "an execution has more than one terminal state"
    assert {state["outcome"] for state in done} == {"FINISHED"}, [(state["outcome"], state["reason"]) for state in done]
    assert sorted(log.read_text().split()) == sorted(names), "an attempt ran twice or not at all"
    records = [record for _, record in instance.read_messages("executions.finished") if record["code"] == code]
    assert len({record["execution"] for record in records}) == len(names)


def start_second(instance, service, number):
    """A second member of the service's group, beside that of `forestall local`."""
    return instance.start_program(f"{service}-2-{number}", [
        instance.program(f"forestall-{service}"), f"--service.brokers={instance.broker.bootstrap}", f"--service.redis=127.0.0.1:{instance.redis.port}",
        f"--service.state_dir={instance.directory}/state-{service}-2", f"--{service}.member=2"])


def test_two_of_each__any_killed_at_any_moment__every_execution_ends_once():
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    print("seed", seed)
    with Instance(node_memory="6G") as instance:
        log, names = instance.directory / "started", []
        seconds = {service: start_second(instance, service, 0) for service in DOUBLED}
        for number in range(1, ROUNDS + 1):
            for _ in range(EACH):
                names.append(f"{number}-{len(names)}")
                instance.submit([sys.executable, "-c", WORK, log, names[-1], f"{rng.uniform(1, 5):.1f}"], code="kill-any", memory="40M")
            for service in DOUBLED:
                if not seconds[service].alive():  # away for a round, its partitions with the first
                    seconds[service] = start_second(instance, service, number)
            victim = rng.choice(SERVICES + 2 * DOUBLED)
            time.sleep(rng.uniform(0, 0.5))  # where in its work the victim dies, not a wait for anything
            if victim in DOUBLED and rng.random() < 0.5:
                print(f"round {number}: the second {victim} ends")
                seconds[victim].kill() if rng.random() < 0.5 else seconds[victim].stop()
            else:
                print(f"round {number}: the first {victim} is killed")
                before = instance.kill_service(victim)
                wait_until(lambda: instance.service_pid(victim) not in (None, before), 30, f"{victim} to be started again", 0.05)
        assert_each_ends_once(instance, "kill-any", log, names)


@pytest.fixture(scope="module")
def forestall():
    with Instance(node_memory="6G") as instance:
        yield instance


@pytest.mark.parametrize("service", SERVICES)
def test_service__killed_while_executions_run__one_terminal_state_each(forestall, service):
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    print("seed", seed)
    log = forestall.directory / f"started-{service}"
    names = [f"{service}-{number}" for number in range(EXECUTIONS)]
    for name in names:
        forestall.submit([sys.executable, "-c", WORK, log, name, f"{rng.uniform(5, 9):.1f}"], code=f"kill-{service}", memory="40M")
    wait_until(lambda: log.exists() and len(log.read_text().split()) >= EXECUTIONS // 2, 60, "half of them to run", 0.05)
    before = forestall.kill_service(service)
    killed = time.time_ns() // 1000
    wait_until(lambda: forestall.service_pid(service) not in (None, before), 30, f"{service} to be started again", 0.05)
    wait_until(lambda: newest_risk_us(forestall) > killed + 100_000, 30, "a risk after the kill", 0.1)
    gap_s = (newest_risk_us(forestall) - killed) / 1e6
    print(f"{service}: a risk {gap_s:.1f} s after the kill")
    assert gap_s <= 5 + 1.5, "risks must go on within 5 s of the restart"
    assert_each_ends_once(forestall, f"kill-{service}", log, names)
