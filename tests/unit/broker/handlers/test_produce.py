"""Produce: what each acks waits for, what a time-out says, and that nothing is left behind."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.broker.purgatory import WAIT_MAX_S
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import PartitionIndex, TopicId, TopicPartition
from raftkafka.record.build import encode_values


@pytest.fixture
async def orders(world):
    world.start_brokers(1, 2)
    world.run()
    return await world.leading("orders", 1)


@pytest.fixture
async def shared(world, orders):
    """A partition that waits for node 2."""
    return await world.leading("shared", 1, 2)


def follower_has(world, partition, offset: int) -> None:
    partition.on_replica_fetch(2, fetch_offset=offset, flushed_offset=offset, broker_epoch=world.epoch(2))


async def test_acks_1_is_answered_at_once_without_a_task(world, orders):
    world.disk.gate.clear()
    answer = world.send(orders, acks=1)
    assert not asyncio.isfuture(answer)
    (response,) = answer.partitions
    assert (response.error_code, response.base_offset, response.log_start_offset) == (ErrorCode.NONE, 0, 0)


async def test_acks_0_appends_and_says_nothing(world, orders):
    assert world.send(orders, acks=0) is None
    assert world.send(TopicPartition(TopicId(bytes(16)), PartitionIndex(0)), acks=0) is None
    assert orders.log.log_end_offset == 1


async def test_other_acks_are_refused_and_append_nothing(world, orders):
    for acks in (2, -2):
        (response,) = world.send(orders, acks=acks).partitions
        assert response.error_code is ErrorCode.INVALID_REQUIRED_ACKS
    assert orders.log.log_end_offset == 0


async def test_who_hears_is_told_in_the_turn_of_the_commit_and_the_future_ends_too(world, shared):
    heard = []
    waiting = world.send(shared)
    waiting.hear(heard.append)
    assert heard == []
    await asyncio.sleep(0.1)  # what the leader has is synced
    follower_has(world, shared, 1)
    (response,) = heard  # no turn of the loop has passed since
    assert await waiting is response
    assert response.partitions[0].base_offset == 0


async def test_who_hears_is_told_of_the_time_out_as_well_and_of_nothing_twice(world, shared):
    heard = []
    waiting = world.send(shared, timeout_ms=50)
    waiting.hear(heard.append)
    await asyncio.sleep(1)
    follower_has(world, shared, 1)
    assert [each.partitions[0].error_code for each in heard] == [ErrorCode.REQUEST_TIMED_OUT]
    assert (await waiting) is heard[0]


async def test_an_answer_that_was_cancelled_tells_nobody(world, shared):
    heard = []
    waiting = world.send(shared)
    waiting.hear(heard.append)
    waiting.cancel()
    await asyncio.sleep(0.1)
    follower_has(world, shared, 1)
    assert heard == []


async def test_acks_all_waits_for_the_sync(world, orders):
    world.disk.gate.clear()
    waiting = world.send(orders)
    await asyncio.sleep(0.5)
    assert not waiting.done()
    world.disk.gate.set()
    (response,) = (await waiting).partitions
    assert (response.error_code, response.base_offset) == (ErrorCode.NONE, 0)


async def test_under_os_a_lone_replica_answers_acks_all_at_once(os_world):
    os_world.start_brokers(1)
    os_world.run()
    partition = await os_world.leading()
    (response,) = os_world.send(partition).partitions
    assert (response.error_code, response.base_offset) == (ErrorCode.NONE, 0)
    assert len(partition.waiting_commits) == 0


async def test_one_sync_answers_many_requests(world, orders):
    before = len(world.disk.synced)
    answers = await asyncio.gather(*[world.send(orders) for _ in range(20)])
    assert [answer.partitions[0].base_offset for answer in answers] == list(range(20))
    assert len(world.disk.synced) == before + 1


async def test_the_answer_comes_when_the_last_partition_is_committed(world, orders, shared):
    waiting = world.send(orders, shared)
    await asyncio.sleep(0.1)
    assert orders.high_watermark == 1
    assert not waiting.done()
    follower_has(world, shared, 1)
    answer = await waiting
    assert [(each.topic_id, each.error_code) for each in answer.partitions] == [
        (orders.topic_partition.topic_id, ErrorCode.NONE),
        (shared.topic_partition.topic_id, ErrorCode.NONE),
    ]


async def test_a_time_out_names_only_what_is_not_committed_and_the_batch_stays(world, orders, shared):
    began = asyncio.get_running_loop().time()
    answer = await world.send(orders, shared, timeout_ms=500)
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.5)
    assert [each.error_code for each in answer.partitions] == [ErrorCode.NONE, ErrorCode.REQUEST_TIMED_OUT]
    assert answer.partitions[1].error_message is not None
    assert shared.log.log_end_offset == 1
    assert len(shared.waiting_commits) == 0
    follower_has(world, shared, 1)
    assert shared.high_watermark == 1


async def test_a_lost_leadership_keeps_its_code_when_the_rest_times_out(world, shared):
    other = await world.leading("other", 1, 2)
    waiting = world.send(shared, other, timeout_ms=500)
    world.set_leader(other.topic_partition, 2)
    answer = await waiting
    codes = [each.error_code for each in answer.partitions]
    assert codes == [ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_LEADER_OR_FOLLOWER]


async def test_a_client_cannot_make_us_wait_for_ever(world, shared):
    began = asyncio.get_running_loop().time()
    await world.send(shared, timeout_ms=1 << 40)
    assert asyncio.get_running_loop().time() - began == pytest.approx(WAIT_MAX_S)


async def test_an_abandoned_wait_goes_with_its_time_out(world, shared):
    waiting = world.send(shared, timeout_ms=500)
    waiting.cancel()
    await asyncio.sleep(1)
    assert len(shared.waiting_commits) == 0


async def test_an_abandoned_wait_may_be_committed(world, shared):
    waiting = world.send(shared, timeout_ms=500)
    waiting.cancel()
    await asyncio.sleep(0.1)
    follower_has(world, shared, 1)
    assert len(shared.waiting_commits) == 0


async def test_the_same_partition_twice_is_appended_twice(world, orders):
    answer = await world.send(orders, orders)
    assert [each.base_offset for each in answer.partitions] == [0, 1]


async def test_a_deleted_topic_answers_who_waits(world, shared):
    waiting = world.send(shared)
    world.delete(shared.topic_partition)
    (response,) = (await waiting).partitions
    assert response.error_code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def test_without_a_lease_nothing_is_appended(world, orders):
    world.lease = False
    for acks in (1, -1):
        (response,) = world.send(orders, acks=acks).partitions
        assert response.error_code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert orders.log.log_end_offset == 0


async def test_a_batch_that_is_committed_after_the_lease_is_not_acknowledged(world, orders):
    """The disk took longer than the controller waited: another may lead by now, and may know nothing of the batch."""
    world.disk.gate.clear()
    waiting = world.send(orders)
    await asyncio.sleep(0.1)
    world.lease = False
    world.disk.gate.set()
    (response,) = (await waiting).partitions
    assert response.error_code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert "unknown" in response.error_message
    assert orders.high_watermark == 1


async def test_the_wrong_broker_names_the_right_one(world, shared):
    world.set_leader(shared.topic_partition, 2)
    (response,) = world.send(shared).partitions
    assert response.error_code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert (response.current_leader, response.current_leader_epoch) == (2, 1)


async def test_an_unknown_topic_is_told_from_one_that_lives_elsewhere(world, orders):
    elsewhere = world.create("elsewhere", 2)
    unknown = TopicPartition(TopicId(b"x" * 16), PartitionIndex(0))
    codes = [each.error_code for each in world.send(unknown, elsewhere, acks=1).partitions]
    assert codes == [ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.NOT_LEADER_OR_FOLLOWER]


async def test_one_refused_partition_leaves_the_others_alone(world, orders):
    damaged = world.batch()
    damaged[-1] ^= 1
    (refused,) = world.send(orders, records=damaged).partitions
    assert refused.error_code is ErrorCode.CORRUPT_MESSAGE
    answer = await world.send(TopicPartition(TopicId(b"x" * 16), PartitionIndex(0)), orders)
    assert [each.error_code for each in answer.partitions] == [ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.NONE]
    assert orders.log.log_end_offset == 1


def numbered(sequence: int, epoch: int = 0, producer_id: int = 7) -> memoryview:
    return memoryview(
        encode_values(
            (b"value",), timestamp_ms=1_000, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence
        )
    )


async def test_a_repeated_batch_gets_its_offset_and_appends_nothing(world, orders):
    await world.send(orders)
    await world.send(orders, records=numbered(0))
    (again,) = world.send(orders, records=numbered(0)).partitions
    assert (again.error_code, again.base_offset) == (ErrorCode.NONE, 1)
    assert orders.log.log_end_offset == 2
    assert orders.counters.records_in == 2


async def test_a_repeated_batch_waits_for_the_commit_of_the_first(world, shared):
    """The first answer was lost: the second must not promise what the first could not."""
    first = world.send(shared, records=numbered(0), timeout_ms=100)
    assert (await first).partitions[0].error_code is ErrorCode.REQUEST_TIMED_OUT
    again = world.send(shared, records=numbered(0))
    await asyncio.sleep(0.1)
    assert not again.done()
    follower_has(world, shared, 1)
    (response,) = (await again).partitions
    assert (response.error_code, response.base_offset) == (ErrorCode.NONE, 0)
    assert shared.log.log_end_offset == 1


async def test_wrong_numbers_are_refused_in_kafkas_words(world, orders):
    await world.send(orders, records=numbered(0, epoch=1))
    for records, code in (
        (numbered(2, epoch=1), ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
        (numbered(1, epoch=0), ErrorCode.INVALID_PRODUCER_EPOCH),
        (numbered(1, epoch=2), ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
    ):
        (response,) = world.send(orders, records=records).partitions
        assert response.error_code is code
    assert orders.log.log_end_offset == 1
