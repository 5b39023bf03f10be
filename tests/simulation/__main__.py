"""`python -m tests.simulation --seed 7` tells the story of one seed; `--seeds 100 --first 1000 --jobs 2` runs many."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.simulation.many import Plan, replay_of, run_many
from tests.simulation.run import FAULTS_S, report, simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seed", type=int, help="run this one and tell its story")
    parser.add_argument("--seeds", type=int, default=20, help="how many to run")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes that run seeds")
    parser.add_argument("--seconds", type=float, default=FAULTS_S, help="of faults, in simulated time")
    parser.add_argument("--faults", help="these only, separated by commas")
    parser.add_argument("--without", default="", help="not these faults, separated by commas")
    parser.add_argument("--story", type=Path, help="write the story of --seed to this file")
    parser.add_argument("--report", type=Path, help="write what many seeds gave to this file, as JSON")
    options = parser.parse_args()
    plan = Plan(
        seeds=range(options.first, options.first + options.seeds),
        jobs=options.jobs,
        faults_s=options.seconds,
        faults=tuple(options.faults.split(",")) if options.faults else None,
        without=tuple(name for name in options.without.split(",") if name),
    )
    if options.seed is None:
        return run_many(plan, report_to=options.report)
    outcome = simulate(options.seed, readable=True, faults_s=plan.faults_s, faults=plan.faults, without=plan.without)
    if options.story is not None:
        options.story.write_text("\n".join(outcome.story) + "\n")
    else:
        print("\n".join(outcome.story))
    report(outcome, replay_of(plan, outcome.seed))
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
