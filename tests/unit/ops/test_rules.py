"""The rules for Prometheus: sound, tested, and about metrics that exist."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.promql import metric_names, unknown_names

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "ops" / "prometheus"


def rules(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "rules" / f"{name}.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


RECORDED = {rule["record"]: rule for rule in rules("recording")}
ALERTS = {rule["alert"]: rule for rule in rules("alerts")}


def promtool(*arguments: str | Path) -> str:
    if (program := shutil.which("promtool")) is None:
        pytest.skip("promtool is missing (Debian: apt install --no-install-recommends prometheus)")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_finds_the_rules_sound() -> None:
    assert "FAILED" not in promtool("check", "rules", *sorted((PROMETHEUS / "rules").glob("*.yml")))
    assert "valid prometheus config file" in promtool("check", "config", PROMETHEUS / "prometheus.yml")


def test_the_tests_of_the_rules_pass() -> None:
    assert "FAILED" not in promtool("test", "rules", *sorted((PROMETHEUS / "tests").glob("*.yml")))


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_seen_firing_and_silent(alert: str) -> None:
    runbook = Path(ALERTS[alert]["annotations"]["runbook_url"])
    tests = yaml.safe_load((PROMETHEUS / "tests" / f"{runbook.stem}.yml").read_text())["tests"]
    wanted = f'count by (alertname) (ALERTS{{alertname="{alert}", alertstate="firing"}})'
    fired = [
        [bool(check["exp_samples"]) for check in test["promql_expr_test"] if check["expr"] == wanted] for test in tests
    ]
    assert any(any(checks) and not all(checks) for checks in fired), "there is no test in which it begins to fire"
    assert any(checks and not any(checks) for checks in fired), "there is no test in which it stays silent"


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_tells_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert alert.startswith("RaftKafka")
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["for"]


@pytest.mark.parametrize("name", [*RECORDED, *ALERTS])
def test_rules_are_about_metrics_that_exist(name: str) -> None:
    rule = RECORDED.get(name) or ALERTS[name]
    assert metric_names(rule["expr"]), "it is about nothing"
    assert not unknown_names(rule["expr"], RECORDED)


def test_names_are_found_in_expressions() -> None:
    expression = """
        histogram_quantile(0.99, sum by (le, api) (rate(a_bucket{api=~"x{2}|b_total"}[5m]))) / on (cluster) group_left (z)
        max without (job) (c:d:e5m offset 1h) > bool 3 and up == 1 unless time() - timestamp(f_seconds) > 1e3
    """
    assert metric_names(expression) == {"a_bucket", "c:d:e5m", "up", "f_seconds"}
    assert unknown_names("raftkafka_raft_term + raftkafka_raft_trem + raftkafka_log_sync_seconds") == {
        "raftkafka_raft_trem",
        "raftkafka_log_sync_seconds",
    }
