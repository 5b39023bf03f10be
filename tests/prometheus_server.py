"""The real Prometheus, scraping the nodes of a test cluster every second by the rules in ops/, with their times made short."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from raftkafka.cli.layout import HOST
from tests.clusters import PATIENCE_S, ROOT, eventually

RULES: Final = ROOT / "ops" / "prometheus" / "rules"
CONFIGURATION: Final = ROOT / "ops" / "prometheus" / "prometheus.yml"
FOR: Final = "2s"
_SHORT: Final = {"5m": "15s", "10m": "20s", "1h": "30s"}
"""Ranges; what is not named here has no business in a rule."""


def why_no_prometheus() -> str | None:
    if shutil.which("prometheus") is None:
        return "prometheus is missing (Debian: apt install --no-install-recommends prometheus)"
    return None


def shortened(rules: str) -> str:
    """The rules with what they wait for and look back on in seconds instead of minutes; nothing else changes."""
    rules = re.sub(r"\[(\w+)\]", lambda found: f"[{_SHORT[found[1]]}]", rules)
    return re.sub(r"(?m)^( +for:) \w+$", rf"\1 {FOR}", rules)


class Prometheus:
    """`targets` are the nodes' HTTP addresses; nothing runs until `start`, and `close` ends it."""

    def __init__(self, directory: Path, targets: Iterable[str], port: int) -> None:
        self._directory = directory
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "rules").mkdir(parents=True)
        for path in RULES.glob("*.yml"):
            (directory / "rules" / path.name).write_text(shortened(path.read_text()))
        configuration = yaml.safe_load(CONFIGURATION.read_text())
        configuration["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        (job,) = configuration["scrape_configs"]
        job["static_configs"][0]["targets"] = list(targets)
        (directory / "prometheus.yml").write_text(json.dumps(configuration))
        self.log = directory / "prometheus.log"

    async def start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self._directory}/prometheus.yml",
                    f"--storage.tsdb.path={self._directory}/data",
                    f"--web.listen-address={HOST}:{self._port}",
                    "--log.level=warn",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

        async def is_ready() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            try:
                await asyncio.to_thread(self._get, "/-/ready")
            except OSError:
                return False
            return True

        await eventually(is_ready, "Prometheus is ready")

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://{HOST}:{self._port}{path}", timeout=20) as answer:
            content: bytes = answer.read()
            return content

    async def _ask(self, path: str, **query: str) -> Any:
        target = f"/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            answer = json.loads(await asyncio.to_thread(self._get, target))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{target}: {error.read().decode(errors='replace')}") from error
        assert answer["status"] == "success", answer
        return answer["data"]

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The instant vector: labels and value of each sample."""
        found = (await self._ask("query", query=expression))["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    async def alerts(self) -> dict[str, list[dict[str, Any]]]:
        """What is pending or firing, by the alert's name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in (await self._ask("alerts"))["alerts"]:
            found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    async def firing(self) -> dict[str, list[dict[str, Any]]]:
        alerts = {
            name: [each for each in some if each["state"] == "firing"] for name, some in (await self.alerts()).items()
        }
        return {name: some for name, some in alerts.items() if some}

    async def unhealthy_rules(self) -> list[str]:
        groups = (await self._ask("rules"))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] == "err"]
