"""How many seeds the simulator needs for each deliberate bug: `python -m tests.simulation.mutation_table [names]`."""

from __future__ import annotations

import sys

from tests.simulation.detection import Detection, print_table, search
from tests.simulation.mutations import MUTATIONS
from tests.simulation.run import simulate

SEEDS_MAX = 500
FAULTS_S = 20.0


def detect(name: str, seeds_max: int = SEEDS_MAX, *, first: int = 1, faults_s: float = FAULTS_S) -> Detection:
    """As `detection.search`."""
    return search(
        name,
        MUTATIONS[name],
        lambda seed: simulate(seed, faults_s=faults_s).violations,
        seeds_max=seeds_max,
        first=first,
    )


if __name__ == "__main__":
    sys.exit(print_table("python -m tests.simulation.mutation_table", MUTATIONS, detect, seeds_max=SEEDS_MAX))
