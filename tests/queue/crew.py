"""Several nodes that work by themselves, and what must be true when all is done."""
import random
import threading
import time

from fakes import MIB, FakeNode, judge, verdict_for
from process import wait_until

# Transactions past their time are looked for so often, by default every 10 s.
BROKER = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500"}


class Crew:
    """Nodes that run what they get for a short while; some attempts fail and are judged as allocate would."""

    def __init__(self, cluster, pools, nodes_each=2, seed=1):
        self.cluster, self.chance, self.lock = cluster, random.Random(seed), threading.Lock()
        self.due, self.stopping = [], threading.Event()
        self.nodes = [FakeNode(cluster, f"{pool}-node-{number}", pool, memory_mib=2000)
                      for pool in pools for number in range(nodes_each)]
        for node in self.nodes:
            node.plays["code"] = self.begin
            node.start()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def begin(self, node, admission):
        with self.lock:
            fails = admission["attempt"] == 1 and self.chance.random() < 0.2
            self.due.append((time.monotonic() + self.chance.uniform(0, 0.5), node, admission, fails))

    def run(self):
        while not self.stopping.wait(0.02):
            with self.lock:
                at = time.monotonic()  # once: what falls due between two looks at the clock would be in neither list
                due = [one for one in self.due if one[0] <= at]
                self.due = [one for one in self.due if one[0] > at]
            for _, node, admission, fails in due:
                if not fails:
                    node.finish(admission)
                    continue
                node.finish(admission, "OOM_KILLED", "MEMORY")
                judge(self.cluster, verdict_for(admission, memory_bytes=128 * MIB), times=2)

    def stop(self):
        self.stopping.set()
        self.thread.join(10)
        for node in self.nodes:
            node.stop()

    def check(self, executions):
        """No attempt ran twice, nowhere."""
        times = {}
        for node in self.nodes:
            for key, count in node.accepted.items():
                times[key] = times.get(key, 0) + count
        assert all(count == 1 for count in times.values()), {key: count for key, count in times.items() if count > 1}
        assert {key[0] for key in times} == set(executions)


def revive(queue):
    """What its supervisor does: it ends with status 1 when it was fenced or cannot know what became of a transaction."""
    if not queue.program.alive():
        assert queue.program.returncode == 1, queue.program.log_tail()
        queue.start(wait=False)


def check_all(crew, states, executions, supervised=None):
    def all_done():
        if supervised:
            revive(supervised)
        states.read()
        return not left()

    def left():
        phases = {one: (states.newest.get(one) or {}).get("phase") for one in executions}
        return {one.hex(): phase for one, phase in phases.items() if phase != "DONE"}
    wait_until(all_done, 120, lambda: f"all to be done; left are {left()}, the nodes run "
               f"{[(node.name, [one.hex() for one in node.running]) for node in crew.nodes]}", 0)
    states.check_one_end(executions)
    assert all(states.newest[execution]["outcome"] == "FINISHED" for execution in executions)
    crew.check(executions)
