"""The dashboards for Grafana: as generated, sound, and about metrics and labels that a node has."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from ops.grafana.generator.__main__ import DASHBOARDS, files
from ops.grafana.generator.model import COLUMNS, Dashboard, Unit
from raftkafka.adapters.metric_table import METRICS
from raftkafka.model.api.keys import ApiKey
from tests.dashboards import OF_GRAFANA, VARIABLES, PanelQuery, panel_queries
from tests.promql import labels_of, metric_names, unknown_labels, unknown_names
from tests.unit.ops.test_rules import ALERTS, RECORDED, ROOT, promtool

GRAFANA = ROOT / "ops" / "grafana"
RUNBOOKS = ROOT / "ops" / "runbooks"
QUERIES = list(panel_queries())
RULES = {name: rule["expr"] for name, rule in RECORDED.items()}
MODELS: dict[str, Any] = {path.name: json.loads(path.read_text()) for path in sorted(GRAFANA.glob("dashboards/*.json"))}
EXAMPLES = {"cluster": "main", "node": "n1:9644", "topic": "orders", "group": "billing", "__rate_interval": "1m"}
UNSEEN = {"raftkafka_node_info"}
"""What is chosen among at the top of the broker's dashboard."""


def by_id(value: Dashboard | PanelQuery) -> str:
    return value.uid if isinstance(value, Dashboard) else str(value)


def panels(model: Any) -> list[Any]:
    return [panel for panel in model["panels"] if panel["type"] != "row"]


def test_the_files_are_what_the_generator_writes() -> None:
    written = {path.name: path.read_text() for path in GRAFANA.glob("dashboards/*")}
    assert written == files(), "run: python -m ops.grafana.generator"


@pytest.mark.parametrize("query", QUERIES, ids=by_id)
def test_queries_are_about_metrics_and_labels_that_exist(query: PanelQuery) -> None:
    expr = query.filled(EXAMPLES)
    assert metric_names(expr), "it is about nothing"
    assert not unknown_names(expr, RULES)
    assert not unknown_labels(expr, RULES)
    for names in re.findall(r'api=~?"([^"$]*)"', expr):
        assert set(names.split("|")) <= ApiKey.__members__.keys()
    known = frozenset.union(*[labels_of(name, RULES) for name in metric_names(expr)])
    assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= known


@pytest.mark.parametrize("query", QUERIES, ids=by_id)
def test_queries_look_at_what_is_chosen_and_nothing_else(query: PanelQuery) -> None:
    variables = {each.name: each for each in query.dashboard.variables}
    for name in VARIABLES.findall(query.expr):
        assert name in variables.keys() | OF_GRAFANA
    for label, operator, name in re.findall(r'(\w+)(=~|!=|!~|=)"\$(\w+)"', query.expr):
        assert label == variables[name].label
        # What may be several values is a regular expression.
        assert operator == ("=~" if variables[name].several else "=")
    # One Prometheus may watch several clusters.
    selectors = re.findall(r"([a-zA-Z_:][\w:]*)(\{[^{}]*\})?", re.sub(r'"[^"]*"', '""', query.expr))
    names = metric_names(query.filled(EXAMPLES))
    assert all("cluster=" in braces for name, braces in selectors if name in names)


def test_promtool_finds_the_queries_sound(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": each.filled(EXAMPLES)} for number, each in enumerate(QUERIES)]
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboards", "rules": rules}]}))
    assert f"{len(QUERIES)} rules found" in promtool("check", "rules", path)


def test_everything_that_a_node_tells_is_shown_somewhere() -> None:
    shown = {name for each in QUERIES for name in metric_names(each.filled(EXAMPLES))}
    shown |= {name for rule in [*RECORDED.values(), *ALERTS.values()] for name in metric_names(rule["expr"])}
    bases = {re.sub("_(bucket|count|sum)$", "", name) for name in shown}
    assert {metric.name for metric in METRICS} - bases == UNSEEN
    assert RULES.keys() <= shown, "a recording rule that nobody uses"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=by_id)
