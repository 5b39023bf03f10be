"""CreatePartitions, ElectLeaders and reassignments: answered by any broker, after its own image shows what was begun."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.broker.handlers.metadata import APPLY_WAIT_S
from raftkafka.broker.handlers.partitions import PartitionsHandler
from raftkafka.model.api.elections import (
    ElectedPartition,
    ElectedTopic,
    ElectionType,
    ElectLeaders,
    ElectLeadersResponse,
    TopicToElect,
)
from raftkafka.model.api.partitions import CreatePartitions, CreatePartitionsResponse, GrownTopic, NewPartitions
from raftkafka.model.api.reassignments import (
    AlterPartitionReassignments,
    AlterPartitionReassignmentsResponse,
    ListPartitionReassignments,
    ReassignablePartition,
    ReassignableTopic,
    ReassignedPartition,
    ReassignedTopic,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId, PartitionIndex

CLIENT = RequestContext(listener="PLAINTEXT", client_address="test")
GROW = CreatePartitions(topics=(NewPartitions(name="orders", count=3),))
ELECT = ElectLeaders(
    election_type=ElectionType.PREFERRED, topics=(TopicToElect(name="orders", partitions=(PartitionIndex(0),)),)
)


def move(*replicas: int) -> AlterPartitionReassignments:
    nodes = tuple(NodeId(each) for each in replicas) or None
    partition = ReassignablePartition(partition=PartitionIndex(0), replicas=nodes)
    return AlterPartitionReassignments(topics=(ReassignableTopic(name="orders", partitions=(partition,)),))


@pytest.fixture
async def handler(world) -> PartitionsHandler:
    world.start_brokers(1, 2, 3)
    return PartitionsHandler(channel=world.channel, store=world.store)


@pytest.fixture
async def office(world, handler):
    """Node 1 is in office."""
    world.consensus.linked = {2: True, 3: True}
    world.consensus.elect(1)
    await world.until(lambda: world.controller.active)
    return world


async def test_the_controller_decides_and_the_image_shows_it(office, handler):
    key = office.create("orders", 1, 2)
    (grown,) = (await handler.create(CLIENT, GROW)).topics
    assert grown.error_code is ErrorCode.NONE
    assert len(office.store.image.topic_by_name("orders").partitions) == 3

    (topic,) = (await handler.alter_reassignments(CLIENT, move(3, 1))).topics
    assert topic.partitions == (ReassignedPartition(partition=PartitionIndex(0)),)
    (listed,) = (await handler.list_reassignments(CLIENT, ListPartitionReassignments())).topics
    assert (listed.name, listed.partitions[0].adding_replicas) == ("orders", (3,))
    office.set_isr(key, 1, 2, 3)
    assert (await handler.list_reassignments(CLIENT, ListPartitionReassignments())).topics == ()

    (topic,) = (await handler.elect_leaders(CLIENT, ELECT)).topics
    assert topic.partitions[0].error_code is ErrorCode.NONE
    assert office.store.image.partition(key).leader == 3


async def test_without_a_controller_everything_says_so(world, handler):
    grown = await handler.create(CLIENT, GROW)
    assert [each.error_code for each in grown.topics] == [ErrorCode.NOT_CONTROLLER]
    for answer in (
        await handler.alter_reassignments(CLIENT, move(1)),
        await handler.list_reassignments(CLIENT, ListPartitionReassignments()),
        await handler.elect_leaders(CLIENT, ELECT),
    ):
        assert (answer.error_code, answer.topics) == (ErrorCode.NOT_CONTROLLER, ())


@pytest.mark.parametrize("comes", [True, False])
async def test_what_another_controller_has_done_is_waited_for_but_not_for_ever(world, handler, comes):
    key = world.create("orders", 1, 2)
    world.set_leader(key, 2)
    world.consensus.elect(2)
    elected = ElectedTopic(name="orders", partitions=(ElectedPartition(partition=PartitionIndex(0)),))
    moved = ReassignedTopic(name="orders", partitions=(ReassignedPartition(partition=PartitionIndex(0)),))
    loop = asyncio.get_running_loop()
    for handle, request, answer, follow in (
        (
            handler.elect_leaders,
            ELECT,
            ElectLeadersResponse(topics=(elected,)),
            lambda: world.set_leader(key, 1),
        ),
        (
            handler.alter_reassignments,
            move(2, 1),
            AlterPartitionReassignmentsResponse(topics=(moved,)),
            lambda: world.reassign(key, 2, 1),
        ),
        (
            handler.create,
            GROW,
            CreatePartitionsResponse(topics=(GrownTopic(name="orders"),)),
            lambda: world.delete(key),
        ),
    ):
        world.peers.answer = lambda node, request, answer=answer: answer
        began = loop.time()
        if comes:
            loop.call_later(APPLY_WAIT_S / 2, follow)
        assert await handle(CLIENT, request) is answer
        assert loop.time() - began == pytest.approx(APPLY_WAIT_S / 2 if comes else APPLY_WAIT_S, abs=0.01)


async def test_what_was_refused_as_a_whole_is_waited_for_by_nobody(world, handler):
    world.create("orders", 1, 2)
    world.consensus.elect(2)
    refusal = AlterPartitionReassignmentsResponse(error_code=ErrorCode.NOT_CONTROLLER)
    world.peers.answer = lambda node, request: refusal
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await handler.alter_reassignments(CLIENT, move(2, 1)) is refusal
    assert loop.time() == began
