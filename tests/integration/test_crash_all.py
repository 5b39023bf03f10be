"""`kill -9` of every node at the same time, under load, twice: what was acknowledged with acks=all comes back."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration

ORDERS = list(itertools.permutations((1, 2, 3)))


@pytest.mark.parametrize("rounds", [ORDERS[:2], ORDERS[2:4], ORDERS[4:]], ids=["one_first", "two_first", "three_first"])
async def test_all_nodes_crash(cluster: Cluster, rounds: list[tuple[int, int, int]]) -> None:
    await cluster.create_topic("t", partitions=3)
    async with cluster.load("t", 3) as load:
        for order in rounds:
            await load.more()
            cluster.kill(*cluster.node_ids)
            first, second, late = order
            cluster.start(first)
            await cluster.logged(first, "listens on")
            cluster.start(second)
            # Two of three are a majority: the cluster goes on without waiting for the last one.
            await cluster.ready(first, second)
            await load.more(50)
            cluster.start(late)
            await cluster.ready()
            await load.assert_nothing_lost(cluster)
        await cluster.wait_isr_full("t")
        await load.more(50)
        await load.end()
    await load.assert_nothing_lost(cluster)
    await cluster.stop()
    cluster.assert_replicas_equal("t", 3)


async def test_topics_survive_a_crash_of_all(cluster: Cluster) -> None:
    for number in range(5):
        await cluster.create_topic(f"t{number}", partitions=number + 1, retention_ms="3600000")
    before = [await cluster.topic(f"t{number}") for number in range(5)]
    cluster.kill(*cluster.node_ids)
    cluster.start()
    await cluster.ready()
    for was in before:
        topic = await cluster.has_leaders(was.name)
        assert topic.topic_id == was.topic_id
        assert [sorted(each.replica_nodes) for each in topic.partitions] == [
            sorted(each.replica_nodes) for each in was.partitions
        ]
