"""What is committed, when, and what is said when it cannot be."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.client import (
    ApiError,
    CommitFailedError,
    OffsetAndMetadata,
    RebalanceInProgressError,
    TopicPartition,
)
from raftkafka.model.api.committed_offsets import OffsetCommit, OffsetFetch
from raftkafka.model.errors import ErrorCode

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)


async def read(consumer, count: int) -> list[bytes]:
    values: list[bytes] = []
    async with asyncio.timeout(10):
        while len(values) < count:
            for records in (await consumer.poll(100)).values():
                values += [record.value for record in records]
    return values


def offsets(coordinator) -> dict[TopicPartition, int]:
    return {each: at for each, (at, *_) in coordinator.group().offsets.items()}


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_D6_offsets_metadata_and_leader_epoch_come_back(topic, member_of, coordinator):
    parts = topic("t", 2, records=4)
    parts[0].epoch = 1
    async with member_of(enable_auto_commit=False) as consumer:
        consumer.subscribe(["t"])
        await read(consumer, 8)
        assert await consumer.committed([T0, T1]) == {T0: None, T1: None}
        await consumer.commit()
        assert await consumer.committed([T0]) == {T0: OffsetAndMetadata(4, "", 1)}
        await consumer.commit({T0: OffsetAndMetadata(2, "half way", 7), T1: 3})
        assert await consumer.committed([("t", 0), T1]) == {
            T0: OffsetAndMetadata(2, "half way", 7),
            T1: OffsetAndMetadata(3),
        }
        with pytest.raises(ValueError, match="negative"):
            await consumer.commit({T0: -1})


async def test_without_auto_commit_nothing_is_committed_by_itself(topic, member_of, coordinator):
    topic("t", 1, records=3)
    async with member_of(enable_auto_commit=False, auto_commit_interval_ms=1) as consumer:
        consumer.subscribe(["t"])
        await read(consumer, 3)
        await consumer.poll(50)
    assert coordinator.sent(OffsetCommit) == []


async def test_auto_commit_commits_what_was_handed_out_before_this_poll(topic, member_of, coordinator):
    topic("t", 1, records=3)
    async with member_of(auto_commit_interval_ms=20, max_poll_records=1) as consumer:
        consumer.subscribe(["t"])
        assert len(await read(consumer, 1)) == 1
        await asyncio.sleep(0.05)
        assert offsets(coordinator).get(T0, 0) == 0  # the application may still be at work on it
        await read(consumer, 1)
        await until(lambda: offsets(coordinator) == {T0: 1})
        sent = len(coordinator.sent(OffsetCommit))
        await read(consumer, 1)
        async with asyncio.timeout(10):
            while offsets(coordinator) != {T0: 3}:
                await consumer.poll(5)
        await consumer.poll(100)
        assert len(coordinator.sent(OffsetCommit)) <= sent + 2  # not again what has not moved
    assert offsets(coordinator) == {T0: 3}


async def test_iterating_commits_a_record_when_the_next_is_asked_for(topic, member_of, coordinator):
    topic("t", 1, records=5)
    async with member_of(auto_commit_interval_ms=1) as consumer:
        consumer.subscribe(["t"])
        async for record in consumer:
            await asyncio.sleep(0.01)
            assert offsets(coordinator).get(T0, 0) <= record.offset
            if record.offset == 4:
                break
    assert offsets(coordinator) == {T0: 5}


async def fail_at_a_batch(consumer) -> None:
    async with consumer:
        consumer.subscribe(["t"])
        await read(consumer, 3)
        assert await consumer.poll(1_000)
        raise LookupError("the application failed at this batch")


async def fail_at_a_record(consumer) -> None:
    async with consumer:
        consumer.subscribe(["t"])
        async for _ in consumer:
            raise LookupError("the application failed at this record")


async def test_closing_commits_and_closing_after_an_error_leaves_out_what_was_in_hand(topic, member_of, coordinator):
    topic("t", 2, records=4)
    with pytest.raises(LookupError):
        await fail_at_a_batch(member_of(max_poll_records=3))
    assert sum(offsets(coordinator).values()) == 3
    with pytest.raises(LookupError):
        await fail_at_a_record(member_of())
    assert sum(offsets(coordinator).values()) == 3
    async with member_of() as consumer:
        consumer.subscribe(["t"])
        assert len(await read(consumer, 5)) == 5
    assert offsets(coordinator) == {T0: 4, T1: 4}


@pytest.mark.parametrize("code", [ErrorCode.ILLEGAL_GENERATION, ErrorCode.UNKNOWN_MEMBER_ID])
async def test_a_commit_of_somebody_who_is_out_fails_and_the_next_poll_joins(topic, member_of, coordinator, code):
    topic("t", 1, records=1)
    async with member_of(enable_auto_commit=False, heartbeat_interval_ms=1_900) as consumer:
        consumer.subscribe(["t"])
        await read(consumer, 1)
        coordinator.refuse(OffsetCommit, code)
        with pytest.raises(CommitFailedError, match="max_poll_interval_ms"):
            await consumer.commit()
        with pytest.raises(CommitFailedError, match="not a member of group 'g' now"):
            await consumer.commit()
        assert len(coordinator.sent(OffsetCommit)) == 1  # not as a stranger, whom an empty group would believe
        assert await read(consumer, 1)
        await consumer.commit()
    assert offsets(coordinator) == {T0: 1}


async def test_a_commit_during_a_rebalance_may_be_repeated_after_a_poll(topic, member_of, coordinator):
    topic("t", 1, records=1)
    async with member_of(enable_auto_commit=False) as consumer:
        consumer.subscribe(["t"])
        await read(consumer, 1)
        coordinator.refuse(OffsetCommit, ErrorCode.REBALANCE_IN_PROGRESS)
        with pytest.raises(RebalanceInProgressError, match="poll, and commit again"):
            await consumer.commit()
        await read(consumer, 1)  # it gave up its partition and began at the last commit: nowhere
        await consumer.commit()
    assert offsets(coordinator) == {T0: 1}


async def test_refusals_that_pass_are_waited_out_and_others_are_raised(topic, member_of, coordinator):
    topic("t", 1, records=1)
    async with member_of(enable_auto_commit=False) as consumer:
        consumer.subscribe(["t"])
        coordinator.refuse(OffsetFetch, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.UNSTABLE_OFFSET_COMMIT)
        await read(consumer, 1)
        coordinator.refuse(OffsetCommit, ErrorCode.NOT_COORDINATOR, ErrorCode.REQUEST_TIMED_OUT)
        await consumer.commit()
        assert len(coordinator.sent(OffsetCommit)) == 3
        coordinator.refuse(OffsetCommit, ErrorCode.OFFSET_METADATA_TOO_LARGE)
        with pytest.raises(ApiError, match="t-0: OFFSET_METADATA_TOO_LARGE"):
            await consumer.commit({T0: OffsetAndMetadata(1, "x" * 5_000)})


async def test_a_commit_nobody_answers_ends_in_time(topic, cluster, member_of, coordinator):
    topic("t", 1)
    async with member_of(default_api_timeout_ms=200, request_timeout_ms=50, session_timeout_ms=100) as consumer:
        consumer.assign([T0])
        await consumer.position(T0)
        cluster.deaf = {1, 2, 3}
        with pytest.raises(ApiError) as failed:
            await consumer.commit()
        assert failed.value.code is ErrorCode.REQUEST_TIMED_OUT


async def test_a_failed_commit_in_the_background_is_made_up_for(topic, member_of, coordinator, caplog):
    topic("t", 1, records=1)
    async with member_of(auto_commit_interval_ms=10) as consumer:
        consumer.subscribe(["t"])
        await read(consumer, 1)
        coordinator.refuse(OffsetCommit, ErrorCode.GROUP_AUTHORIZATION_FAILED)
        async with asyncio.timeout(10):
            while offsets(coordinator) != {T0: 1}:
                await consumer.poll(5)
    assert "GROUP_AUTHORIZATION_FAILED" in caplog.text


# Partitions assigned by hand


async def test_by_hand_it_begins_at_the_commit_and_commits_as_nobodys_member(topic, member_of, coordinator):
    topic("t", 2, records=4)
    coordinator.group().offsets[T0] = (3, "", -1)
    async with member_of(auto_commit_interval_ms=10) as consumer:
        consumer.assign([T0, T1])
        assert sorted(await read(consumer, 5)) == [b"0-3", b"1-0", b"1-1", b"1-2", b"1-3"]
        async with asyncio.timeout(10):
            while offsets(coordinator) != {T0: 4, T1: 4}:
                await consumer.poll(5)
        consumer.assign([T1])
        consumer.seek(T1, 2)
        assert await read(consumer, 2) == [b"1-2", b"1-3"]
        coordinator.group().members["somebody"] = None
        with pytest.raises(CommitFailedError, match="has members"):
            await consumer.commit({T1: 1})
        coordinator.group().members.clear()
    assert offsets(coordinator) == {T0: 4, T1: 4}
    assert coordinator.group().generation == 0


async def test_a_seek_beats_the_commit_that_is_being_looked_up(topic, member_of, coordinator):
    topic("t", 1, records=4)
    coordinator.group().offsets[T0] = (3, "", -1)
    async with member_of() as consumer:
        consumer.assign([T0])
        consumer.seek(T0, 1)
        assert await read(consumer, 3) == [b"0-1", b"0-2", b"0-3"]


async def test_nothing_committed_and_no_policy_is_an_error_until_somebody_seeks(topic, member_of, coordinator):
    topic("t", 1, records=2)
    async with member_of(auto_offset_reset="none") as consumer:
        consumer.subscribe(["t"])
        for _ in range(2):
            with pytest.raises(ApiError, match="committed nothing in t-0"):
                await consumer.poll(5_000)
        consumer.seek(T0, 1)
        assert await read(consumer, 1) == [b"0-1"]


async def test_offsets_that_cannot_be_had_are_told(topic, member_of, coordinator):
    topic("t", 1, records=2)
    coordinator.refuse(OffsetFetch, ErrorCode.GROUP_AUTHORIZATION_FAILED)
    async with member_of() as consumer:
        consumer.subscribe(["t"])
        with pytest.raises(ApiError) as failed:
            await consumer.poll(5_000)
        assert failed.value.code is ErrorCode.GROUP_AUTHORIZATION_FAILED
