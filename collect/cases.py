"""Cases: a program, a variant and one input; and the endless order they come in. All from the seed."""
import dataclasses
import itertools
import math
import random

from programs import PROGRAMS

VARIANTS_PER_TURN = 3  # of a program with more, several come in one round


def chosen_variants(only):
    """(program, variant) pairs asked for; ValueError names what is unknown."""
    pairs = [(program, variant) for program in PROGRAMS for variant in program.variants]
    if not only:
        return pairs
    known = {name for program, variant in pairs for name in (program.name, f"{program.name}:{variant.name}")}
    unknown = sorted(set(only) - known)
    if unknown:
        raise ValueError(f"no program {', '.join(unknown)}; --list shows them")
    return [(program, variant) for program, variant in pairs
            if program.name in only or f"{program.name}:{variant.name}" in only]


@dataclasses.dataclass(frozen=True)
class Case:
    program: object
    variant: object
    round: int
    seed: int
    size: float

    @property
    def name(self):
        return f"{self.program.name}/{self.variant.name}/{self.seed}-{self.round}"

    def chance(self, purpose):
        return random.Random(f"{self.name}/{self.size:g}/{purpose}")


def endless_cases(pairs, seed, size):
    """Each round has every program with some of its variants in turn, in a new order; who has many comes more often."""
    programs = {}
    for program, variant in pairs:
        programs.setdefault(program.name, []).append((program, variant))
    orders = {name: random.Random(f"{seed}/{name}").sample(choices, len(choices)) for name, choices in programs.items()}
    turns = {name: math.ceil(len(order) / VARIANTS_PER_TURN) for name, order in orders.items()}
    for number in itertools.count():
        cases = []
        for name, order in sorted(orders.items()):
            for turn in range(number * turns[name], (number + 1) * turns[name]):
                program, variant = order[turn % len(order)]
                cases.append(Case(program, variant, number, seed, size))
        yield from random.Random(f"{seed}/{number}").sample(cases, len(cases))
