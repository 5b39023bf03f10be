"""How many seeds a scenario needs until one of its checkers sees a deliberate bug."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple

Mutation = Callable[[], AbstractContextManager[None]]
"""Switches a bug on."""


class Detection(NamedTuple):
    """`seeds` is None when none of those that were tried found it."""

    name: str
    seeds: int | None
    invariants: tuple[str, ...]


class MutationOutOfDateError(Exception):
    """The code has changed under the bug: it raises instead of doing something wrong."""


def search(
    name: str, mutation: Mutation, violations: Callable[[int], Iterable[str]], *, seeds_max: int, first: int
) -> Detection:
    """Run seed after seed with the bug switched on, until a checker finds it. `violations` runs the scenario of a seed.

    Raises:
        MutationOutOfDateError: what the checkers would find is that the bug does not fit the code any more.
    """
    for count, seed in enumerate(range(first, first + seeds_max), start=1):
        with mutation():
            found = list(violations(seed))
        misfits = [each for each in found if "TypeError(" in each or "AttributeError(" in each]
        if misfits:
            raise MutationOutOfDateError(f"{name}: {misfits[0]}")
        if found:
            return Detection(name, count, tuple(dict.fromkeys(each.split(":")[0] for each in found)))
    return Detection(name, None, ())


def print_table(
    prog: str, mutations: Mapping[str, Mutation], detect: Callable[[str, int], Detection], *, seeds_max: int
) -> int:
    """The command of a table: a row for each bug, and 1 when one of them was missed. `detect` takes a name and how many seeds."""
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(mutations))
    parser.add_argument("--seeds", type=int, default=seeds_max)
    options = parser.parse_args()
    missed = 0
    for name in options.names or mutations:
        found = detect(name, options.seeds)
        missed += found.seeds is None
        print(
            f"| {name.replace('_', ' ')} | {found.seeds or 'not found'} | {', '.join(found.invariants)} |", flush=True
        )
    return 1 if missed else 0
