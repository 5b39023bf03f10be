"""The program: limits first, then the scenarios, one JSON document on standard output; progress goes to standard error."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Final

import uvloop

from benchmarks import limits
from benchmarks.figures import Figure, rounded
from benchmarks.scenarios.plan import Plan
from raftkafka import __version__

SCENARIOS: Final = (
    "codec",
    "produce",
    "consume",
    "roundtrip",
    "latency",
    "memory",
    "failover",
    "metadata",
    "backlog",
    "watches",
    "scrape",
)


def main() -> int:
    """0 when every promised figure is met, 1 otherwise."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="raftkafka-bench-", dir=arguments.directory) as directory:
        measured: dict[str, float] = {}
        if not arguments.no_limits:
            _say("limits")
            measured = limits.measure(Path(directory), runs=arguments.runs, scale=min(1.0, arguments.scale))
        plan = Plan(runs=arguments.runs, scale=arguments.scale, directory=Path(directory), limits=measured)
        figures = []
        for name in arguments.only or SCENARIOS:
            _say(name)
            scenario: Callable[[Plan], Awaitable[list[Figure]]] = import_module(f"benchmarks.scenarios.{name}").run
            for figure in uvloop.run(scenario(plan)):
                figures.append(figure)
                _say(_line(figure))
    document = {
        "raftkafka": __version__,
        "machine": _machine(),
        "runs": arguments.runs,
        "scale": arguments.scale,
        "limits": {name: rounded(value) for name, value in measured.items()},
        "figures": [figure.as_json() for figure in figures],
    }
    print(json.dumps(document, indent=2))
    return 1 if any(figure.met is False for figure in figures) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement; the median counts")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1: a tenth of the records, to try things out")
    parser.add_argument(
        "--directory", help="where the nodes keep their files; default: the system's temporary directory"
    )
    parser.add_argument("--no-limits", action="store_true", help="do not measure the machine itself")
    return parser.parse_args()


def _machine() -> dict[str, object]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "uvloop": uvloop.__version__,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _line(figure: Figure) -> str:
    verdict = "" if figure.target is None else ", target met" if figure.met else f", TARGET MISSED ({figure.target:g})"
    return f"  {figure.name}: {rounded(figure.median):,g} {figure.unit}{verdict}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
