"""Log directories that disappear under a running node: it goes on with the others, and ends without Raft's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from raftkafka.cli.layout import HOST
from tests.removing import remove_in_use

if TYPE_CHECKING:
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


def metrics(cluster: Cluster, node_id: int) -> dict[str, float]:
    with urlopen(f"http://{HOST}:{cluster.place(node_id).ports.http}/metrics", timeout=20) as answer:
        lines = str(answer.read(), "utf-8").splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def second_directory(cluster: Cluster, node_id: int) -> Path:
    directory = cluster.place(node_id).directory
    return directory.with_name(directory.name + "-b")


def partitions_in(directory: Path) -> set[int]:
    return {int(path.name.rpartition("-")[2]) for path in directory.glob("t-*")}


async def test_a_node_goes_on_without_one_of_its_log_directories(cluster: Cluster) -> None:
    gone = second_directory(cluster, 1)
    await cluster.stop(1)
    cluster.configure(1, {"log.dirs": f"{cluster.place(1).directory},{gone}"})
    cluster.start(1)
    await cluster.ready()
    await cluster.create_topic("t", partitions=4)
    async with cluster.load("t", 4) as load:
        await load.more()
        await cluster.wait_isr_full("t")
        lost = partitions_in(gone)
        assert lost
        assert partitions_in(cluster.place(1).directory) == {0, 1, 2, 3} - lost != set()
        remove_in_use(gone)

        async def left_the_isr() -> bool:
            topic = await cluster.topic("t")
            return {each.partition for each in topic.partitions if 1 not in each.isr_nodes} == lost

        await cluster.eventually(left_the_isr, "the replicas in the lost directory are in no ISR, the others in all")
        await load.more()
        await load.end()
    await load.assert_nothing_lost(cluster)

    # Somebody makes it anew: nothing is put there before the node has been started again.
    gone.mkdir()
    await cluster.create_topic("more", partitions=3)
    await cluster.wait_isr_full("more")
    assert list(gone.iterdir()) == []
    told = await asyncio.to_thread(metrics, cluster, 1)
    assert told["raftkafka_offline_log_directories"] == 1
    assert told["raftkafka_offline_replicas"] == len(lost)
    await cluster.stop(1)
    cluster.start(1)
    await cluster.wait_isr_full("t")
    assert partitions_in(cluster.place(1).directory) | partitions_in(gone) == {0, 1, 2, 3}


async def test_a_node_ends_when_the_directory_of_its_raft_files_is_gone(single: Cluster) -> None:
    """Nobody writes: it must not keep a vote, or lead, with a disk that has forgotten everything by its next start."""
    await single.create_topic("t")
    remove_in_use(single.place(1).directory / "__cluster_metadata")
    assert await single.exit_code(1) == 1
    assert "__cluster_metadata" in single.node_log(1).splitlines()[-1]
    assert "is gone" in single.node_log(1).splitlines()[-1]
