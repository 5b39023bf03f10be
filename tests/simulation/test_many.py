"""Many seeds: failures are told at once and counted, in whatever process they happen."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.simulation import many
from tests.simulation.many import Plan, run_many
from tests.simulation.run import Outcome

SOUND = Outcome(
    seed=0,
    violations=[],
    hash=7,
    story=[],
    faults={"kill": 2},
    acknowledged=10,
    unacknowledged=1,
    read=20,
    stranded=False,
    virtual_s=50.0,
    real_s=0.1,
)


def pretend(seed: int, **_: object) -> Outcome:
    if seed == 5:
        raise AssertionError("the world stands still")
    violations = ["I1: lost"] if seed == 3 else []
    return replace(SOUND, seed=seed, violations=violations)


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_report_counts_all_and_names_the_failed(tmp_path, capfd, monkeypatch, jobs):
    monkeypatch.setattr(many, "simulate", pretend)
    plan = Plan(seeds=range(1, 41), jobs=jobs, faults_s=12.0, faults=("kill", "cut"))
    path = tmp_path / "report.json"
    assert run_many(plan, report_to=path) == 1
    report = json.loads(path.read_text())
    assert report["seeds"] == 40
    assert report["records_acknowledged"] == 390
    assert report["records_read"] == 780
    assert report["virtual_seconds"] == 39 * 50
    assert report["faults_injected"] == {"kill": 78}
    assert [each["seed"] for each in report["failures"]] == [3, 5]
    assert report["failures"][0]["replay"] == "make sim SEED=3 SECONDS_OF_FAULTS=12 FAULTS=kill,cut"
    assert "the world stands still" in report["failures"][1]["violations"][0]
    told = capfd.readouterr().out
    assert "seed 3: 1 violations" in told
    assert "replay: make sim SEED=5" in told


def test_without_a_failure_the_exit_status_is_0(capfd, monkeypatch):
    monkeypatch.setattr(many, "simulate", pretend)
    assert run_many(Plan(seeds=range(10, 20))) == 0
    assert "10 seeds, 0 failed" in capfd.readouterr().out


def test_a_seed_that_never_ends_is_a_failure(monkeypatch):
    def spin(seed: int, **_: object) -> Outcome:
        while True:
            pass

    monkeypatch.setattr(many, "simulate", spin)
    monkeypatch.setattr(many, "REAL_S_MAX", 1)
    outcome = many._guarded(9)
    assert "more than 1 s" in outcome.violations[0]
