"""Every command of the pages about planned work works, and what the cluster held before is there afterwards."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from raftkafka import __version__
from raftkafka.cli.layout import HOST
from raftkafka.client import Admin, ConfigResource, Consumer, ResourceType, TopicPartition
from tests.cluster_fixtures import ClusterFactory, new_cluster, pytest_runtest_makereport
from tests.clusters import ROOT, Cluster
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
    assert f'"{name}"' in Path(__file__).read_text(encoding="utf-8")


async def prepared(cluster: Cluster, *node_ids: int, **configs: str) -> None:
    """A cluster that is ready, with the topic that the pages speak of and a group that has read a part of it."""
    for program in ("curl", "jq"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing")
    cluster.start(*node_ids)
    await cluster.ready(*node_ids)
    await cluster.create_topic("orders", partitions=PARTITIONS, retention_ms="86400000", **configs)


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


async def are_equal_on_all_disks(cluster: Cluster) -> None:
    await cluster.wait_isr_full("orders")
    await cluster.stop()
    cluster.assert_replicas_equal("orders", PARTITIONS)


async def run(
    cluster: Cluster, tmp_path: Path, name: str, *, more: Mapping[str, str] = MappingProxyType({}), **options: Any
) -> None:
    """`more`: names that only this page has."""
    runner = Runner(cluster, tmp_path / name, lambda node_id: {**names(cluster, node_id), **more}, **options)
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


@takes_minutes
async def test_a_dead_node_is_replaced_while_records_come_in(new_cluster: ClusterFactory, tmp_path: Path) -> None:
    cluster = new_cluster(3, PROPERTIES)
    await prepared(cluster)
    async with cluster.load("orders", PARTITIONS) as load:
        await load.more(100)
        await run(cluster, tmp_path, "replace-a-dead-node")
        # The new disk has a vote that counts.
        cluster.kill(1)
        await load.more(20)
        cluster.start(1)
        await cluster.ready()
        await load.end()
    await load.assert_nothing_lost(cluster)
    await are_equal_on_all_disks(cluster)


@takes_minutes
async def test_a_cluster_grows_while_records_come_in(new_cluster: ClusterFactory, tmp_path: Path) -> None:
    cluster = new_cluster(5, PROPERTIES)
    voters = ",".join(f"{each}@{HOST}:{cluster.place(each).ports.raft}" for each in (1, 2, 3))
    for node_id in cluster.node_ids:
        cluster.configure(node_id, {"controller.quorum.voters": voters})
    for node_id in (4, 5):
        listener = f"CONTROLLER://{HOST}:{cluster.place(node_id).ports.raft}"
        cluster.configure(node_id, {"controller.listener": listener})
    await prepared(cluster, 1, 2, 3)
    async with cluster.load("orders", PARTITIONS) as load:
        await load.more(100)
        await run(cluster, tmp_path, "grow-from-3-to-5-voters")
        topic = await cluster.wait_isr_full("orders")
        assert {4, 5} <= {node for each in topic.partitions for node in each.replica_nodes}
        await load.more(20)
        await load.end()
    await load.assert_nothing_lost(cluster)
    # Two of five may go, those that were there from the beginning among them.
    cluster.kill(1, 2)

    async def goes_on() -> bool:
        return await cluster.controller() in {3, 4, 5}

    await cluster.eventually(goes_on, "the other three have a controller")
    async with Admin(cluster.bootstrap) as admin:
        await admin.create_topic("decided-by-three", num_partitions=1, replication_factor=3)


class VersionedCluster(Cluster):
    """Nodes run what `versions/bin` leads to when they are started, as those of `deploy/install.sh` do."""

    OLD = "0.1.0"
    NEW = "0.2.0"

    def __init__(self, directory: Path, nodes: int, properties: Mapping[str, str]) -> None:
        super().__init__(directory, nodes, properties)
        self.versions = directory / "opt" / "versions"
        for version in (self.OLD, self.NEW):
            (self.versions / version / "bin").mkdir(parents=True)
        (self.versions / self.OLD / "raftkafka").symlink_to(ROOT / "raftkafka")
        new = self.versions / self.NEW / "raftkafka"
        shutil.copytree(ROOT / "raftkafka", new, ignore=shutil.ignore_patterns("__pycache__"))
        replaced(new / "__init__.py", f'"{__version__}"', f'"{self.NEW}"')
        replaced(
            new / "model" / "features.py", "FeatureRange(lowest=1, highest=1)", "FeatureRange(lowest=1, highest=2)"
        )
        self.choose(self.OLD)

    @property
    def link(self) -> Path:
        return self.directory / "opt" / "bin"

    def choose(self, version: str) -> None:
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(f"versions/{version}/bin")

    def command_prefix(self, node_id: int) -> Sequence[str]:
        return ["env", "-C", str(self.link.resolve().parent)]

    def version(self, node_id: int) -> str:
        with urllib.request.urlopen(self.place(node_id).metrics_url, timeout=20) as answer:
            found = re.search(r'raftkafka_build_info{version="([^"]+)"} 1', answer.read().decode())
        assert found
        return found[1]


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@takes_minutes
async def test_another_version_and_back_while_records_come_in(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    cluster = VersionedCluster(tmp_path / "cluster", 3, PROPERTIES)
    request.addfinalizer(cluster.close)
    versions = {"OLD": __version__, "NEW": cluster.NEW}

    async def all_run(which: str) -> None:
        assert {cluster.version(each) for each in cluster.node_ids} == {versions[which]}

    async def upgrade_again() -> None:
        cluster.choose(cluster.NEW)
        for node_id in cluster.node_ids:
            await cluster.wait_isr_full("orders")
            await cluster.stop(node_id)
            cluster.start(node_id)
            await cluster.ready(node_id)
        await cluster.wait_isr_full("orders")

    async def old_does_not_start(node: str) -> None:
        node_id = int(node)
        await cluster.stop(node_id)
        cluster.choose(cluster.OLD)
        cluster.start(node_id)
        assert await cluster.exit_code(node_id) == 1
        assert "feature level 2" in cluster.last_words(node_id)
        cluster.choose(cluster.NEW)
        cluster.start(node_id)
        await cluster.ready(node_id)

    await prepared(cluster)
    async with cluster.load("orders", PARTITIONS) as load:
        await load.more(100)
        await run(
            cluster,
            tmp_path,
            "upgrade-and-rollback",
            steps={"all-run": all_run, "upgrade-again": upgrade_again, "old-does-not-start": old_does_not_start},
        )
        await load.more(20)
        await load.end()
    await load.assert_nothing_lost(cluster)
    await are_equal_on_all_disks(cluster)


@takes_minutes
async def test_files_of_another_cluster_keep_their_records_and_offsets(
    new_cluster: ClusterFactory, tmp_path: Path
) -> None:
    """The other cluster is one of ours: its segments are Kafka's format, and its tools have Kafka's names and output. It has
    what the move has to cope with: several epochs, producers with ids, segments, and a log that does not begin at 0."""
    old = new_cluster(1, {**PROPERTIES, "log.retention.check.interval.ms": "200"})
    await prepared(old, segment_bytes="20000", retention_bytes="60000")
    for _ in range(3):
        async with old.load("orders", PARTITIONS) as load:
            await load.more(400)
            await load.end()
        await old.stop(1)
        old.start(1)
        await old.ready()
    starts: dict[int, int] = {}

    async def has_deleted() -> bool:
        async with Consumer(old.bootstrap) as consumer:
            found = await consumer.beginning_offsets([TopicPartition("orders", each) for each in range(PARTITIONS)])
        starts.update({each.partition: offset for each, offset in found.items()})
        return all(starts.values())

    await old.eventually(has_deleted, "retention has deleted segments of every partition")
    # From here on nothing may go any more.
    await old.stop(1)
    old.configure(1, {"log.retention.check.interval.ms": "3600000"})
    old.start(1)
    await old.ready()
    assert await has_deleted()
    before = await read_from(old, starts)
    standing = max(starts.values()) + 10
    await commit(old, standing)

    async def stop_kafka() -> None:
        await old.stop(1)
        for partition, start in starts.items():
            first = min(int(each.stem) for each in old.partition_dir(1, "orders", partition).glob("*.log"))
            assert first == start, "the other cluster has deleted more meanwhile"

    cluster = new_cluster(3, PROPERTIES)
    cluster.start()
    await cluster.ready()
    place = old.place(1)
    kafka = {
        "KAFKA": str(place.directory),
        "KAFKA_PROPERTIES": str(place.properties),
        "KAFKA_SERVER": old.bootstrap,
    }
    await run(
        cluster,
        tmp_path,
        "move-from-kafka-and-zookeeper",
        more=kafka,
        steps={"stop-kafka": stop_kafka},
    )
    assert await read_from(cluster, starts) == before
    assert await committed(cluster) == {standing}
    # It goes on behind what was taken over, also with a producer id that the old cluster had given.
    async with cluster.load("orders", PARTITIONS) as load:
        await load.more(50)
        await load.end()
    after = await read_from(cluster, starts)
    for partition, entries in before.items():
        assert after[partition][: len(entries)] == entries
        assert after[partition][len(entries) :] == load.acked[partition]
    await are_equal_on_all_disks(cluster)


async def read_from(cluster: Cluster, starts: Mapping[int, int]) -> dict[int, list[tuple[int, bytes | None]]]:
    """Every record from these offsets on, per partition."""
    places = {TopicPartition("orders", partition): offset for partition, offset in starts.items()}
    found: dict[int, list[tuple[int, bytes | None]]] = {partition: [] for partition in starts}
    async with Consumer(cluster.bootstrap, auto_offset_reset="none") as consumer, asyncio.timeout(60):
        ends = await consumer.end_offsets(list(places))
        consumer.assign(places)
        for place, offset in places.items():
            consumer.seek(place, offset)
        while any(starts[each.partition] + len(found[each.partition]) < end for each, end in ends.items()):
            for values in await consumer.poll_values(1_000):
                found[values.topic_partition.partition] += enumerate(values.values, values.first_offset)
    return found
