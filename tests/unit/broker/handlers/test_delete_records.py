"""DeleteRecords: on the leader's disk before it is answered, taken over by followers, refused where it must not happen."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.broker.handlers.delete_records import DeleteRecordsHandler
from raftkafka.model.api.delete_records import DeleteRecords, DeleteRecordsPartition
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ErrorCode, StorageError
from raftkafka.model.ids import NO_EPOCH, Offset, PartitionIndex, TopicId, TopicPartition
from raftkafka.storage import checkpoint


def delete(world, partition, offset: int, *, timeout_ms: int = 1_000):
    key = getattr(partition, "topic_partition", partition)
    handler = DeleteRecordsHandler(
        replicas=world.replicas,
        store=world.store,
        save=world.logs.save_log_starts,
        has_lease=lambda: world.lease,
    )
    row = DeleteRecordsPartition(topic_id=key.topic_id, partition=key.partition, offset=Offset(offset))
    return handler(
        RequestContext(listener="PLAINTEXT", client_address="test"),
        DeleteRecords(partitions=(row,), timeout_ms=timeout_ms),
    )


async def deleted(world, partition, offset: int, **others: int):
    (answer,) = (await delete(world, partition, offset, **others)).partitions
    return answer


@pytest.fixture
async def alone(make_world):
    """Six records, a segment each, on this broker alone."""
    world = make_world(log={"segment_bytes": 100})
    world.start_brokers(1)
    world.run()
    partition = await world.leading("alone")
    for _ in range(6):
        world.send(partition, acks=1)
    await world.until(lambda: partition.high_watermark == 6)
    return world, partition


def saved(world) -> dict:
    return checkpoint.read(world.disk, f"{world.path}/{checkpoint.LOG_START_FILE}")


async def test_the_new_start_is_durable_and_whole_segments_are_gone(alone):
    world, partition = alone
    before = partition.log.segment_count
    answer = await deleted(world, partition, 4)
    assert (answer.error_code, answer.low_watermark) == (ErrorCode.NONE, 4)
    assert saved(world) == {("alone", 0): 4}
    assert partition.log.log_start_offset == 4
    assert partition.log.segment_count == before - 4
    assert world.ask(partition, 3).partitions[0].error_code is ErrorCode.OFFSET_OUT_OF_RANGE
    # Asking for less again changes nothing and is no error (KIP-107).
    assert (await deleted(world, partition, 2)).low_watermark == 4


async def test_minus_one_is_the_high_watermark(alone):
    world, partition = alone
    assert (await deleted(world, partition, -1)).low_watermark == 6
    assert partition.log.log_start_offset == 6


async def test_refusals(alone):
    world, partition = alone
    assert (await deleted(world, partition, 7)).error_code is ErrorCode.OFFSET_OUT_OF_RANGE
    compacted = await world.leading("compacted", cleanup_policy="compact")
    assert (await deleted(world, compacted, 0)).error_code is ErrorCode.POLICY_VIOLATION
    unknown = TopicPartition(TopicId(b"x" * 16), PartitionIndex(0))
    assert (await deleted(world, unknown, 0)).error_code is ErrorCode.UNKNOWN_TOPIC_ID
    world.lease = False
    assert (await deleted(world, partition, 1)).error_code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert partition.log.log_start_offset == 0


async def test_what_is_not_durable_is_not_answered_as_done(alone, monkeypatch):
    world, partition = alone

    async def failing(path, data):
        raise StorageError("EIO")

    monkeypatch.setattr(world.disk, "replace", failing)
    segments = partition.log.segment_count
    assert (await deleted(world, partition, 3)).error_code is ErrorCode.KAFKA_STORAGE_ERROR
    assert partition.log.segment_count == segments
    monkeypatch.undo()


@pytest.fixture
async def shared(world):
    world.start_brokers(1, 2, 3)
    world.run()
    partition = await world.leading("shared", 1, 2, 3)
    for _ in range(3):
        world.send(partition, acks=1)
    await world.until(lambda: partition.log.flushed_offset == 3)
    for follower in (2, 3):
        world.ask(partition, 3, follower=follower, last_fetched_epoch=0, log_start_offset=0)
    assert partition.high_watermark == 3
    return world, partition


async def test_followers_that_live_are_waited_for(shared):
    world, partition = shared
    waiting = asyncio.ensure_future(delete(world, partition, 2))
    await world.until(lambda: partition.log.log_start_offset == 2)
    world.ask(partition, 3, follower=2, last_fetched_epoch=0, log_start_offset=2)
    await asyncio.sleep(0.3)
    assert not waiting.done()
    world.ask(partition, 3, follower=3, last_fetched_epoch=0, log_start_offset=2)
    (answer,) = (await waiting).partitions
    assert (answer.error_code, answer.low_watermark) == (ErrorCode.NONE, 2)


async def test_a_dead_follower_is_not_waited_for(shared):
    world, partition = shared
    waiting = asyncio.ensure_future(delete(world, partition, 2))
    world.fence(3)
    await world.until(lambda: partition.log.log_start_offset == 2)
    world.ask(partition, 3, follower=2, last_fetched_epoch=0, log_start_offset=2)
    (answer,) = (await waiting).partitions
    assert answer.low_watermark == 2


async def test_a_silent_follower_ends_the_patience_and_a_lost_leadership_the_wait(shared):
    world, partition = shared
    assert (await deleted(world, partition, 1, timeout_ms=500)).error_code is ErrorCode.REQUEST_TIMED_OUT
    waiting = asyncio.ensure_future(delete(world, partition, 2))
    await asyncio.sleep(0.05)
    world.set_leader(partition.topic_partition, 2)
    (answer,) = (await waiting).partitions
    assert answer.error_code is ErrorCode.NOT_LEADER_OR_FOLLOWER


async def test_a_parked_fetch_of_a_follower_is_told_at_once(shared):
    world, partition = shared
    parked = world.ask(partition, 3, follower=2, last_fetched_epoch=0, log_start_offset=0, max_wait_ms=10_000)
    await asyncio.sleep(0.01)
    assert not parked.done()
    partition.delete_records_before(Offset(1))
    async with asyncio.timeout(0.1):
        (row,) = (await parked).partitions
    assert (row.error_code, row.log_start_offset) == (ErrorCode.NONE, 1)
    # It knows now, and waits again.
    again = world.ask(partition, 3, follower=2, last_fetched_epoch=0, log_start_offset=1, max_wait_ms=10_000)
    await asyncio.sleep(0.01)
    assert not again.done()
    again.cancel()
    assert partition.check_leader(NO_EPOCH)
