"""Many seeds, on several processes: what failed is told at once, everything else is counted into one report.

A seed is a pure function of the commit, so the order in which processes take seeds changes nothing.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.simulation.run import FAULTS_S, Outcome, replay_command, report, simulate

SEEDS_PER_PROCESS = 16
"""A process keeps the garbage of its seeds, which costs less than to collect it, and ends after so many."""
REAL_S_MAX = 600
"""A seed that takes longer goes round in circles at one instant, or the host is very slow."""
TELL_EVERY = 50


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run; the names are those of `simulate`."""

    seeds: range
    jobs: int = 1
    faults_s: float = FAULTS_S
    faults: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Totals:
    """Of the outcomes so far."""

    seeds: int = 0
    virtual_s: float = 0.0
    cpu_s: float = 0.0
    acknowledged: int = 0
    unacknowledged: int = 0
    read: int = 0
    stranded: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.virtual_s += outcome.virtual_s
        self.cpu_s += outcome.real_s
        self.acknowledged += outcome.acknowledged
        self.unacknowledged += outcome.unacknowledged
        self.read += outcome.read
        self.stranded += outcome.stranded
        self.faults.update(outcome.faults)
        if outcome.violations:
            self.failures.append(outcome)


class TooLongError(KeyboardInterrupt):
    """No code under test catches this one."""


def run_many(plan: Plan, *, report_to: Path | None = None) -> int:
    """Run the seeds, tell of failures as they come; the exit status."""
    totals = Totals()
    began = time.perf_counter()
    for outcome in _outcomes(plan):
        totals.add(outcome)
        if outcome.violations:
            report(outcome, replay_of(plan, outcome.seed))
        if totals.seeds % TELL_EVERY == 0:
            print(
                f"... {totals.seeds} seeds, {len(totals.failures)} failed, "
                f"{totals.virtual_s / (time.perf_counter() - began):.1f} simulated seconds per second",
                flush=True,
            )
    real_s = time.perf_counter() - began
    _tell(totals, real_s)
    if report_to is not None:
        report_to.write_text(json.dumps(as_report(plan, totals, real_s), indent=2) + "\n")
    return 1 if totals.failures else 0


def replay_of(plan: Plan, seed: int) -> str:
    return replay_command(seed, faults_s=plan.faults_s, faults=plan.faults, without=plan.without)


def _outcomes(plan: Plan) -> Iterator[Outcome]:
    run = partial(_guarded, faults_s=plan.faults_s, faults=plan.faults, without=plan.without)
    context = multiprocessing.get_context("fork")
    with context.Pool(plan.jobs, initializer=gc.disable, maxtasksperchild=SEEDS_PER_PROCESS) as pool:
        yield from pool.imap_unordered(run, plan.seeds)


def _guarded(seed: int, **chosen: Any) -> Outcome:
    """A seed on which the simulator itself breaks is a failed seed, not the end of the others."""
    began = time.perf_counter()
    try:
        with _at_most(REAL_S_MAX):
            return simulate(seed, **chosen)
    except (Exception, TooLongError) as error:  # noqa: BLE001 - the report names it
        where = "".join(traceback.format_exception(error)[-4:])
        return Outcome(
            seed=seed,
            violations=[f"the simulator broke: {error!r}\n{where}"],
            hash=0,
            story=[],
            faults={},
            acknowledged=0,
            unacknowledged=0,
            read=0,
            stranded=False,
            virtual_s=0.0,
            real_s=time.perf_counter() - began,
        )


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def on_alarm(*_: object) -> None:
        raise TooLongError(f"more than {seconds} s of real time")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _tell(totals: Totals, real_s: float) -> None:
    print(f"{totals.seeds} seeds, {len(totals.failures)} failed: {sorted(each.seed for each in totals.failures)}")
    speed = totals.virtual_s / max(real_s, 1e-9)
    print(f"{totals.virtual_s:.0f} simulated seconds in {real_s:.0f} s ({speed:.1f} per second)")
    print(
        f"{totals.acknowledged} records acknowledged, {totals.read} read; faults: {dict(sorted(totals.faults.items()))}"
    )
    print(f"{totals.stranded} runs ended with a partition stranded on a damaged disk")
    sys.stdout.flush()


def as_report(plan: Plan, totals: Totals, real_s: float) -> dict[str, object]:
    return {
        "commit": commit(),
        "python": sys.version.split()[0],
        "first_seed": plan.seeds.start,
        "seeds": totals.seeds,
        "jobs": plan.jobs,
        "seconds_of_faults": plan.faults_s,
        "only_faults": plan.faults,
        "without_faults": [name for name in plan.without if name],
        "virtual_seconds": round(totals.virtual_s),
        "real_seconds": round(real_s),
        "virtual_per_process_second": round(totals.virtual_s / max(totals.cpu_s, 1e-9), 1),
        "records_acknowledged": totals.acknowledged,
        "records_not_acknowledged": totals.unacknowledged,
        "records_read": totals.read,
        "stranded_runs": totals.stranded,
        "faults_injected": dict(sorted(totals.faults.items())),
        "failures": [
            {"seed": each.seed, "violations": each.violations, "replay": replay_of(plan, each.seed)}
            for each in sorted(totals.failures, key=lambda each: each.seed)
        ],
    }


def commit() -> str:
    """The commit that is run, and whether the files differ from it."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        found = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=False)
        return found.stdout.strip() if found.returncode == 0 else ""

    head = git("rev-parse", "HEAD")
    if not head:
        return "unknown"
    return f"{head} with changes" if git("status", "--porcelain", "--untracked-files=no") else head
