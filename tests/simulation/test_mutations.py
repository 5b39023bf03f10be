"""The simulator finds deliberate bugs. Here those that need few seeds; the table of all is in docs/verification.md."""

from __future__ import annotations

import pytest

from tests.simulation.mutation_table import detect
from tests.simulation.mutations import MUTATIONS

QUICK = {
    "skip_the_fsync": 7,
    "truncate_to_the_watermark": 3,
    "lead_for_ever": 1,
    "acknowledge_before_the_isr": 1,
    "accept_duplicates": 2,
}
"""With the seed to begin at, which showed the bug when this was written."""
SEEDS_MAX = 60
"""Every commit has other histories: a bug that one seed in three shows must not be missed by chance. A bug found costs no more seeds."""


@pytest.mark.parametrize(("name", "first"), QUICK.items())
def test_a_deliberate_bug_is_found(name: str, first: int) -> None:
    assert detect(name, seeds_max=SEEDS_MAX, first=first, faults_s=12.0).seeds is not None


def test_there_are_at_least_twenty() -> None:
    assert len(MUTATIONS) >= 20
