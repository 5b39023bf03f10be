"""`rk config` against real nodes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


async def test_configs_and_quotas_are_set_shown_and_deleted(single):
    await single.create_topic("t")

    def rk(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "raftkafka.cli.main", "config", *arguments, "--bootstrap-server", single.bootstrap],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    assert rk("describe", "--topic", "t").stdout.split()[3:] == ["min.insync.replicas", "1", "file"]
    assert len(rk("describe", "--topic", "t", "--all").stdout.splitlines()) > 20
    assert rk(
        "set", "retention.ms=5000", "cleanup.policy+=compact", "--topic", "t", "--validate-only"
    ).stdout.startswith("Could be: Set retention.ms=5000")
    rk("set", "retention.ms=5000", "cleanup.policy+=compact", "--topic", "t")
    lines = rk("describe", "--topic", "t").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["CONFIG", "VALUE", "FROM"],
        ["cleanup.policy", "delete,compact", "topic"],
        ["min.insync.replicas", "1", "file"],
        ["retention.ms", "5000", "topic"],
    ]
    rk("set", "log.retention.ms=6000", "--all-brokers")
    found = json.loads(rk("describe", "--broker", "1", "--json").stdout)
    (config,) = [each for each in found["configs"] if each["name"] == "log.retention.ms"]
    assert (config["value"], config["source"], config["read_only"]) == ("6000", "all brokers", False)
    assert "broker.id" in {each["name"] for each in found["configs"]}
    rk("delete", "retention.ms", "--topic", "t")
    assert "all brokers" in rk("describe", "--topic", "t").stdout
    bad = rk("set", "retention.ms=soon", "--topic", "t", code=1)
    assert bad.stderr.startswith("rk: INVALID_CONFIG: Invalid value 'soon' for configuration retention.ms")
    assert "listeners" in rk("set", "listeners=x", "--broker", "1", code=1).stderr

    rk("set", "producer_byte_rate=1000000", "request_percentage=50", "--client-id", "app")
    lines = rk("describe").stdout.splitlines()
    assert lines[1].split() == ["client-id", "app", "producer_byte_rate", "1000000"]
    assert "not enforced" in lines[2]
    rk("delete", "producer_byte_rate", "request_percentage", "--client-id", "app")
    assert rk("describe", "--client-id", "app").stdout == "There are no such quotas.\n"
