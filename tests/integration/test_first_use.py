"""Topics that are created at their first use, and topics that may not be deleted."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.client import Admin, ApiError, Consumer, Producer
from raftkafka.model.errors import ErrorCode

pytestmark = pytest.mark.integration


async def test_F4_a_topic_nobody_created_is_there_at_its_first_use(new_cluster):
    cluster = new_cluster(3, {"num.partitions": "4", "default.replication.factor": "3"})
    cluster.start()
    await cluster.ready()
    producers = [Producer(cluster.bootstrap) for _ in range(6)]
    async with Admin(cluster.bootstrap) as admin:
        for producer in producers:
            await producer.start()
        try:
            # Everybody at once, through whichever node each of them has found: there is one topic all the same.
            await asyncio.gather(*[producer.send("test", b"x") for producer in producers])
        finally:
            for producer in producers:
                await producer.stop()
        (topic,) = await admin.describe_topics(["test"])
        assert len(topic.partitions) == 4
        assert {len(each.replica_nodes) for each in topic.partitions} == {3}
        ends = await cluster.read_all("test", 4)
        assert sum(map(len, ends.values())) == len(producers)
        # To ask about a topic is not to use it.
        with pytest.raises(ApiError, match="UNKNOWN_TOPIC_OR_PARTITION"):
            await admin.describe_topics(["never"])
        assert await admin.list_topics() == ["test"]


async def test_F4_a_consumer_uses_a_topic_as_well_unless_it_says_otherwise(single):
    async with (
        Admin(single.bootstrap) as admin,
        Consumer(single.bootstrap, allow_auto_create_topics=False, default_api_timeout_ms=1_000) as careful,
        Consumer(single.bootstrap) as consumer,
    ):
        with pytest.raises(ApiError):
            await careful.partitions_for("first")
        assert await admin.list_topics() == []
        assert len(await consumer.partitions_for("first")) == 1
        assert await admin.list_topics() == ["first"]


async def test_F4_without_auto_creation_an_unknown_topic_stays_unknown(new_cluster):
    cluster = new_cluster(1, {"auto.create.topics.enable": "False"})
    cluster.start()
    await cluster.ready()
    async with Admin(cluster.bootstrap) as admin, Producer(cluster.bootstrap, max_block_ms=1_500) as producer:
        with pytest.raises(ApiError) as failed:
            await producer.send("test", b"x")
        assert failed.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert await admin.list_topics() == []


@pytest.mark.parametrize(("value", "allowed"), [(" True ", True), (" False", False)])
async def test_F1_delete_topic_enable_as_the_document_spells_it(new_cluster, value, allowed):
    cluster = new_cluster(1, {"delete.topic.enable ": value})
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("x")
    async with Admin(cluster.bootstrap) as admin:
        if allowed:
            await admin.delete_topics(["x"])
            assert await admin.list_topics() == []
            return
        with pytest.raises(ApiError, match=r"delete\.topic\.enable=false") as refused:
            await admin.delete_topics(["x"])
        assert refused.value.code is ErrorCode.TOPIC_DELETION_DISABLED
        assert await admin.list_topics() == ["x"]
