"""What a dashboard is made of, without Grafana's words for it.

Panels are laid out in the order in which they are listed, from left to right, a new line where the next one has no room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

COLUMNS: Final = 24
"""Of Grafana's grid."""

Unit = Literal["short", "none", "s", "bytes", "binBps", "percentunit", "cps", "reqps", "ops", "dateTimeFromNow", "bool"]
"""Grafana's ids: `s` seconds, `binBps` bytes a second, `cps` counts a second (records), `percentunit` a share of 1."""
Kind = Literal["timeseries", "stat", "table", "bargauge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From this value on, this colour."""

    value: float | None
    colour: str


def bad_from(value: float) -> tuple[Step, ...]:
    return (Step(value=None, colour="green"), Step(value=value, colour="red"))


def bad_below(value: float) -> tuple[Step, ...]:
    return (Step(value=None, colour="red"), Step(value=value, colour="green"))


def warn_and_bad_from(warn: float, bad: float) -> tuple[Step, ...]:
    return (Step(value=None, colour="green"), Step(value=warn, colour="orange"), Step(value=bad, colour="red"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """`queries` are expressions by their legends, in which `{{instance}}` stands for the label, as in Grafana.

    `description` says what is seen and what to do when it looks bad; `runbook` is the page that says more, without `.md`.

    `no_data` is what no data means, where a healthy cluster has none; Grafana shows it instead of an empty panel.
    """

    title: str
    unit: Unit
    queries: Mapping[str, str]
    description: str
    runbook: str
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    steps: tuple[Step, ...] = ()
    stacked: bool = False
    signed: bool = False
    maximum: float | None = None
    no_data: str | None = None


def stat(
    title: str,
    expr: str,
    description: str,
    runbook: str,
    *,
    unit: Unit = "short",
    steps: tuple[Step, ...] = (),
    width: int = 4,
    no_data: str | None = None,
) -> Panel:
    """One number, now."""
    return Panel(
        title=title,
        unit=unit,
        queries={title: expr},
        description=description,
        runbook=runbook,
        kind="stat",
        width=width,
        height=4,
        steps=steps,
        no_data=no_data,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What is chosen at the top: the values of `label` among the series of `metric`. Several, or all, where `several`."""

    name: str
    label: str
    metric: str
    several: bool = False


CLUSTER: Final = Variable(name="cluster", label="cluster", metric="raftkafka_build_info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """`uid` is in the address of the dashboard, and so stays what it is."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for row in self.rows for panel in row.panels)
