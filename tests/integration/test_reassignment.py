"""Partitions move between running brokers under load, and leaders come back after their broker was away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raftkafka.client import Admin, NewPartitions, TopicPartition
from tests.clusters import eventually

if TYPE_CHECKING:
    from tests.cluster_fixtures import ClusterFactory
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """No test here harms it."""
    return shared_cluster


FIRST = TopicPartition("t", 0)


async def moved(cluster: Cluster) -> bool:
    async with Admin(cluster.bootstrap) as admin:
        return not await admin.list_partition_reassignments()


async def test_a_partition_moves_under_load_and_leaves_nothing_behind(cluster: Cluster) -> None:
    await cluster.create_topic("t", replicas=2)
    async with cluster.load("t") as load:
        await load.more(100)
        for _ in range(3):
            [state] = (await cluster.topic("t")).partitions
            (other,) = set(cluster.node_ids) - {int(each) for each in state.replica_nodes}
            leader, follower = state.replica_nodes
            async with Admin(cluster.bootstrap) as admin:
                await admin.alter_partition_reassignments({FIRST: [other, follower]})
            await eventually(lambda: moved(cluster), "the move is complete")
            [state] = (await cluster.topic("t")).partitions
            assert list(state.replica_nodes) == [other, follower]
            assert set(state.isr_nodes) == {other, follower}
            assert state.leader_id in (other, follower)
            gone = cluster.partition_dir(int(leader), "t")

            async def is_gone(gone=gone) -> bool:
                return not gone.exists()

            await eventually(is_gone, "the log of the replica that left is deleted")
            await load.more(100)
        await load.end()
    await load.assert_nothing_lost(cluster)


async def test_more_replicas_more_partitions_and_back_again(cluster: Cluster) -> None:
    await cluster.create_topic("t", replicas=1, **{"min.insync.replicas": "1"})
    async with Admin(cluster.bootstrap) as admin, cluster.load("t") as load:
        await load.more(100)
        await admin.alter_partition_reassignments({FIRST: [1, 2, 3]})
        await admin.create_partitions([NewPartitions(name="t", count=4)])
        await eventually(lambda: moved(cluster), "all three are in sync")
        described = await cluster.topic("t")
        assert len(described.partitions) == 4
        assert set(described.partitions[0].isr_nodes) == {1, 2, 3}
        assert all(len(each.replica_nodes) == 3 for each in described.partitions[1:])
        await load.more(100)
        await admin.alter_partition_reassignments({FIRST: [2]})
        await eventually(lambda: moved(cluster), "one is left")
        assert list((await cluster.topic("t")).partitions[0].isr_nodes) == [2]
        await load.more(100)
        await load.end()
    await load.assert_nothing_lost(cluster)


async def test_leaders_return_by_themselves(new_cluster: ClusterFactory) -> None:
    cluster = new_cluster(3, {"leader.imbalance.check.interval.seconds": "1"})
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("t", partitions=6, replicas=3)
    preferred = [int(each.replica_nodes[0]) for each in (await cluster.topic("t")).partitions]
    assert sorted(preferred) == [1, 1, 2, 2, 3, 3]
    cluster.kill(2)

    async def leaders() -> list[int]:
        return [int(each.leader_id) for each in (await cluster.topic("t")).partitions]

    async def away() -> bool:
        return 2 not in await leaders()

    async def back() -> bool:
        return await leaders() == preferred

    await eventually(away, "others lead for node 2")
    cluster.start(2)
    await eventually(back, "node 2 leads again what it led before")
