"""The simulator finds deliberate bugs. Here those that need few seeds; the table of all is in docs/verification.md."""

from __future__ import annotations

import pytest

from tests.simulation.mutation_table import detect
from tests.simulation.mutations import MUTATIONS

QUICK = (
    "skip_the_fsync",
    "truncate_to_the_watermark",
    "lead_for_ever",
    "acknowledge_before_the_isr",
    "accept_duplicates",
)
SEEDS_MAX = 60
"""Every commit has other histories: a bug that one seed in three shows must not be missed by chance. A bug found costs no more seeds."""


@pytest.mark.parametrize("name", QUICK)
def test_a_deliberate_bug_is_found(name: str) -> None:
    assert detect(name, seeds_max=SEEDS_MAX, faults_s=12.0).seeds is not None


def test_there_are_at_least_twenty() -> None:
    assert len(MUTATIONS) >= 20
