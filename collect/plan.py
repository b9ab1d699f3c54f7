"""Which limited runs follow the unlimited run of a case. Pure: everything comes from the case's seed and what was measured.

Unlimited runs are worth most to a learner, because their growth can be cut at any hypothetical limit later; the limited ones
show what the kernel really does: kills, throttling, waiting."""
import dataclasses
import random

from command import CACHE, CPU, FAULT, IDLE, MEMORY, NET, READ, WRITE, Command, Variant

MIB = 1 << 20
LEAST_LIMIT_BYTES = 6 * MIB    # below it a program dies before it has begun
LEAST_GROWTH_BYTES = 10 * MIB  # a peak below this is only the program itself
LONGEST_S = 24.0               # of a run with a deadline
SHORTEST_S = 1.5
LOADS = ("cpu", "memory", "disk", "cpu+memory")


@dataclasses.dataclass(frozen=True)
class Limits:
    memory_bytes: int = 0
    cpu_millicores: int = 0
    io_read_bps: int = 0
    io_write_bps: int = 0
    net_egress_bps: int = 0

    def given(self):
        return {name: value for name, value in dataclasses.asdict(self).items() if value}


@dataclasses.dataclass(frozen=True)
class Run:
    kind: str  # free oom near enough, each also -slow; cpu- read- write- net- crowded-missed and -met; idle-missed
    limits: Limits = Limits()
    timeout_ms: int = 0
    load: str = ""  # what a neighbour does meanwhile; empty = nothing


@dataclasses.dataclass(frozen=True)
class Measured:
    """Of the unlimited run."""
    duration_s: float
    cpu_s: float
    peak_bytes: int


def load_of(chance: random.Random, share=0.2):
    return chance.choice(LOADS) if chance.random() < share else ""


def free_run(chance):
    return Run("free", load=load_of(chance, 0.25))


def _memory(measured, low, high, chance, extra=0):
    return Limits(memory_bytes=max(int(measured.peak_bytes * chance.uniform(low, high)) + extra, LEAST_LIMIT_BYTES))


def _slow_quota(measured, chance):
    """A CPU quota that makes a computing program take some seconds, as on a slower or fuller machine; 0 when it would not."""
    wanted_s = chance.uniform(3, 16)
    if measured.cpu_s < 0.2 * measured.duration_s or measured.duration_s > 0.7 * wanted_s:
        return 0
    return max(int(1000 * measured.cpu_s / wanted_s), 40)


def _slowed(run, quota):
    return dataclasses.replace(run, kind=f"{run.kind}-slow", limits=dataclasses.replace(run.limits, cpu_millicores=quota))


def _memory_runs(traits, measured, chance):
    """Below the peak, above it, and the same slowed down: ramps that take ten times the samples tell more."""
    quota = _slow_quota(measured, chance)

    def perhaps_slowed(run):
        return _slowed(run, quota) if quota and chance.random() < 0.5 else run

    if MEMORY in traits and measured.peak_bytes >= LEAST_GROWTH_BYTES:
        if quota and chance.random() < 0.8:
            yield _slowed(Run("free"), quota)
        yield Run("oom", _memory(measured, 0.15, 0.93, chance), load=load_of(chance))
        if quota and chance.random() < 0.8:
            yield _slowed(Run("oom", _memory(measured, 0.2, 0.97, chance)), quota)
        if chance.random() < 0.25:
            yield Run("near", _memory(measured, 0.9, 0.99, chance), load=load_of(chance))
        if chance.random() < 0.35:
            yield perhaps_slowed(Run("enough", _memory(measured, 1.04, 2.5, chance, 2 * MIB), load=load_of(chance)))
    elif CACHE in traits or chance.random() < 0.3:
        yield perhaps_slowed(Run("enough", _memory(measured, 1.3, 4, chance, 6 * MIB), load=load_of(chance)))


def _deadline(kind, needed_s, chance, limits, missed_share=0.6, load=""):
    """A run that needs about needed_s under its limits, with a deadline before or after that."""
    missed = chance.random() < missed_share
    if missed and needed_s > SHORTEST_S / 0.4:
        timeout_s = min(needed_s * chance.uniform(0.35, 0.9), LONGEST_S)
    elif needed_s * 1.25 < LONGEST_S:
        missed, timeout_s = False, max(needed_s * chance.uniform(1.25, 2.5), SHORTEST_S)
    else:
        missed, timeout_s = True, LONGEST_S * chance.uniform(0.3, 1)
    return Run(f"{kind}-{'missed' if missed else 'met'}", limits, int(timeout_s * 1000), load)


def _cpu_run(measured, chance):
    cores = min(max(measured.cpu_s / measured.duration_s, 0.2), 2)
    quota = min(cores * chance.uniform(0.2, 0.9), 1.9)
    enough = int(measured.peak_bytes * 2 + 16 * MIB) if chance.random() < 0.4 else 0
    needed_s = max(measured.cpu_s / quota, measured.duration_s)
    return _deadline("cpu", needed_s, chance, Limits(cpu_millicores=max(int(quota * 1000), 20), memory_bytes=enough),
                     load=load_of(chance, 0.15))


def _rate_run(kind, field, size, measured, chance, enough_memory):
    """Bandwidth so that the bytes alone take a few seconds; only rates the unlimited run really exceeds are a limit."""
    took_s = max(measured.duration_s, 0.3)
    wanted_s = max(chance.uniform(2, 16), took_s * 1.3)
    limits = Limits(**{field: max(int(size / wanted_s), 64 << 10)}, memory_bytes=enough_memory)
    return _deadline(kind, wanted_s, chance, limits, load=load_of(chance, 0.15))


def limited_runs(variant: Variant, command: Command, measured: Measured, chance: random.Random):
    """The runs after the unlimited one, in order; the same for the same seed and measurements."""
    traits = variant.traits
    runs = list(_memory_runs(traits, measured, chance))
    enough = int(measured.peak_bytes * 1.5 + 24 * MIB)
    if CPU in traits and measured.cpu_s >= 0.7 and chance.random() < 0.75:
        runs.append(_cpu_run(measured, chance))
    for trait, kind, field, size in ((READ, "read", "io_read_bps", command.read_bytes),
                                     (WRITE, "write", "io_write_bps", command.written_bytes),
                                     (NET, "net", "net_egress_bps", command.sent_bytes)):
        if trait in traits and size:
            for _ in range(2):
                runs.append(_rate_run(kind, field, size, measured, chance, enough if chance.random() < 0.3 else 0))
    if CPU in traits and measured.cpu_s >= 1.5 and chance.random() < 0.15:
        runs.append(_deadline("crowded", measured.duration_s * 1.6, chance, Limits(), load="cpu+memory"))
    if IDLE in traits and measured.duration_s >= 3 and chance.random() < 0.5:
        runs.append(Run("idle-missed", timeout_ms=int(measured.duration_s * chance.uniform(0.4, 0.9) * 1000)))
    if FAULT in traits and chance.random() < 0.5:
        runs.append(Run("enough", _memory(measured, 1.5, 3, chance, 8 * MIB), int(LONGEST_S * 1000)))
    return runs
