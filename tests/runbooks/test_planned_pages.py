"""Every command of the pages about planned work works, and what the cluster held before is there afterwards."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from raftkafka.client import Admin, ConfigResource, Consumer, ResourceType, TopicPartition
from tests.cluster_fixtures import ClusterFactory, new_cluster, pytest_runtest_makereport
from tests.clusters import Cluster
from tests.runbooks.pages import RUNBOOKS, Command, Runner, names, steps
from tests.unit.ops.test_rules import rules

__all__ = ["new_cluster", "pytest_runtest_makereport"]

ALERTS = {Path(rule["annotations"]["runbook_url"]).stem for rule in rules("alerts")}
PLANNED = sorted({path.stem for path in RUNBOOKS.glob("*.md")} - ALERTS - {"README"})
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
takes_minutes = pytest.mark.skipif(os.environ.get("RAFTKAFKA_RUNBOOKS") != "all", reason="make test-runbooks runs it")

PARTITIONS = 3
PROPERTIES = {"offsets.topic.num.partitions": "3"}


@pytest.mark.parametrize("name", PLANNED)
def test_pages_have_one_form_and_a_test(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    positions = [text.index(part) for part in ("# ", "**What it is for:**", "**Never**", "## How to know it is over")]
    assert positions == sorted(positions)
    assert sum(isinstance(step, Command) for step in steps(text)) >= 3
    assert f"]({name}.md)" in (RUNBOOKS / "README.md").read_text(encoding="utf-8")
    assert f'tmp_path, "{name}"' in Path(__file__).read_text(encoding="utf-8")


async def prepared(cluster: Cluster) -> None:
    """A cluster that is ready, with the topic that the pages speak of and a group that has read a part of it."""
    for program in ("curl", "jq"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing")
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("orders", partitions=PARTITIONS, retention_ms="86400000")


async def commit(cluster: Cluster, offset: int) -> None:
    async with Consumer(cluster.bootstrap, group_id="billing", enable_auto_commit=False) as consumer:
        places = [TopicPartition("orders", partition) for partition in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.commit(dict.fromkeys(places, offset))


async def committed(cluster: Cluster) -> set[int]:
    async with Consumer(cluster.bootstrap, group_id="billing", enable_auto_commit=False) as consumer:
        places = [TopicPartition("orders", partition) for partition in range(PARTITIONS)]
        found = await consumer.committed(places)
        return {each.offset for each in found.values() if each is not None}


async def run(cluster: Cluster, tmp_path: Path, name: str, **options: Any) -> None:
    runner = Runner(cluster, tmp_path / name, lambda node_id: names(cluster, node_id), **options)
    try:
        await runner.run((RUNBOOKS / f"{name}.md").read_text(encoding="utf-8"))
    except AssertionError as error:
        raise AssertionError(f"{name}.md: {error}") from error


@takes_minutes
async def test_a_backup_made_under_writes_brings_back_what_was_acknowledged_before(
    new_cluster: ClusterFactory, tmp_path: Path
) -> None:
    cluster = new_cluster(3, PROPERTIES)
    await prepared(cluster)
    async with cluster.load("orders", PARTITIONS) as load:
        await load.more(200)
        await commit(cluster, 100)
        before = {partition: list(acks) for partition, acks in load.acked.items()}

        async def lose_everything() -> None:
            during = {partition: len(acks) for partition, acks in load.acked.items()}
            assert all(during[partition] > len(before[partition]) for partition in before), (
                "nothing was written meanwhile"
            )
            await load.end()
            cluster.kill(*cluster.node_ids)
            for place in cluster.places:
                shutil.rmtree(place.directory)

        await run(cluster, tmp_path, "backup-and-restore", steps={"lose-everything": lose_everything})
    after = await cluster.read_all("orders", PARTITIONS)
    for partition, acks in before.items():
        log = dict(after[partition])
        assert not [offset for offset, value in acks if log.get(offset) != value]
    assert await committed(cluster) == {100}
    topic = ConfigResource(ResourceType.TOPIC, "orders")
    async with Admin(cluster.bootstrap) as admin:
        configs = (await admin.describe_configs([topic]))[topic]
    assert ("retention.ms", "86400000") in [(each.name, each.value) for each in configs]
    # And it goes on: with all voters, and without any one of them.
    async with cluster.load("orders", PARTITIONS) as more:
        await more.more(20)
        cluster.kill(3)
        await more.more(20)
        await more.end()
