"""The queries of the dashboards as Prometheus gets them from Grafana: with their variables filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ops.grafana.generator.__main__ import DASHBOARDS
from ops.grafana.generator.model import Dashboard, Panel

VARIABLES: Final = re.compile(r"\$\{?(\w+)\}?")
OF_GRAFANA: Final = frozenset({"__rate_interval", "__all"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelQuery:
    dashboard: Dashboard
    panel: Panel
    legend: str
    expr: str

    def __str__(self) -> str:
        return f"{self.dashboard.uid}: {self.panel.title}: {self.legend}"

    def filled(self, values: Mapping[str, str]) -> str:
        return VARIABLES.sub(lambda found: values[found[1]], self.expr)


def panel_queries() -> Iterator[PanelQuery]:
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for legend, expr in panel.queries.items():
                yield PanelQuery(dashboard=dashboard, panel=panel, legend=legend, expr=expr)
