"""A few seeds of the whole cluster, and that a seed is a history. `make sim` runs as many as you give it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.run import Outcome, replay_command, simulate

SMOKE_SEEDS = range(1, 6)
SMOKE_FAULTS_S = 12.0


def _explain(outcome: Outcome) -> str:
    lines = "\n  ".join(outcome.violations)
    return (
        f"seed {outcome.seed}:\n  {lines}\nreplay: {replay_command(outcome.seed)} SECONDS_OF_FAULTS={SMOKE_FAULTS_S:g}"
    )


@pytest.mark.parametrize("seed", SMOKE_SEEDS)
def test_a_seed_breaks_nothing(seed: int) -> None:
    outcome = simulate(seed, faults_s=SMOKE_FAULTS_S)
    assert not outcome.violations, _explain(outcome)
    assert outcome.acknowledged


def test_without_faults_everything_is_acknowledged_and_read() -> None:
    outcome = simulate(1_000, faults_s=5.0, faults=("clock_jump",))
    assert not outcome.violations, _explain(outcome)
    assert outcome.unacknowledged == 0
    assert outcome.acknowledged > 50


def test_one_seed_is_one_history() -> None:
    """Under another hash seed and in another process, too."""
    here = simulate(5, faults_s=4.0)
    code = "from tests.simulation.run import simulate; print(simulate(5, faults_s=4.0).hash)"
    hashes = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    ]
    assert hashes == [str(here.hash)] * 2
