"""How many seeds the simulator needs for each deliberate bug: `python -m tests.simulation.mutation_table [names]`."""

from __future__ import annotations

import argparse
import sys
from typing import NamedTuple

from tests.simulation.mutations import MUTATIONS
from tests.simulation.run import simulate

SEEDS_MAX = 500
FAULTS_S = 20.0


class Detection(NamedTuple):
    """`seeds` is None when none of SEEDS_MAX found it."""

    name: str
    seeds: int | None
    invariants: tuple[str, ...]


class MutationOutOfDateError(Exception):
    """The code has changed under the bug: it raises instead of doing something wrong."""


def detect(name: str, *, seeds_max: int = SEEDS_MAX, first: int = 1, faults_s: float = FAULTS_S) -> Detection:
    """Run seed after seed with the bug switched on, until a checker finds it.

    Raises:
        MutationOutOfDateError: what the checkers would find is that the bug does not fit the code any more.
    """
    for count, seed in enumerate(range(first, first + seeds_max), start=1):
        with MUTATIONS[name]():
            outcome = simulate(seed, faults_s=faults_s)
        misfits = [each for each in outcome.violations if "TypeError(" in each or "AttributeError(" in each]
        if misfits:
            raise MutationOutOfDateError(f"{name}: {misfits[0]}")
        if outcome.violations:
            return Detection(name, count, tuple(dict.fromkeys(each.split(":")[0] for each in outcome.violations)))
    return Detection(name, None, ())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutation_table")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(MUTATIONS))
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX)
    options = parser.parse_args()
    missed = 0
    for name in options.names or MUTATIONS:
        found = detect(name, seeds_max=options.seeds)
        missed += found.seeds is None
        print(
            f"| {name.replace('_', ' ')} | {found.seeds or 'not found'} | {', '.join(found.invariants)} |", flush=True
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
