"""What a program of the corpus is, and what one case of it runs."""
import dataclasses
import math
import pathlib
import random
from collections.abc import Callable

from inputs import Inputs

SCRIPTS = pathlib.Path(__file__).with_name("scripts")

# How splits are named; one program is in one of them, whatever its arguments.
TRAIN, VALIDATION, TEST = "train", "validation", "test"

# What kinds of limited runs say something about a variant.
MEMORY = "memory"  # grows: give it less than it needs
CPU = "cpu"        # computes: a quota and a deadline
READ = "read"      # reads files from the disk: bandwidth and a deadline
WRITE = "write"    # writes past the cache or syncs
NET = "net"        # sends: egress and a deadline
CACHE = "cache"    # fills the page cache only: a small memory limit is no danger
FAULT = "fault"    # fails by itself
IDLE = "idle"      # mostly waits: a deadline that no resource could have helped to meet


@dataclasses.dataclass
class Command:
    argv: list
    stdin: pathlib.Path | None = None
    cold: tuple = ()        # files that are put out of the cache before each run
    read_bytes: int = 0     # from the disk, for READ
    written_bytes: int = 0  # to the disk, for WRITE
    sent_bytes: int = 0     # over the network, for NET
    gauge: bool = False     # reports `progress`
    fresh: tuple = ()       # outputs to remove before each run


@dataclasses.dataclass(frozen=True)
class Variant:
    name: str
    traits: frozenset
    build: Callable[["Maker"], Command]


@dataclasses.dataclass(frozen=True)
class Program:
    name: str        # the executable
    package: str     # of Debian
    split: str
    variants: tuple
    interpreter: bool = False  # its code is named by the script as well


class Maker(Inputs):
    """What a variant builds a case from: inputs, and numbers drawn from the case's seed."""

    def __init__(self, directory: pathlib.Path, chance: random.Random, size: float = 1.0):
        super().__init__(directory, chance)
        self.size = size  # 1 = as for the corpus; smaller for tests

    def between(self, low, high):
        return self.chance.uniform(low, high)

    def amount(self, low, high):
        """A count or size, drawn evenly on a logarithmic scale; small ones are as frequent as large ones."""
        return max(1, round(self.size * math.exp(self.chance.uniform(math.log(low), math.log(high)))))

    def one_of(self, *choices):
        return self.chance.choice(choices)

    def some_data(self, low, high):
        """Text, or bytes nobody can compress; MiB."""
        return self.text(self.amount(low, high), vocabulary=self.amount(500, 20000)) if self.one_of(0, 1) else self.noise(self.amount(low, high))


def variant(name, *traits):
    """Makes a Variant of a build function."""
    return lambda build: Variant(name, frozenset(traits), build)


def script(language, name):
    return SCRIPTS / language / name
