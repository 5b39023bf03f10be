"""A node that stops and starts again keeps what it had, and never shows what was deleted meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raftkafka.client import Admin, ApiError, Producer
from raftkafka.model.errors import ErrorCode
from raftkafka.storage.directory import CLEAN_SHUTDOWN_FILE

if TYPE_CHECKING:
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


async def produce(cluster: Cluster, topic: str, values: list[bytes]) -> None:
    async with Producer(cluster.bootstrap, acks="all") as producer:
        await (await producer.send_batch(topic, values, partition=0))


async def values_of(cluster: Cluster, topic: str) -> list[bytes | None]:
    return [value for _, value in (await cluster.read_all(topic))[0]]


async def test_a_clean_stop_keeps_everything(single: Cluster) -> None:
    values = [b"value %d" % number for number in range(5_000)]
    await single.create_topic("t")
    await produce(single, "t", values)
    [before] = (await single.topic("t")).partitions
    for _ in range(2):
        await single.stop()
        mark = single.place(1).directory / CLEAN_SHUTDOWN_FILE
        assert mark.exists()
        single.start()
        await single.ready()
        # Taken at the start: whatever happens from now on is not a clean stop until the next one.
        assert not mark.exists()
        assert await values_of(single, "t") == values
    [after] = (await single.topic("t")).partitions
    assert after.leader_epoch > before.leader_epoch
    await produce(single, "t", [b"more"])
    assert await values_of(single, "t") == [*values, b"more"]


async def test_kill_9_of_a_single_node(single: Cluster) -> None:
    await single.create_topic("t", partitions=2)
    async with single.load("t", 2) as load:
        for _ in range(3):
            await load.more(100)
            single.kill(1)
            assert not (single.place(1).directory / CLEAN_SHUTDOWN_FILE).exists()
            single.start()
            await single.ready()
            await load.assert_nothing_lost(single)
        await load.more(100)
        await load.end()
    await load.assert_nothing_lost(single)


async def test_a_clean_stop_moves_leaders_first(cluster: Cluster) -> None:
    """A rolling restart under load: no send fails, nothing is lost."""
    await cluster.create_topic("t", partitions=3)
    async with cluster.load("t", 3) as load:
        for node_id in cluster.node_ids:
            await load.more(100)
            await cluster.stop(node_id)
            assert node_id not in {int(each.leader_id) for each in (await cluster.topic("t")).partitions}
            await load.more(100)
            cluster.start(node_id)
            await cluster.ready()
            await cluster.wait_isr_full("t")
        await load.end()
    assert load.failures == []
    await load.assert_nothing_lost(cluster)
    await cluster.stop()
    cluster.assert_replicas_equal("t", 3)


@pytest.mark.parametrize("clean", [True, False], ids=["stopped", "killed"])
async def test_a_topic_made_anew_while_a_replica_was_away(cluster: Cluster, clean: bool) -> None:
    await cluster.create_topic("t")
    await produce(cluster, "t", [b"old %d" % number for number in range(1_000)])
    await cluster.wait_isr_full("t")
    [partition] = (await cluster.topic("t")).partitions
    away = next(node for node in cluster.node_ids if node != partition.leader_id)
    if clean:
        await cluster.stop(away)
    else:
        cluster.kill(away)
    async with Admin(cluster.bootstrap) as admin:
        await admin.delete_topics(["t"])
    others = [node for node in cluster.node_ids if node != away]
    if clean:
        # As in Kafka, a broker that has said goodbye gets no replicas until it is back.
        cluster.start(away)
    # One that just is not there takes part where there are too few others: it finds its old log where the new one belongs.
    await cluster.eventually(lambda: created(cluster), "the topic is created anew")
    new = [b"new %d" % number for number in range(10)]
    await produce(cluster, "t", new)
    if not clean:
        cluster.start(away)
    await cluster.ready()
    await cluster.wait_isr_full("t")
    # Whoever leads, the old records are not there: the replica that was away must lead now.
    for node in others:
        await cluster.stop(node)
        cluster.start(node)
        await cluster.ready()
        await cluster.wait_isr_full("t")
        assert await values_of(cluster, "t") == new
    await cluster.stop()
    cluster.assert_replicas_equal("t", 1)


async def test_a_topic_made_anew_without_the_replica(cluster: Cluster) -> None:
    await cluster.create_topic("t", replicas=2)
    await produce(cluster, "t", [b"old %d" % number for number in range(1_000)])
    [partition] = (await cluster.topic("t")).partitions
    away = next(int(node) for node in partition.replica_nodes if node != partition.leader_id)
    cluster.kill(away)
    async with Admin(cluster.bootstrap) as admin:
        await admin.delete_topics(["t"])
    # Two nodes are left and the new topic takes both: the one that is away will find a log that nobody wants.
    await cluster.eventually(lambda: created(cluster, replicas=2), "the topic is created anew")
    await cluster.has_leaders("t")
    new = [b"new %d" % number for number in range(10)]
    await produce(cluster, "t", new)
    cluster.start(away)
    await cluster.ready()
    assert await values_of(cluster, "t") == new
    old = cluster.partition_dir(away, "t")

    async def moved_away() -> bool:
        return not old.exists()

    await cluster.eventually(moved_away, "the old log is gone")
    assert await values_of(cluster, "t") == new


async def created(cluster: Cluster, *, replicas: int = 3) -> bool:
    """False while the nodes still know the old topic of that name, or too few brokers."""
    async with Admin(cluster.bootstrap) as admin:
        if "t" in await admin.list_topics():
            return False
        try:
            await admin.create_topic("t", num_partitions=1, replication_factor=replicas)
        except ApiError as error:
            if error.code is not ErrorCode.INVALID_REPLICATION_FACTOR:
                raise
            return False
    return True
