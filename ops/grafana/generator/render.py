"""A dashboard in Grafana's JSON model, as Grafana 10 and later read it."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Any, Final

from ops.grafana.generator.model import COLUMNS, Dashboard, Panel, Step, Variable

SCHEMA_VERSION: Final = 39
"""Of Grafana 10.4; later ones migrate it when they load it."""
TAG: Final = "raftkafka"
_DATA_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_ALERTS: Final = 'ALERTS{alertname=~"RaftKafka.+", alertstate="firing", cluster="$cluster"}'

Json = dict[str, Any]


def rendered(dashboard: Dashboard, *, runbooks: str) -> Json:
    """`runbooks` is the address of the pages in ops/runbooks, as a browser reaches it."""
    return {
        "annotations": {"list": [_alerts()]},
        "description": dashboard.description,
        "editable": True,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": [_to_the_others()],
        "panels": list(_panels(dashboard)),
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": [TAG],
        "templating": {"list": [*_data_source(), *map(_variable, dashboard.variables), _runbooks(runbooks)]},
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": dashboard.title,
        "uid": dashboard.uid,
        "version": 1,
        "weekStart": "",
    }


def _alerts() -> Json:
    """A mark in every panel while an alert fires."""
    return {
        "datasource": _DATA_SOURCE,
        "enable": True,
        "expr": _ALERTS,
        "hide": False,
        "iconColor": "red",
        "name": "Alerts",
        "step": "30s",
        "tagKeys": "severity",
        "textFormat": "{{instance}} {{group}} {{topic}}",
        "titleFormat": "{{alertname}}",
        "useValueForTime": False,
    }


def _to_the_others() -> Json:
    return {
        "asDropdown": False,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "tags": [TAG],
        "targetBlank": False,
        "title": "",
        "tooltip": "",
        "type": "dashboards",
        "url": "",
    }


def _data_source() -> Iterator[Json]:
    yield {
        "current": {},
        "hide": 0,
        "includeAll": False,
        "label": "Prometheus",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
        "type": "datasource",
    }


def _variable(variable: Variable) -> Json:
    scope = "" if variable.name == "cluster" else '{cluster="$cluster"}'
    query = f"label_values({variable.metric}{scope}, {variable.label})"
    everything: Json = {"allValue": ".+", "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}
    return {
        **(everything if variable.several else {"current": {}}),
        "datasource": _DATA_SOURCE,
        "definition": query,
        "hide": 0,
        "includeAll": variable.several,
        "label": variable.name,
        "multi": variable.several,
        "name": variable.name,
        "options": [],
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,  # with the time range: what was deleted is gone, what is new is there
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
        "type": "query",
    }


def _runbooks(address: str) -> Json:
    return {"hide": 2, "name": "runbooks", "query": address, "skipUrlSync": True, "type": "constant"}


def _panels(dashboard: Dashboard) -> Iterator[Json]:
    y = number = 0
    for row in dashboard.rows:
        number += 1
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
        yield {"collapsed": False, "gridPos": place, "id": number, "panels": [], "title": row.title, "type": "row"}
        y += 1
        x = line = 0
        for panel in row.panels:
            number += 1
            if x + panel.width > COLUMNS:
                x, y, line = 0, y + line, 0
            yield _panel(panel, number, {"h": panel.height, "w": panel.width, "x": x, "y": y})
            x += panel.width
            line = max(line, panel.height)
        y += line


def _panel(panel: Panel, number: int, place: Json) -> Json:
    page = f"{panel.runbook}.md"
    return {
        "datasource": _DATA_SOURCE,
        "description": f"{panel.description}\n\n[Runbook: {page}](${{runbooks}}/{page})",
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "gridPos": place,
        "id": number,
        "links": [{"targetBlank": True, "title": f"Runbook: {page}", "url": f"${{runbooks}}/{page}"}],
        "options": _options(panel),
        "targets": [
            {
                "datasource": _DATA_SOURCE,
                "editorMode": "code",
                "expr": expr,
                "format": "table" if panel.kind == "table" else "time_series",
                "instant": panel.kind != "timeseries",
                "legendFormat": legend,
                "range": panel.kind == "timeseries",
                "refId": letter,
            }
            for letter, (legend, expr) in zip(string.ascii_uppercase, panel.queries.items(), strict=False)
        ],
        "title": panel.title,
        **({"transformations": _TABLE} if panel.kind == "table" else {}),
        "type": panel.kind,
    }


_TABLE: Final = [{"id": "organize", "options": {"excludeByName": {"Time": True, "cluster": True}}}]


def _defaults(panel: Panel) -> Json:
    defaults: Json = {
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "mappings": [],
        "thresholds": {"mode": "absolute", "steps": [_step(each) for each in panel.steps or _NO_STEPS]},
        "unit": panel.unit,
    }
    if panel.no_data is not None:
        defaults["noValue"] = panel.no_data
    if panel.maximum is not None:
        defaults["max"] = panel.maximum
    if panel.kind == "timeseries":
        if not panel.signed:
            defaults["min"] = 0
        defaults["custom"] = {
            "fillOpacity": 30 if panel.stacked else 10,
            "lineWidth": 1,
            "showPoints": "never",
            "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
        }
    return defaults


_NO_STEPS: Final = (Step(value=None, colour="blue"),)


def _step(step: Step) -> Json:
    return {"color": step.colour, "value": step.value}


def _options(panel: Panel) -> Json:
    reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel.kind:
        case "stat":
            return {
                "colorMode": "value",
                "graphMode": "none",
                "justifyMode": "auto",
                "orientation": "auto",
                "reduceOptions": reduced,
                "textMode": "auto",
            }
        case "bargauge":
            return {
                "displayMode": "basic",
                "minVizHeight": 10,
                "orientation": "horizontal",
                "reduceOptions": reduced,
                "showUnfilled": True,
                "valueMode": "color",
            }
        case "table":
            return {"cellHeight": "sm", "showHeader": True}
        case "timeseries":
            return {
                "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom"},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
