"""What the cluster looks like from here, and topics that are made by asking for them."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.broker.handlers.metadata import APPLY_WAIT_S, MetadataHandler
from raftkafka.broker.handlers.topics import TopicsHandler
from raftkafka.model.api.cluster import DescribeCluster, DescribeQuorum, DescribeQuorumResponse, Metadata
from raftkafka.model.api.topics import (
    CreatedTopic,
    CreateTopics,
    CreateTopicsResponse,
    DeleteTopics,
    NewTopic,
    TopicToDelete,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NO_NODE, NodeId, TopicId

CLIENT = RequestContext(listener="PLAINTEXT", client_address="test")
NODE = RequestContext(listener="PLAINTEXT", client_address="test", node_id=NodeId(2))


@pytest.fixture
async def office(world):
    world.start_brokers(1, 2)
    world.peers.alive = lambda node: True
    world.consensus.elect(1)
    await world.until(lambda: world.controller.active)
    return world


def handler(world, *, auto_create: bool = True) -> MetadataHandler:
    return MetadataHandler(
        store=world.store,
        consensus=world.consensus,
        channel=world.channel,
        auto_create_topics=auto_create,
        is_current=lambda: bool(world.store.image.cluster_id),
        timeout_s=1.0,
    )


async def ask(world, *names: str, create: bool = True, auto_create: bool = True):
    return await handler(world, auto_create=auto_create).metadata(
        CLIENT, Metadata(topics=names, allow_auto_topic_creation=create)
    )


async def test_all_topics_no_topics_and_some(office):
    office.create("b", 1, 2)
    office.create("a", 2)
    every = await handler(office).metadata(CLIENT, Metadata())
    assert [topic.name for topic in every.topics] == ["a", "b"]
    assert (every.cluster_id, every.controller_id) == ("cluster", 1)
    assert [(each.node_id, each.port) for each in every.brokers] == [(1, 9_001), (2, 9_002)]
    assert (await ask(office)).topics == ()
    (topic,) = (await ask(office, "b", "b")).topics
    (partition,) = topic.partitions
    assert (partition.leader_id, partition.replica_nodes, partition.isr_nodes) == (1, (1, 2), (1, 2))


async def test_a_fenced_broker_is_no_address_and_an_offline_replica(office):
    office.create("alone", 2)
    office.fence(2)
    answer = await ask(office, "alone")
    assert [each.node_id for each in answer.brokers] == [1]
    (partition,) = answer.topics[0].partitions
    assert (partition.error_code, partition.leader_id) == (ErrorCode.LEADER_NOT_AVAILABLE, NO_NODE)
    assert partition.offline_replicas == (2,)


async def test_a_missing_topic_is_made_when_both_sides_allow_it(office):
    (topic,) = (await ask(office, "new")).topics
    assert (topic.error_code, len(topic.partitions)) == (ErrorCode.NONE, 1)
    assert "new" in office.store.image.topic_ids


@pytest.mark.parametrize(("create", "auto_create"), [(False, True), (True, False)])
async def test_a_missing_topic_is_not_made_otherwise(office, create, auto_create):
    (topic,) = (await ask(office, "new", create=create, auto_create=auto_create)).topics
    assert topic.error_code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert office.consensus.proposed == []


async def test_an_illegal_name_is_refused_and_never_made(office):
    (topic,) = (await ask(office, "../etc")).topics
    assert topic.error_code is ErrorCode.INVALID_TOPIC_EXCEPTION
    assert office.consensus.proposed == []


async def test_without_a_controller_the_topic_has_no_leader_yet(world):
    world.start_brokers(1)
    (topic,) = (await ask(world, "new")).topics
    assert topic.error_code is ErrorCode.LEADER_NOT_AVAILABLE


async def test_two_who_ask_at_once_make_one_topic(office):
    answers = await asyncio.gather(*[ask(office, "new") for _ in range(5)])
    assert len({answer.topics[0].topic_id for answer in answers}) == 1
    assert {answer.topics[0].error_code for answer in answers} == {ErrorCode.NONE}


async def test_describe_cluster_names_fenced_brokers_too(office):
    office.fence(2)
    answer = await handler(office).describe_cluster(CLIENT, DescribeCluster())
    assert [(each.node_id, each.fenced) for each in answer.brokers] == [(1, False), (2, True)]


async def test_the_quorum_is_described_by_who_leads_it(world):
    world.consensus.linked = {2: True}
    world.consensus.elect(2)
    world.peers.answer = lambda node, request: DescribeQuorumResponse(
        leader_id=NodeId(2), term=9, commit_index=5, voters=()
    )
    assert (await handler(world).describe_quorum(CLIENT, DescribeQuorum())).term == 9
    # A node asks for nobody else: what it hears is what this node knows.
    assert (await handler(world).describe_quorum(NODE, DescribeQuorum())).term == 1
    world.peers.answer = None
    assert (await handler(world).describe_quorum(CLIENT, DescribeQuorum())).leader_id == 2


# CreateTopics, DeleteTopics


def topics(world) -> TopicsHandler:
    return TopicsHandler(channel=world.channel, store=world.store)


NEW = CreateTopics(topics=(NewTopic(name="new", num_partitions=2, replication_factor=1),))


async def test_a_topic_is_made_and_deleted(office):
    (made,) = (await topics(office).create(CLIENT, NEW)).topics
    assert (made.error_code, office.store.image.topic_ids["new"]) == (ErrorCode.NONE, made.topic_id)
    gone = await topics(office).delete(CLIENT, DeleteTopics(topics=(TopicToDelete(name="new"),)))
    assert gone.topics[0].error_code is ErrorCode.NONE
    assert "new" not in office.store.image.topic_ids


async def test_the_answer_waits_until_this_node_shows_the_topic_but_not_for_ever(world):
    world.start_brokers(1)
    world.consensus.elect(2)
    key_id = TopicId(b"new".ljust(16, b"\1"))
    world.peers.answer = lambda node, request: CreateTopicsResponse(topics=(CreatedTopic(name="new", topic_id=key_id),))
    began = asyncio.get_running_loop().time()
    waiting = asyncio.ensure_future(topics(world).create(CLIENT, NEW))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    world.create("new", 1)
    await waiting
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.1)
    world.peers.answer = lambda node, request: CreateTopicsResponse(
        topics=(CreatedTopic(name="other", topic_id=TopicId(b"o" * 16)),)
    )
    began = asyncio.get_running_loop().time()
    await topics(world).create(CLIENT, NEW)
    assert asyncio.get_running_loop().time() - began == pytest.approx(APPLY_WAIT_S)
    assert world.store._waiters == []


async def test_every_topic_hears_that_there_is_no_controller(world):
    created = await topics(world).create(CLIENT, NEW)
    deleted = await topics(world).delete(CLIENT, DeleteTopics(topics=(TopicToDelete(name="new"),)))
    assert [each.error_code for each in (*created.topics, *deleted.topics)] == [ErrorCode.NOT_CONTROLLER] * 2


async def test_what_a_node_forwards_is_not_forwarded_again(world):
    world.consensus.elect(2)
    answer = await topics(world).create(NODE, NEW)
    assert answer.topics[0].error_code is ErrorCode.NOT_CONTROLLER
    assert world.peers.asked == []


async def test_a_node_that_has_not_joined_is_no_empty_cluster(world):
    for request in (
        handler(world).metadata(CLIENT, Metadata()),
        handler(world).describe_cluster(CLIENT, DescribeCluster()),
    ):
        with pytest.raises(ApiError) as refused:
            await request
        assert refused.value.code is ErrorCode.BROKER_NOT_AVAILABLE
