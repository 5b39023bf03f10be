"""Writes the dashboards: `python -m ops.grafana.generator` in the root of the repository.

`--runbooks URL` makes the panels lead to your copy of ops/runbooks, `--to DIRECTORY` leaves the committed files alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Final

from ops.grafana.generator import broker, cluster, consumer_lag, raft, topic
from ops.grafana.generator.model import Dashboard
from ops.grafana.generator.render import rendered

DASHBOARDS: Final[tuple[Dashboard, ...]] = (
    cluster.DASHBOARD,
    broker.DASHBOARD,
    topic.DASHBOARD,
    consumer_lag.DASHBOARD,
    raft.DASHBOARD,
)
DIRECTORY: Final = Path(__file__).parents[1] / "dashboards"
RUNBOOKS: Final = "ops/runbooks"
"""A path in this repository, as in the alerts: nobody but you knows where your copy is served."""


def files(runbooks: str = RUNBOOKS) -> dict[str, str]:
    """The text of each file by its name."""
    return {
        f"{dashboard.uid.removeprefix('raftkafka-')}.json": json.dumps(
            rendered(dashboard, runbooks=runbooks.rstrip("/")), indent=2, ensure_ascii=False
        )
        + "\n"
        for dashboard in DASHBOARDS
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ops.grafana.generator", description=__doc__)
    parser.add_argument("--runbooks", default=RUNBOOKS, help="address of the folder with the runbooks")
    parser.add_argument("--to", type=Path, default=DIRECTORY, help="where the files go")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    for name, text in files(options.runbooks).items():
        (options.to / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
