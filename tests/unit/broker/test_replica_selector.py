"""KIP-392: the leader names the replica near by, and that one serves what it knows to be committed."""

from __future__ import annotations

import pytest

from raftkafka.broker.replica_selector import RackAwareReplicaSelector
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_NODE, NodeId


@pytest.fixture
async def orders(world):
    world.start_brokers(1, 2, 3)
    world.run()
    world.fetch.select_replica = RackAwareReplicaSelector(node_id=NodeId(1), store=world.store)
    partition = await world.leading("orders", 1, 2, 3)
    world.send(partition, acks=1)
    await world.until(lambda: partition.log.flushed_offset == 1)
    for _ in range(2):
        for node in (2, 3):
            world.ask(partition, 1, follower=node, last_fetched_epoch=0)
    assert partition.high_watermark == 1
    return partition


def only(answer):
    (response,) = answer.partitions
    return response


async def test_the_leader_names_the_in_sync_replica_of_the_rack(world, orders):
    response = only(world.ask(orders, 0, rack_id="rack2"))
    assert (response.preferred_read_replica, bytes(response.records)) == (2, b"")
    assert only(world.ask(orders, 0, rack_id="rack3")).preferred_read_replica == 3


@pytest.mark.parametrize("rack", ["", "rack1", "elsewhere"])
async def test_who_has_no_replica_nearer_than_the_leader_reads_there(world, orders, rack):
    response = only(world.ask(orders, 0, rack_id=rack))
    assert response.preferred_read_replica == NO_NODE
    assert len(response.records) > 0


async def test_a_replica_that_cannot_serve_is_not_named(world, orders):
    assert only(world.ask(orders, 1, rack_id="rack2")).preferred_read_replica == 2
    orders.leader.follower(NodeId(2)).told_watermark = 0
    assert only(world.ask(orders, 1, rack_id="rack2")).preferred_read_replica == NO_NODE
    assert only(world.ask(orders, 0, rack_id="rack2")).preferred_read_replica == 2
    world.fence(2)
    assert only(world.ask(orders, 0, rack_id="rack2")).preferred_read_replica == NO_NODE
    world.set_isr(orders.topic_partition, 1)
    assert only(world.ask(orders, 0, rack_id="rack3")).preferred_read_replica == NO_NODE


async def test_a_follower_serves_up_to_its_watermark_and_says_what_it_does_not_have(world, orders):
    world.send(orders, acks=1)
    world.set_leader(orders.topic_partition, 2)
    response = only(world.ask(orders, 0, rack_id="rack1"))
    assert (response.error_code, response.high_watermark) == (ErrorCode.NONE, 1)
    assert len(response.records) == len(world.batch())
    assert only(world.ask(orders, 1, rack_id="rack1")).error_code is ErrorCode.NONE
    assert only(world.ask(orders, 2, rack_id="rack1")).error_code is ErrorCode.OFFSET_NOT_AVAILABLE
    assert only(world.ask(orders, 3, rack_id="rack1")).error_code is ErrorCode.OFFSET_OUT_OF_RANGE


async def test_a_follower_serves_only_in_its_epoch_and_only_who_asked_for_the_nearest(world, orders):
    world.set_leader(orders.topic_partition, 2)
    ask = lambda **fields: only(world.ask(orders, 0, **fields)).error_code  # noqa: E731
    assert ask() is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert ask(rack_id="rack1", current_leader_epoch=1) is ErrorCode.NONE
    assert ask(rack_id="rack1", current_leader_epoch=0) is ErrorCode.FENCED_LEADER_EPOCH
    assert ask(rack_id="rack1", current_leader_epoch=2) is ErrorCode.UNKNOWN_LEADER_EPOCH


async def test_a_consumer_that_waits_at_a_follower_is_woken_by_its_watermark(world, orders):
    world.send(orders, acks=1)
    world.set_leader(orders.topic_partition, 2)
    waiting = world.ask(orders, 1, rack_id="rack1", max_wait_ms=10_000)
    orders.set_follower_watermark(2)
    assert len(only(await waiting).records) == len(world.batch())


async def test_who_is_no_replica_any_more_serves_nobody(world, orders):
    world.send(orders, acks=1)
    orders.leave()
    assert only(world.ask(orders, 0, rack_id="rack1")).error_code is ErrorCode.NOT_LEADER_OR_FOLLOWER


async def test_a_follower_does_not_serve_damaged_bytes(world, orders):
    world.set_leader(orders.topic_partition, 2)
    orders.take_offline(OSError("gone"))
    assert only(world.ask(orders, 0, rack_id="rack1")).error_code is ErrorCode.KAFKA_STORAGE_ERROR
