"""Rows of docs/requirements.md that no other test shows: one small test each, named after its row."""

from __future__ import annotations

import asyncio
import random
import re

import pytest

from raftkafka.client import Admin, ApiError, Consumer, NewPartitions, Producer, TopicPartition
from raftkafka.model.api.offsets import EARLIEST, LATEST
from raftkafka.testing import Cluster

PATIENCE_S = 60
MAX_TIMESTAMP = -3


async def read_all(cluster: Cluster, topic: str, partition: int = 0) -> list[tuple[int, int, bytes | None]]:
    """(offset, timestamp, value) of everything that is there, by a consumer of its own."""
    place = TopicPartition(topic, partition)
    found: list[tuple[int, int, bytes | None]] = []
    async with Consumer(cluster.bootstrap) as consumer, asyncio.timeout(PATIENCE_S):
        end = (await consumer.end_offsets([place]))[place]
        consumer.assign([place])
        consumer.seek_to_beginning()
        while await consumer.position(place) < end:
            for records in (await consumer.poll(1_000)).values():
                found += [(record.offset, record.timestamp_ms, record.value) for record in records]
    return found


async def test_B3_B7_every_subscriber_reads_all_records_in_the_order_of_their_acknowledgements() -> None:
    async with Cluster(topics=["t"]) as cluster:
        async with Producer(cluster.bootstrap) as producer:
            acked = [(await producer.send_and_wait("t", b"%d" % number)).offset for number in range(50)]
        readers = await asyncio.gather(*[read_all(cluster, "t") for _ in range(4)])
    for records in readers:
        assert [(offset, value) for offset, _, value in records] == [
            (offset, b"%d" % number) for number, offset in enumerate(acked)
        ]


async def test_B5_a_topic_never_shows_the_records_of_another() -> None:
    noise = random.Random(5)
    names = {"a", "A", "a.b", "a-b", "aa", "x" * 249, "-", "__x"}
    names |= {"".join(noise.choices("aB0._-", k=noise.randrange(3, 12))) + str(number) for number in range(12)}
    # '.' and '_' are the same in metric names, so Kafka refuses the second of two such names.
    distinct = sorted({name.replace(".", "_"): name for name in sorted(names)}.values())
    async with Cluster(topics=dict.fromkeys(distinct, 1)) as cluster:
        async with Producer(cluster.bootstrap) as producer:
            await asyncio.gather(*[producer.send_and_wait(name, name.encode()) for name in distinct])
        for name in distinct:
            assert [value for _, _, value in await read_all(cluster, name)] == [name.encode()]
        async with Admin(cluster.bootstrap) as admin:
            with pytest.raises(ApiError, match=r"collides with existing topic: a\.b"):
                await admin.create_topic("a_b")


async def test_B9_one_broker_is_a_cluster() -> None:
    async with Cluster(nodes=1) as cluster, Admin(cluster.bootstrap) as admin:
        described = await admin.describe_cluster()
        quorum = await admin.describe_quorum()
    assert described.cluster_id
    assert described.controller_id == quorum.leader_id == 1
    assert [(broker.node_id, broker.fenced) for broker in described.brokers] == [(1, False)]
    assert [voter.node_id for voter in quorum.voters] == [1]


async def test_C4_many_messages_travel_in_few_requests() -> None:
    async with Cluster(topics=["t"]) as cluster:
        async with Producer(cluster.bootstrap, linger_ms=20, batch_size=16_384) as producer:
            await asyncio.gather(*[producer.send("t", b"x" * 100) for _ in range(10_000)])
        metrics = cluster._nodes._running[1].node.parts.probe.expose().decode()
        end = (await read_all(cluster, "t"))[-1][0] + 1
    (requests,) = re.findall(r'request_duration_seconds_count\{api="PRODUCE"\} (\d+)', metrics)
    assert end == 10_000
    assert 1 <= int(requests) <= 200


async def test_D1_partitions_are_added_and_never_taken_away() -> None:
    async with Cluster(topics={"t": 2}) as cluster, Admin(cluster.bootstrap) as admin:
        await admin.create_partitions([NewPartitions(name="t", count=3)])
        for count in (1, 2, 3):
            with pytest.raises(ApiError, match="INVALID_PARTITIONS"):
                await admin.create_partitions([NewPartitions(name="t", count=count)])


async def test_D2_offsets_rise_by_one() -> None:
    async with Cluster(topics=["t"]) as cluster:
        async with Producer(cluster.bootstrap, linger_ms=1, batch_size=500) as producer:
            await asyncio.gather(*[producer.send("t", b"x" * (number % 90)) for number in range(1_000)])
        assert [offset for offset, _, _ in await read_all(cluster, "t")] == list(range(1_000))


async def test_D3_offsets_asked_for_agree_with_a_scan() -> None:
    noise = random.Random(3)
    async with Cluster(
        topics=["t"], properties={"log.segment.bytes": "2000", "log.index.interval.bytes": "200"}
    ) as cluster:
        async with Producer(cluster.bootstrap, batch_size=200) as producer:
            now = 1_700_000_000_000
            for _ in range(120):
                now += noise.randrange(-30, 100)
                await producer.send_and_wait("t", b"x" * noise.randrange(60), timestamp_ms=now)
        scan = await read_all(cluster, "t")
        place = TopicPartition("t", 0)
        async with Admin(cluster.bootstrap) as admin:

            async def asked(timestamp: int) -> int:
                return int((await admin.list_offsets({place: timestamp}))[place].offset)

            assert (await asked(EARLIEST), await asked(LATEST)) == (0, 120)
            largest = max(timestamp for _, timestamp, _ in scan)
            assert await asked(MAX_TIMESTAMP) == next(offset for offset, time, _ in scan if time == largest)
            for _ in range(60):
                wanted = noise.randrange(scan[0][1] - 50, largest + 50)
                assert await asked(wanted) == next((offset for offset, time, _ in scan if time >= wanted), -1)


async def test_D13_D15_each_partition_has_its_own_replicas_and_leaders_are_spread() -> None:
    async with Cluster(nodes=3, topics={"t": 6}) as cluster, Admin(cluster.bootstrap) as admin:
        (topic,) = await admin.describe_topics(["t"])
    leaders = [partition.leader_id for partition in topic.partitions]
    assert all(set(partition.replica_nodes) == {1, 2, 3} for partition in topic.partitions)
    assert sorted(leaders) == [1, 1, 2, 2, 3, 3]


async def test_D14_more_replicas_than_brokers_are_refused() -> None:
    async with Cluster(nodes=1) as cluster, Admin(cluster.bootstrap) as admin:
        with pytest.raises(ApiError, match="INVALID_REPLICATION_FACTOR"):
            await admin.create_topic("t", replication_factor=2)


async def test_D17_a_follower_takes_no_writes_and_clients_find_the_leader() -> None:
    async with Cluster(nodes=3, topics={"t": 3}) as cluster:
        led = {await cluster.leader("t", partition): partition for partition in range(3)}
        host_of = dict(zip(cluster.node_ids, cluster.bootstrap.split(","), strict=True))
        for node_id in cluster.node_ids:
            # Whichever node a client asks first, its records lie with the leader.
            async with Producer(host_of[node_id]) as producer:
                for partition in led.values():
                    await producer.send_and_wait("t", b"by way of node %d" % node_id, partition=partition)
        for partition in led.values():
            assert len(await read_all(cluster, "t", partition)) == 3
