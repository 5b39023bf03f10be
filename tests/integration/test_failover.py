"""Nodes die or stall while a producer with acks=all goes on: nothing acknowledged is lost, changed or reordered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


async def leaders(cluster: Cluster, topic: str) -> dict[int, int]:
    """Partition -> node that leads it."""
    return {int(each.partition): int(each.leader_id) for each in (await cluster.topic(topic)).partitions}


@pytest.mark.parametrize("role", ["leader", "leader and controller"])
async def test_a_leader_is_killed_under_load(cluster: Cluster, role: str) -> None:
    await cluster.create_topic("t", partitions=3)
    controller = await cluster.controller()
    # Three partitions on three nodes: everybody leads one.
    victim = controller if role == "leader and controller" else controller % 3 + 1
    assert victim in (await leaders(cluster, "t")).values()
    async with cluster.load("t", 3) as load:
        await load.more()
        cluster.kill(victim)
        await load.more()  # in every partition, so those that it led have other leaders now
        assert victim not in (await leaders(cluster, "t")).values()
        cluster.start(victim)
        await cluster.ready()
        await cluster.wait_isr_full("t")
        await load.more()
        await load.end()
    assert load.failures == []
    await load.assert_nothing_lost(cluster)
    await cluster.stop()
    cluster.assert_replicas_equal("t", 3)


async def test_every_node_is_killed_in_turn(cluster: Cluster) -> None:
    await cluster.create_topic("t", partitions=3)
    async with cluster.load("t", 3) as load:
        for victim in (1, 2, 3):
            await load.more(100)
            cluster.kill(victim)
            await load.more(100)
            cluster.start(victim)
            await cluster.ready()
            await cluster.wait_isr_full("t")
        await load.end()
    assert load.failures == []
    await load.assert_nothing_lost(cluster)
    await cluster.stop()
    cluster.assert_replicas_equal("t", 3)


async def test_a_leader_stalls_and_what_it_has_not_read_makes_no_copies(cluster: Cluster) -> None:
    """Its sockets are full of requests that the producer has sent again elsewhere by the time it wakes."""
    await cluster.create_topic("t", partitions=3)
    controller = await cluster.controller()
    victim = controller % 3 + 1
    async with cluster.load("t", 3) as load:
        for _ in range(2):
            await load.more()
            cluster.pause(victim)
            await load.more()
            assert victim not in (await leaders(cluster, "t")).values()
            cluster.resume(victim)
            await cluster.wait_isr_full("t")
            victim = (await leaders(cluster, "t"))[0]
        await load.more()
        await load.end()
    assert load.failures == []
    await load.assert_nothing_lost(cluster)
    await cluster.stop()
    cluster.assert_replicas_equal("t", 3)


async def test_a_follower_stalls_and_goes_on(cluster: Cluster) -> None:
    await cluster.create_topic("t")
    [partition] = (await cluster.topic("t")).partitions
    controller = await cluster.controller()
    follower = next(int(each) for each in partition.replica_nodes if each not in (partition.leader_id, controller))

    async def left_the_isr() -> bool:
        return follower not in (await cluster.topic("t")).partitions[0].isr_nodes

    async with cluster.load("t") as load:
        await load.more()
        cluster.pause(follower)
        await cluster.eventually(left_the_isr, f"node {follower} is out of the ISR")
        await load.more()
        cluster.resume(follower)
        await cluster.wait_isr_full("t")
        await load.more()
        await load.end()
    assert load.failures == []
    await load.assert_nothing_lost(cluster)
    await cluster.stop()
    cluster.assert_replicas_equal("t", 1)


async def test_a_stalled_leader_acknowledges_nothing_when_it_wakes(cluster: Cluster) -> None:
    await cluster.create_topic("t")
    [partition] = (await cluster.topic("t")).partitions
    old = int(partition.leader_id)

    async def another_leads() -> bool:
        return (await leaders(cluster, "t"))[0] not in (old, -1)

    async with cluster.load("t") as load:
        await load.more()
        cluster.pause(old)
        await cluster.eventually(another_leads, f"another node than {old} leads")
        await load.more()
        cluster.resume(old)
        await cluster.wait_isr_full("t")
        await load.more()
        await load.end()
    await load.assert_nothing_lost(cluster)
    await cluster.stop()
    cluster.assert_replicas_equal("t", 1)


async def test_too_few_in_sync_replicas_acknowledge_nothing(cluster: Cluster) -> None:
    await cluster.create_topic("t")
    [partition] = (await cluster.topic("t")).partitions
    async with cluster.load("t") as load:
        await load.more()
        # The one that is left has no majority of the voters, and no second in-sync replica.
        victims = [int(each) for each in partition.replica_nodes if each != partition.leader_id]
        cluster.kill(*victims)
        seen = load.count
        cluster.start(*victims)
        await cluster.ready()
        await cluster.wait_isr_full("t")
        await load.more()
        await load.end()
    assert seen < load.count
    await load.assert_nothing_lost(cluster)
    await cluster.stop()
    cluster.assert_replicas_equal("t", 1)