def test_variables_choose_among_series_that_exist(dashboard: Dashboard) -> None:
    names = [each.name for each in dashboard.variables]
    assert names[0] == "cluster"
    assert len(set(names)) == len(names)
    for variable in dashboard.variables:
        assert not unknown_names(variable.metric)
        assert variable.label in labels_of(variable.metric)
        assert any(
            variable.name in VARIABLES.findall(expr) for panel in dashboard.panels for expr in panel.queries.values()
        )


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=by_id)
def test_panels_say_what_to_do(dashboard: Dashboard) -> None:
    titles = [panel.title for panel in dashboard.panels]
    for panel in dashboard.panels:
        assert panel.unit in get_args(Unit)
        assert panel.description.endswith(".")
        assert len(panel.description) >= 40
        assert (RUNBOOKS / f"{panel.runbook}.md").exists(), f"{panel.title}: {panel.runbook}"
        assert panel.queries
    for row in dashboard.rows:
        assert len({panel.title for panel in row.panels}) == len(row.panels), titles


@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_one_that_grafana_reads(name: str) -> None:
    model = MODELS[name]
    assert model["id"] is None, "an id is given by the Grafana that loads it"
    assert re.fullmatch(r"[a-z0-9-]{1,40}", model["uid"])
    assert 36 <= model["schemaVersion"] <= 41
    variables = model["templating"]["list"]
    known = {each["name"] for each in variables}
    assert variables[0] == {**variables[0], "name": "datasource", "type": "datasource", "query": "prometheus"}
    # A variable asks with those in front of it.
    for number, variable in enumerate(variables):
        if variable["type"] == "query":
            earlier = {each["name"] for each in variables[:number]}
            assert set(VARIABLES.findall(variable["query"]["query"])) <= earlier
    for text in strings(model):
        assert set(VARIABLES.findall(text)) <= known | OF_GRAFANA, text
    data_source = {"type": "prometheus", "uid": "${datasource}"}
    (alerts,) = model["annotations"]["list"]
    assert alerts["enable"]
    assert not unknown_labels(VARIABLES.sub("x", alerts["expr"]))
    for panel in panels(model):
        assert panel["datasource"] == data_source
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGH"[: len(panel["targets"])])
        for target in panel["targets"]:
            assert target["datasource"] == data_source
            assert target["instant"] is not target["range"]


@pytest.mark.parametrize("name", MODELS)
def test_panels_have_a_place_of_their_own(name: str) -> None:
    everything = MODELS[name]["panels"]
    ids = [panel["id"] for panel in everything]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in everything]
    for place in places:
        assert place["w"] >= 1
        assert place["h"] >= 1
        assert 0 <= place["x"] <= COLUMNS - place["w"]
        assert place["y"] >= 0
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, f"{one} overlaps {other}"


def test_dashboards_are_told_apart() -> None:
    assert len(MODELS) == 5
    for key in ("uid", "title"):
        assert len({model[key] for model in MODELS.values()}) == len(MODELS)


def test_panels_lead_to_the_runbooks_that_are_asked_for() -> None:
    address = "https://git.example.com/runbooks"
    for text in files(address + "/").values():
        (constant,) = [each for each in json.loads(text)["templating"]["list"] if each["name"] == "runbooks"]
        assert constant["query"] == address
        assert all(panel["links"][0]["url"].startswith("${runbooks}/") for panel in panels(json.loads(text)))


def test_provisioning() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/raftkafka.yml").read_text())["datasources"]
    scrapes = yaml.safe_load((ROOT / "ops/prometheus/prometheus.yml").read_text())
    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == scrapes["global"]["scrape_interval"]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/raftkafka.yml").read_text())["providers"]
    assert provider["type"] == "file"
    readme = (GRAFANA / "README.md").read_text()
    assert f"install -D -m 644 -t {provider['options']['path']} dashboards/*.json" in readme
    assert all(f"`{name}`" in readme for name in MODELS)


def test_labels_are_found_in_expressions() -> None:
    assert not unknown_labels('sum by (api) (rate(raftkafka_request_duration_seconds_bucket{cluster="m", le="1"}[5m]))')
    assert unknown_labels('sum by (topic) (raftkafka_raft_term{peer=~"1|{2}", instance="x"})') == {
        "raftkafka_raft_term{peer}",
        "by topic",
    }
    assert labels_of("a:b:c", {"a:b:c": "sum by (cluster, le) (raftkafka_raft_term)"}) == {"cluster"}


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for child in children for text in strings(child)]
