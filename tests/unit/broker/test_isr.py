"""ISR proposals: counted from the moment they are made, repeated until decided, and learnt from the image alone."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.broker.isr import IsrProposer
from raftkafka.metadata.decide import partitions
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId


class Channel:
    """Decides on the world's image as a controller does, but commits only while `commits`."""

    def __init__(self, world) -> None:
        self.world = world
        self.asked: list = []
        self.failures: list[ApiError] = []
        self.commits = True
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, request, *, timeout_s):
        self.asked.append(request)
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        decision = partitions.decide_alter_partition(self.world.store.image, request)
        if decision.commands and self.commits:
            self.world.commit(*decision.commands)
        return decision.respond(self.world.store.image)


@pytest.fixture
async def shared(world):
    """Led here; node 3 has left the ISR and come back."""
    world.start_brokers(1, 2, 3)
    world.run()
    partition = await world.leading("shared", 1, 2, 3)
    world.restart(3)
    return partition


@pytest.fixture
async def channel(world) -> Channel:
    return Channel(world)


@pytest.fixture
async def proposer(world, channel):
    made = IsrProposer(
        node_id=NodeId(1),
        broker_epoch=lambda: world.epoch(1),
        is_eligible=lambda node: world.store.image.is_active(node),
        channel=channel,
        probe=world.probe,
        timeout_s=1.0,
    )
    yield made
    await made.stop()


def caught_up(world, partition, node: int) -> None:
    end = partition.log.log_end_offset
    partition.on_replica_fetch(node, fetch_offset=end, flushed_offset=end, broker_epoch=world.epoch(node))


async def test_a_follower_that_has_caught_up_joins(world, shared, proposer, channel):
    caught_up(world, shared, 3)
    proposer.consider(shared)
    await asyncio.sleep(0.01)
    assert shared.leader.isr == (1, 2, 3)
    assert world.store.image.partition(shared.topic_partition).isr == (1, 2, 3)
    assert world.probe.isr == [False]
    proposer.consider(shared)
    await asyncio.sleep(0.01)
    assert len(channel.asked) == 1


async def test_a_follower_that_has_fallen_behind_leaves(world, shared, proposer):
    caught_up(world, shared, 2)
    world.send(shared, acks=1)
    await asyncio.sleep(29)
    proposer.sweep([shared])
    await asyncio.sleep(0.01)
    assert shared.leader.isr == (1, 2)
    await asyncio.sleep(2)
    proposer.sweep([shared])
    await asyncio.sleep(0.01)
    assert shared.leader.isr == (1,)
    assert world.probe.isr == [True]
    assert shared.high_watermark == 1


async def test_a_fenced_follower_is_not_proposed(world, shared, proposer, channel):
    caught_up(world, shared, 3)
    world.fence(3)
    proposer.sweep([shared])
    await asyncio.sleep(1)
    assert channel.asked == []


async def test_the_watermark_waits_for_a_proposed_member(world, shared, proposer, channel):
    caught_up(world, shared, 3)
    channel.gate.clear()
    proposer.consider(shared)
    await asyncio.sleep(0.01)
    world.send(shared, acks=1)
    await asyncio.sleep(0.01)
    caught_up(world, shared, 2)
    assert shared.high_watermark == 0
    caught_up(world, shared, 3)
    assert shared.high_watermark == 1
    channel.gate.set()


async def test_without_an_answer_the_proposal_stays_and_is_repeated(world, shared, proposer, channel):
    caught_up(world, shared, 3)
    channel.failures = [ApiError(ErrorCode.NOT_CONTROLLER), ApiError(ErrorCode.REQUEST_TIMED_OUT)]
    proposer.consider(shared)
    await asyncio.sleep(0.15)
    assert shared.leader.proposed_isr == (1, 2, 3)
    await asyncio.sleep(0.2)
    assert [each.partitions for each in channel.asked] == [channel.asked[0].partitions] * 3
    assert shared.leader.isr == (1, 2, 3)


async def test_a_lost_answer_is_learnt_from_the_image(world, shared, proposer, channel):
    caught_up(world, shared, 3)
    channel.failures = [ApiError(ErrorCode.NOT_CONTROLLER)]
    proposer.consider(shared)
    await asyncio.sleep(0.01)
    world.set_isr(shared.topic_partition, 1, 2, 3)
    assert (shared.leader.isr, shared.leader.proposed_isr) == ((1, 2, 3), None)
    await asyncio.sleep(1)
    assert len(channel.asked) == 1


async def test_a_refusal_ends_the_proposal_and_is_not_repeated_at_once(world, shared, proposer, channel):
    caught_up(world, shared, 3)
    world.restart(3, incarnation=7)
    for _ in range(50):
        proposer.consider(shared)
        await asyncio.sleep(0.001)
    assert len(channel.asked) == 1
    assert shared.leader.proposed_isr is None
    caught_up(world, shared, 3)
    await asyncio.sleep(0.2)
    proposer.consider(shared)
    await asyncio.sleep(0.2)
    assert shared.leader.isr == (1, 2, 3)


async def test_a_leadership_lost_meanwhile_ends_the_proposal(world, shared, proposer, channel):
    caught_up(world, shared, 3)
    channel.failures = [ApiError(ErrorCode.NOT_CONTROLLER)] * 3
    proposer.consider(shared)
    await asyncio.sleep(0.01)
    world.set_leader(shared.topic_partition, 2)
    world.set_leader(shared.topic_partition, 1)
    assert shared.leader.proposed_isr is None
    await asyncio.sleep(1)
    assert len(channel.asked) == 1


async def test_a_leadership_lost_while_the_answer_is_under_way_changes_nothing(world, shared, proposer, channel):
    caught_up(world, shared, 3)
    channel.gate.clear()
    proposer.consider(shared)
    await asyncio.sleep(0.01)
    world.set_leader(shared.topic_partition, 2)
    channel.gate.set()
    await asyncio.sleep(1)
    assert world.store.image.partition(shared.topic_partition).isr == (1, 2)
    assert not shared.is_leader


async def test_a_deleted_partition_is_passed_over(world, shared, proposer, channel):
    caught_up(world, shared, 3)
    proposer.consider(shared)
    world.delete(shared.topic_partition)
    await world.until(lambda: world.replicas.get(shared.topic_partition) is None)
    await asyncio.sleep(0.2)
    assert shared.leader is None


async def test_many_partitions_are_one_request(world, proposer, channel):
    world.start_brokers(1, 2)
    world.run()
    led = [await world.leading(f"t{number}", 1, 2) for number in range(5)]
    world.restart(2)
    for partition in led:
        caught_up(world, partition, 2)
        proposer.consider(partition)
    await asyncio.sleep(0.01)
    assert [len(each.partitions) for each in channel.asked] == [5]
