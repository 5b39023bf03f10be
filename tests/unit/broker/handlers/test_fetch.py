"""Fetch: consumers below the watermark, followers to the log end, long polls, and who may be a follower."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from raftkafka.broker.purgatory import WAIT_MAX_S
from raftkafka.model.errors import CorruptionError, ErrorCode, InvariantViolationError, StorageError
from raftkafka.model.ids import LeaderEpoch, NodeId, PartitionIndex, TopicId, TopicPartition


@pytest.fixture
async def orders(world):
    world.start_brokers(1, 2)
    world.run()
    return await world.leading("orders", 1)


@pytest.fixture
async def shared(world, orders):
    return await world.leading("shared", 1, 2)


def only(answer):
    (response,) = answer.partitions
    return response


def waiters(partition) -> int:
    return len(partition.waiting_fetches._consumers) + len(partition.waiting_fetches._followers)


async def test_a_consumer_reads_below_the_watermark_only(world, orders, shared):
    await world.send(orders)
    response = only(world.ask(orders, 0))
    assert (response.error_code, response.high_watermark, len(response.records) > 0) == (ErrorCode.NONE, 1, True)
    world.send(shared, acks=1)
    response = only(world.ask(shared, 0))
    assert (response.error_code, response.high_watermark, bytes(response.records)) == (ErrorCode.NONE, 0, b"")


async def test_a_follower_reads_to_the_log_end(world, shared):
    world.send(shared, acks=1)
    response = only(world.ask(shared, 0, follower=2))
    assert (response.error_code, len(response.records) > 0) == (ErrorCode.NONE, True)


async def test_between_watermark_and_log_end_there_is_nothing_but_no_error(world, shared):
    world.send(shared, acks=1)
    world.send(shared, acks=1)
    assert only(world.ask(shared, 1)).error_code is ErrorCode.NONE
    assert only(world.ask(shared, 3)).error_code is ErrorCode.OFFSET_OUT_OF_RANGE
    assert only(world.ask(shared, -1)).error_code is ErrorCode.OFFSET_OUT_OF_RANGE


async def test_a_long_poll_is_woken_by_the_commit_not_by_the_append(world, orders):
    world.disk.gate.clear()
    waiting = world.ask(orders, 0, max_wait_ms=10_000)
    produced = world.send(orders)
    await asyncio.sleep(1)
    assert not waiting.done()
    world.disk.gate.set()
    await produced
    began = asyncio.get_running_loop().time()
    assert len(only(await waiting).records) > 0
    assert asyncio.get_running_loop().time() == began
    assert waiters(orders) == 0


async def test_a_followers_long_poll_is_woken_by_the_append(world, shared):
    world.disk.gate.clear()
    waiting = world.ask(shared, 0, follower=2, max_wait_ms=10_000)
    began = asyncio.get_running_loop().time()
    world.send(shared, acks=1)
    assert len(only(await waiting).records) > 0
    assert asyncio.get_running_loop().time() == began


async def test_min_bytes_holds_the_answer_back_until_the_time_is_up(world, orders):
    began = asyncio.get_running_loop().time()
    waiting = world.ask(orders, 0, max_wait_ms=700, min_bytes=10_000)
    await world.send(orders)
    await asyncio.sleep(0.1)
    assert not waiting.done()
    assert len(only(await waiting).records) > 0
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.7)
    assert waiters(orders) == 0


async def test_min_bytes_above_max_bytes_means_max_bytes(world, orders):
    for _ in range(3):
        await world.send(orders)
    answer = world.ask(orders, 0, max_wait_ms=60_000, min_bytes=1 << 30, max_bytes=100)
    assert not asyncio.isfuture(answer)
    assert len(only(answer).records) > 0


async def test_max_bytes_cuts_at_whole_batches_but_gives_one(world, orders):
    for _ in range(3):
        await world.send(orders)
    size = len(world.batch())
    assert len(only(world.ask(orders, 0)).records) == 3 * size
    assert len(only(world.ask(orders, 0, max_bytes=2 * size + 1)).records) == 2 * size
    assert len(only(world.ask(orders, 0, max_bytes=1)).records) == size


async def test_no_client_waits_for_ever(world, orders):
    began = asyncio.get_running_loop().time()
    await world.ask(orders, 0, max_wait_ms=1 << 40)
    assert asyncio.get_running_loop().time() - began == pytest.approx(WAIT_MAX_S)


async def test_a_cancelled_long_poll_leaves_nothing_behind(world, orders):
    waiting = world.ask(orders, 0, max_wait_ms=10_000)
    assert waiters(orders) == 1
    waiting.cancel()
    await asyncio.sleep(0)
    assert waiters(orders) == 0


async def test_a_change_of_role_answers_who_waits(world, shared):
    waiting = world.ask(shared, 0, max_wait_ms=10_000)
    world.set_leader(shared.topic_partition, 2)
    response = only(await waiting)
    assert response.error_code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert (response.current_leader, response.current_leader_epoch) == (2, 1)
    assert waiters(shared) == 0


async def test_a_deleted_topic_answers_who_waits(world, shared):
    waiting = world.ask(shared, 0, max_wait_ms=10_000)
    world.delete(shared.topic_partition)
    assert only(await waiting).error_code is ErrorCode.UNKNOWN_TOPIC_ID
    assert waiters(shared) == 0


async def test_unknown_topics_are_told_from_those_that_live_elsewhere(world, orders):
    elsewhere = world.create("elsewhere", 2)
    assert only(world.ask(elsewhere, 0)).error_code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    unknown = TopicPartition(TopicId(b"x" * 16), PartitionIndex(0))
    assert only(world.ask(unknown, 0)).error_code is ErrorCode.UNKNOWN_TOPIC_ID


async def test_epochs_are_checked(world, shared):
    world.set_leader(shared.topic_partition, 2)
    world.set_leader(shared.topic_partition, 1)
    assert only(world.ask(shared, 0, current_leader_epoch=1)).error_code is ErrorCode.FENCED_LEADER_EPOCH
    assert only(world.ask(shared, 0, current_leader_epoch=3)).error_code is ErrorCode.UNKNOWN_LEADER_EPOCH


async def test_a_new_leader_shows_nothing_before_its_watermark_has_reached_its_epoch(world, shared):
    world.send(shared, acks=1)
    world.set_leader(shared.topic_partition, 2)
    world.set_leader(shared.topic_partition, 1)
    assert only(world.ask(shared, 0)).error_code is ErrorCode.OFFSET_NOT_AVAILABLE
    await world.until(lambda: shared.log.flushed_offset == 1)
    world.ask(shared, 1, follower=2, last_fetched_epoch=0)
    assert only(world.ask(shared, 0)).error_code is ErrorCode.NONE


# Followers


async def test_a_followers_question_is_its_acknowledgement(world, shared):
    produced = world.send(shared)
    await asyncio.sleep(0.1)
    world.ask(shared, 0, follower=2)
    world.ask(shared, 1, follower=2, last_fetched_epoch=0, flushed_offset=0)
    await asyncio.sleep(0.1)
    assert not produced.done()
    world.ask(shared, 1, follower=2, last_fetched_epoch=0, flushed_offset=1)
    assert only(await produced).error_code is ErrorCode.NONE


async def test_a_log_that_differs_acknowledges_nothing_and_hears_where(world, shared):
    world.send(shared, acks=1)
    await world.until(lambda: shared.log.flushed_offset == 1)
    world.set_leader(shared.topic_partition, 2)
    world.set_leader(shared.topic_partition, 1)
    response = only(world.ask(shared, 1, follower=2, last_fetched_epoch=1))
    assert (response.diverging_epoch.epoch, response.diverging_epoch.end_offset) == (0, 1)
    assert shared.high_watermark == 0
    # Longer than ours in an epoch that we know: the end of it is named.
    assert only(world.ask(shared, 5, follower=2, last_fetched_epoch=0)).diverging_epoch.end_offset == 1


@pytest.mark.parametrize("node", [-1, 3])
async def test_only_a_node_fetches_as_a_replica_and_only_as_itself(world, shared, node):
    world.send(shared, acks=1)
    answer = world.ask(shared, 1, follower=2, node=node)
    assert (answer.error_code, answer.partitions) == (ErrorCode.CLUSTER_AUTHORIZATION_FAILED, ())
    assert shared.high_watermark == 0


async def test_an_earlier_incarnation_of_a_follower_acknowledges_nothing(world, shared):
    world.send(shared, acks=1)
    answer = world.ask(shared, 1, follower=2, replica_epoch=world.epoch(2) - 1)
    assert answer.error_code is ErrorCode.STALE_BROKER_EPOCH
    assert shared.high_watermark == 0


async def test_a_follower_of_another_epoch_acknowledges_nothing(world, shared):
    world.send(shared, acks=1)
    await world.until(lambda: shared.log.flushed_offset == 1)
    for epoch in (-1, 7):
        world.ask(shared, 1, follower=2, current_leader_epoch=epoch, last_fetched_epoch=0)
    assert shared.high_watermark == 0


# The disk


async def test_what_is_not_in_the_page_cache_is_read_off_the_loop(world, orders, monkeypatch):
    await world.send(orders)
    monkeypatch.setattr(orders.log, "read", lambda *args, **kwargs: None)
    answer = world.ask(orders, 0)
    assert asyncio.isfuture(answer)
    assert len(only(await answer).records) > 0
    assert orders.counters.bytes_out > 0


async def test_a_woken_fetch_may_be_cold_too(world, orders, monkeypatch):
    waiting = world.ask(orders, 0, max_wait_ms=10_000)
    monkeypatch.setattr(orders.log, "read", lambda *args, **kwargs: None)
    await world.send(orders)
    assert len(only(await waiting).records) > 0


@pytest.mark.parametrize("follower", [None, 2])
async def test_what_was_read_while_the_leadership_went_is_not_served(world, shared, monkeypatch, follower):
    world.send(shared, acks=1)
    monkeypatch.setattr(shared.log, "read", lambda *args, **kwargs: None)
    answer = world.ask(shared, 0, **({} if follower is None else {"follower": follower}))
    if follower is None:
        assert not asyncio.isfuture(answer)  # nothing is committed
        await world.until(lambda: shared.log.flushed_offset == 1)
        world.ask(shared, 1, follower=2)
        answer = world.ask(shared, 0)
    state = replace(shared.state, leader=NodeId(2), leader_epoch=LeaderEpoch(shared.leader_epoch + 1))
    shared.follow(state)
    response = only(await answer)
    # By now these may be the new leader's batches, above a place where the follower's log is another one.
    assert (response.error_code, bytes(response.records)) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, b"")


@pytest.mark.parametrize("error", [CorruptionError("bad bytes"), StorageError("EIO")])
@pytest.mark.parametrize("cold", [False, True])
async def test_damaged_bytes_are_not_served(world, orders, monkeypatch, error, cold):
    await world.send(orders)

    def damaged(*args, **kwargs):
        raise error

    async def damaged_cold(*args, **kwargs):
        raise error

    monkeypatch.setattr(orders.log, "read", (lambda *args, **kwargs: None) if cold else damaged)
    monkeypatch.setattr(orders.log, "read_cold", damaged_cold)
    answer = world.ask(orders, 0)
    response = only(await answer if cold else answer)
    assert (response.error_code, bytes(response.records)) == (ErrorCode.KAFKA_STORAGE_ERROR, b"")
    assert orders.offline is error
    assert only(world.ask(orders, 0)).error_code is ErrorCode.KAFKA_STORAGE_ERROR


async def test_a_fault_in_a_woken_fetch_is_heard_by_who_waits(world, orders, monkeypatch):
    seen = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: seen.append(context["exception"]))
    waiting = world.ask(orders, 0, max_wait_ms=1_000)
    fault = InvariantViolationError("never")

    def broken(*args, **kwargs):
        raise fault

    monkeypatch.setattr(orders.log, "read", broken)
    await world.send(orders)
    with pytest.raises(InvariantViolationError):
        await waiting
    await asyncio.sleep(2)
    assert seen[0] is fault
    assert waiters(orders) == 0
