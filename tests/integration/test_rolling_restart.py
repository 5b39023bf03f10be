"""Every node is restarted in turn while clients go on: no produce fails, nothing is lost, and readers notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from raftkafka.client import Consumer, TopicPartition

if TYPE_CHECKING:
    from tests.clusters import Cluster, ClusterFactory

pytestmark = pytest.mark.integration

PARTITIONS = 6
PROPERTIES = {
    "min.insync.replicas": "2",
    "replica.selector.class": "RackAwareReplicaSelector",
    "leader.imbalance.check.interval.seconds": "1",
}


class Reader:
    """Reads every partition from its beginning on; whatever is not the next record, or any error, is noted."""

    def __init__(self, bootstrap: str, topic: str, **settings: object) -> None:
        self.problems: list[str] = []
        self.next = {TopicPartition(topic, number): 0 for number in range(PARTITIONS)}
        self._consumer = Consumer(bootstrap, auto_offset_reset="none", **settings)  # type: ignore[arg-type]
        self._watermarks = dict.fromkeys(self.next, 0)

    async def read(self) -> None:
        async with self._consumer as consumer:
            consumer.assign(self.next)
            consumer.seek_to_beginning()
            while True:
                for partition, records in (await consumer.poll(500)).items():
                    for record in records:
                        if record.offset != self.next[partition]:
                            self.problems.append(f"{partition}: offset {record.offset}, not {self.next[partition]}")
                        self.next[partition] = record.offset + 1
                for partition, before in self._watermarks.items():
                    now = consumer.high_watermark(partition) or 0
                    if now < before:
                        self.problems.append(f"{partition}: the watermark went back from {before} to {now}")
                    self._watermarks[partition] = now

    async def reached(self, ends: dict[int, int]) -> bool:
        return all(self.next[each] >= ends[each.partition] for each in self.next)


@contextlib.asynccontextmanager
async def reading(*readers: Reader) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(reader.read()) for reader in readers]
    try:
        yield
        for task in tasks:
            assert not task.done(), task.exception()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def leads_what_it_should(cluster: Cluster) -> bool:
    return all(each.leader_id == each.replica_nodes[0] for each in (await cluster.topic("t")).partitions)


async def test_three_nodes_are_restarted_in_turn_under_load(new_cluster: ClusterFactory) -> None:
    cluster: Cluster = new_cluster(3, PROPERTIES)
    for node in cluster.node_ids:
        cluster.configure(node, {"broker.rack": f"rack{node}"})
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("t", partitions=PARTITIONS)
    readers = [
        Reader(cluster.bootstrap, "t"),
        *(Reader(cluster.bootstrap, "t", client_rack=f"rack{n}") for n in (1, 2)),
    ]
    async with cluster.load("t", PARTITIONS) as load, reading(*readers):
        await load.more(100)
        for node in cluster.node_ids:
            await cluster.stop(node)
            await load.more(100)  # in every partition: the others lead what it led
            cluster.start(node)
            await cluster.ready()
            await cluster.wait_isr_full("t")
            await cluster.eventually(lambda: leads_what_it_should(cluster), "the leaderships are back")
            await load.more(100)
        await load.end()
        ends = {partition: acks[-1][0] + 1 for partition, acks in load.acked.items()}

        for reader in readers:
            await cluster.eventually(lambda reader=reader: reader.reached(ends), "the readers are at the end")
    assert load.failures == []
    assert [reader.problems for reader in readers] == [[], [], []]
    await load.assert_nothing_lost(cluster)
    found = await cluster.read_all("t", PARTITIONS)
    values = [value for entries in found.values() for _, value in entries]
    # Whatever was under way when a leadership moved was sent again, by an idempotent producer (I8).
    assert len(values) == len(set(values))
    await cluster.stop()
    cluster.assert_replicas_equal("t", PARTITIONS)
