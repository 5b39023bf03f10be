"""Descriptions of topics: made once per image, in steps, from what has not changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import MappingProxyType

import pytest

from raftkafka.broker import topic_descriptions
from raftkafka.broker.topic_descriptions import TopicDescriptions
from raftkafka.metadata.image import Broker, Image, Partition, Topic
from raftkafka.model.api.broker_lifecycle import ListenerEndpoint
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_NODE, BrokerEpoch, LeaderEpoch, NodeId, PartitionIndex, TopicId

TOPIC_ID = TopicId(b"t" * 16)


def image(*partitions: Partition, fenced: int | None = None) -> tuple[Image, Topic]:
    topic = Topic(name="t", topic_id=TOPIC_ID, configs=MappingProxyType({}), partitions=partitions)
    brokers = {
        NodeId(node): Broker(
            node_id=NodeId(node),
            epoch=BrokerEpoch(node),
            incarnation_id=bytes(16),
            listeners=(ListenerEndpoint(name="PLAINTEXT", host="h", port=9_000 + node),),
            fenced=node == fenced,
        )
        for node in (1, 2)
    }
    made = replace(
        Image.empty(),
        cluster_id="c",
        brokers=MappingProxyType(brokers),
        topics=MappingProxyType({TOPIC_ID: topic}),
        topic_ids=MappingProxyType({"t": TOPIC_ID}),
    )
    return made, topic


def partition(index: int, leader: int = 1) -> Partition:
    nodes = (NodeId(1), NodeId(2), NodeId(3))
    return Partition(index=PartitionIndex(index), replicas=nodes, isr=nodes[:1], leader=NodeId(leader))


async def test_a_description_says_what_the_image_says():
    seen, topic = image(partition(0), partition(1, leader=NO_NODE), fenced=2)
    (told,) = await TopicDescriptions().describe(seen, [topic])
    assert (told.name, told.topic_id, told.error_code) == ("t", TOPIC_ID, ErrorCode.NONE)
    assert [(each.leader_id, each.error_code) for each in told.partitions] == [
        (1, ErrorCode.NONE),
        (NO_NODE, ErrorCode.LEADER_NOT_AVAILABLE),
    ]
    # Node 2 is fenced, node 3 was never registered.
    assert told.partitions[0].offline_replicas == (2, 3)
    assert (told.partitions[1].partition, told.partitions[1].isr_nodes) == (1, (1,))


async def test_the_same_image_is_described_once_and_what_has_not_changed_is_used_again():
    descriptions = TopicDescriptions()
    first, last = partition(0), partition(1)
    seen, topic = image(first, last)
    (told,) = await descriptions.describe(seen, [topic])
    (again,) = await descriptions.describe(seen, [topic])
    assert again is told
    changed, topic = image(first, replace(last, leader=NodeId(2), leader_epoch=LeaderEpoch(1)), partition(2))
    (later,) = await descriptions.describe(changed, [topic])
    assert later.partitions[0] is told.partitions[0]
    assert [each.leader_id for each in later.partitions] == [1, 2, 1]


async def test_a_broker_that_goes_or_comes_makes_every_description_new():
    descriptions = TopicDescriptions()
    partitions = partition(0), partition(1)
    seen, topic = image(*partitions)
    (told,) = await descriptions.describe(seen, [topic])
    assert told.partitions[0].offline_replicas == (3,)
    without, _ = image(*partitions, fenced=2)
    (told,) = await descriptions.describe(without, [topic])
    assert told.partitions[0].offline_replicas == (2, 3)


async def test_a_topic_that_is_gone_is_forgotten():
    descriptions = TopicDescriptions()
    seen, topic = image(partition(0))
    (told,) = await descriptions.describe(seen, [topic])
    descriptions.forget(TOPIC_ID)
    descriptions.forget(TOPIC_ID)
    (again,) = await descriptions.describe(seen, [topic])
    assert again is not told
    assert again == told


async def test_a_large_topic_is_described_in_steps_and_by_one_of_those_who_ask(monkeypatch):
    monkeypatch.setattr(topic_descriptions, "PARTITIONS_PER_TURN", 2)
    descriptions = TopicDescriptions()
    seen, topic = image(*map(partition, range(7)))
    turns = 0
    asking = [asyncio.ensure_future(descriptions.describe(seen, [topic])) for _ in range(3)]
    while not all(each.done() for each in asking):
        turns += 1
        await asyncio.sleep(0)
    told = [(await each)[0] for each in asking]
    assert turns >= 4
    assert told[0] is told[1] is told[2]
    assert [each.partition for each in told[0].partitions] == list(range(7))


async def test_who_gives_up_asking_leaves_the_others_their_answer(monkeypatch):
    monkeypatch.setattr(topic_descriptions, "PARTITIONS_PER_TURN", 2)
    descriptions = TopicDescriptions()
    seen, topic = image(*map(partition, range(7)))
    gives_up, waits = (asyncio.ensure_future(descriptions.describe(seen, [topic])) for _ in range(2))
    await asyncio.sleep(0)
    gives_up.cancel()
    (told,) = await waits
    assert len(told.partitions) == 7
    with pytest.raises(asyncio.CancelledError):
        await gives_up
