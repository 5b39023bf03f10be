"""Every command of the pages about alerts works, against three nodes, broken where the page says so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from raftkafka.client import Consumer, TopicPartition
from tests.cluster_fixtures import cluster, new_cluster, pytest_runtest_makereport
from tests.clusters import Cluster
from tests.prometheus_server import RULES
from tests.runbooks.pages import RUNBOOKS, Command, Runner, names, not_printed, steps

__all__ = ["cluster", "new_cluster", "pytest_runtest_makereport"]

PAGES = sorted(
    Path(rule["annotations"]["runbook_url"]).stem
    for group in yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
)
RUN = PAGES if os.environ.get("RAFTKAFKA_RUNBOOKS") == "all" else ["node-down"]
"""`make test-runbooks` runs them all: breaking and mending a cluster twelve times takes minutes."""
HEADINGS = ("## How to look", "## What to do", "## How to know it is over")


def page(name: str) -> str:
    return (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_every_alert_has_a_page_of_one_form(name: str) -> None:
    text = page(name)
    positions = [text.index(part) for part in ("# RaftKafka", "**It means:**", *HEADINGS)]
    assert positions == sorted(positions)
    commands = [step for step in steps(text) if isinstance(step, Command)]
    assert len(commands) >= 3
    assert f"]({name}.md)" in page("README")


@pytest.mark.integration
@pytest.mark.timeout(600)
async def test_every_command_works(cluster: Cluster, tmp_path: Path) -> None:
    for program in ("curl", "jq"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing")
    await prepare(cluster)
    for name in RUN:
        runner = Runner(cluster, tmp_path / name, lambda node_id: names(cluster, node_id))
        try:
            await runner.run(page(name))
        except AssertionError as error:
            raise AssertionError(f"{name}.md: {error}") from error
        await cluster.ready()
        await cluster.wait_isr_full("orders")


async def prepare(cluster: Cluster) -> None:
    """The topic and the group that the pages speak of, and a topic whose replicas are alone."""
    await cluster.create_topic("orders", partitions=3)
    await cluster.create_topic("single", partitions=3, replicas=1)
    async with cluster.load("orders", 3) as load:
        await load.more(50)
        await load.end()
    async with Consumer(cluster.bootstrap, group_id="billing", enable_auto_commit=False) as consumer:
        places: Any = [TopicPartition("orders", partition) for partition in range(3)]
        consumer.assign(places)
        await consumer.commit(dict.fromkeys(places, 20))


def test_what_is_printed_is_compared() -> None:
    assert not_printed(["a ... c", "d"], "x\na b c\nd\n") is None
    assert not_printed(["d", "a ... c"], "x\na b c\nd\n") == "a ... c"
    assert not_printed(["3  fenced"], "3     fenced") is None
    assert not_printed(["3 fenced"], "3 active") == "3 fenced"


def test_steps_of_a_page() -> None:
    text = "x\n<!-- test: kill 3 -->\n```console\n$ one \\\n> two\nout\n$ three   # exits with 7\n```\n```sh\n$ not ours\n```\n"
    kill, one, three = steps(text)
    assert kill.words == ("kill", "3")
    assert (one.text, one.prints, one.exit_code) == ("one \\\ntwo", ["out"], 0)
    assert three.exit_code == 7
