"""The futures that `send` gives behave as any other, though most are never set up."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref

import pytest

from raftkafka.client.delivery import Delivery, Outcome
from raftkafka.client.types import UNKNOWN_OFFSET, RecordMetadata, TopicPartition
from raftkafka.model.errors import ApiError, ErrorCode

PLACE = TopicPartition("t", 2)
RECORDS = [(None, b"x", 70 + number, ()) for number in range(4)]
ERROR = ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "gone")


def outcome_of(count: int = 4) -> tuple[Outcome, list[Delivery]]:
    outcome = Outcome(asyncio.get_running_loop())
    futures = []
    for index in range(count):
        future = Delivery.__new__(Delivery)
        future.outcome, future.index = outcome, index
        futures.append(future)
    return outcome, futures


async def test_who_asks_before_and_who_asks_after_hear_the_same():
    outcome, futures = outcome_of()
    assert all(map(asyncio.isfuture, futures))
    early = asyncio.gather(*futures[:2])
    await asyncio.sleep(0)
    assert not futures[1].done()
    assert not futures[1].cancelled()
    with pytest.raises(asyncio.InvalidStateError):
        futures[1].result()
    outcome.succeed(PLACE, 10, -1, RECORDS)
    placed = [*await early, await futures[2], futures[3].result()]
    assert placed == [RecordMetadata("t", 2, 10 + number, 70 + number) for number in range(4)]
    assert futures[3].exception() is None


@pytest.mark.parametrize("early", [True, False])
async def test_the_time_of_the_broker_and_an_unknown_offset(early):
    outcome, (first, *_) = outcome_of()
    assert not early or not first.done()
    outcome.succeed(PLACE, UNKNOWN_OFFSET, 99, RECORDS)
    assert await first == RecordMetadata("t", 2, UNKNOWN_OFFSET, 99)


@pytest.mark.parametrize("early", [True, False])
async def test_callbacks_get_the_future_itself_in_the_order_of_sending(early):
    outcome, futures = outcome_of()
    seen, removed = [], []
    if not early:
        outcome.succeed(PLACE, 0, -1, RECORDS)
    for future in futures if not early else reversed(futures):
        future.add_done_callback(seen.append)
        if early:
            future.add_done_callback(removed.append)
            assert future.remove_done_callback(removed.append) == 1
        assert future.get_loop() is asyncio.get_running_loop()
    if early:
        outcome.succeed(PLACE, 0, -1, RECORDS)
    await asyncio.sleep(0)
    assert seen == futures
    assert removed == []


async def test_a_cancelled_one_leaves_the_others_alone():
    outcome, (first, second, *_) = outcome_of()
    assert first.cancel("no longer wanted")
    outcome.succeed(PLACE, 0, -1, RECORDS)
    assert first.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).offset == 1
    assert not second.cancel()


async def test_waiting_with_a_limit_and_as_completed():
    outcome, futures = outcome_of()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(futures[0], 0)
    done, pending = await asyncio.wait(futures[1:], timeout=0)
    assert not done
    assert pending == set(futures[1:])
    outcome.succeed(PLACE, 0, -1, RECORDS)
    assert {(await each).offset for each in asyncio.as_completed(futures[1:])} == {1, 2, 3}
    assert "finished" in repr(futures[1])


@pytest.mark.parametrize("early", [True, False])
async def test_a_failure_reaches_everybody(early, caplog):
    outcome, futures = outcome_of()
    if early:
        assert not any(future.done() for future in futures)
    outcome.fail(ERROR, 4)
    assert futures[0].exception() is ERROR
    for future in futures:
        with pytest.raises(ApiError, match="gone"):
            await future
    del outcome, futures, future
    gc.collect()
    assert not caplog.records


@pytest.mark.parametrize("looked_at", [0, 1])
async def test_a_failure_that_nobody_asks_for_is_logged_once_for_a_batch(looked_at, caplog):
    outcome, futures = outcome_of()
    outcome.fail(ERROR, 4)
    for future in futures[:looked_at]:
        assert future.exception() is ERROR
        del future
    del outcome, futures
    gc.collect()
    assert len(caplog.records) == 1 - looked_at
    assert all("never retrieved" in record.getMessage() for record in caplog.records)


async def test_who_keeps_a_future_does_not_keep_the_records():
    outcome, futures = outcome_of(1)
    value = bytes(1000)
    records, before = [(None, value, 1, ())], sys.getrefcount(value)
    outcome.succeed(PLACE, 0, -1, records)
    records.clear()
    assert sys.getrefcount(value) == before - 1
    assert (await futures[0]).timestamp_ms == 1


async def test_an_error_whose_frames_hold_its_future_is_collected():
    outcome, futures = outcome_of(1)
    outcome.fail(ERROR.__class__(ERROR.code, "cycle"), 1)
    gone = weakref.ref(futures[0])

    async def look(future: Delivery) -> None:
        await future

    with pytest.raises(ApiError):
        await look(futures[0])
    del outcome, futures
    gc.collect()
    assert gone() is None
