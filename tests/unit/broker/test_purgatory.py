"""Commits answer in offset order, delayed fetches once, and nobody stays behind in a table."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.broker.purgatory import PARTITIONS_PER_TURN, CommitQueue, CommitWait, DelayedFetch, FetchWaiters, Turns
from raftkafka.model.errors import ErrorCode


@given(st.lists(st.integers(1, 5), max_size=20), st.lists(st.integers(0, 60), max_size=10))
def test_exactly_what_lies_below_the_watermark_is_answered_in_order(sizes, watermarks):
    queue, done, offset = CommitQueue(), [], 0
    lasts = []
    for size in sizes:
        offset += size
        last = offset - 1
        lasts.append(last)
        queue.add(CommitWait(last, lambda code, last=last: done.append((last, code))))
    highest = 0
    for watermark in watermarks:
        queue.complete(watermark)
        highest = max(highest, watermark)
        assert done == [(last, ErrorCode.NONE) for last in lasts if last < highest]
    queue.fail(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    assert [last for last, _ in done] == lasts
    assert len(queue) == 0


def test_a_discarded_wait_is_not_answered():
    queue, done = CommitQueue(), []
    wait = CommitWait(3, done.append)
    queue.add(wait)
    queue.discard(wait)
    queue.discard(wait)
    queue.complete(10)
    queue.fail(ErrorCode.UNKNOWN_SERVER_ERROR)
    assert done == []


class Attempts:
    def __init__(self, *outcomes: bool) -> None:
        self.outcomes = list(outcomes)
        self.finals: list[bool] = []
        self.left = 0

    def attempt(self, final: bool) -> bool:
        self.finals.append(final)
        return self.outcomes.pop(0) if self.outcomes else False

    def leave(self, fetch: DelayedFetch) -> None:
        self.left += 1

    def fetch(self, max_wait_s: float = 1.0) -> DelayedFetch:
        return DelayedFetch(
            attempt=self.attempt, leave=self.leave, max_wait_s=max_wait_s, turns=Turns(), size=lambda: 1
        )


async def test_wake_ups_of_one_turn_are_one_attempt():
    attempts = Attempts(False, True)
    fetch = attempts.fetch()
    for _ in range(5):
        fetch.wake()
    await asyncio.sleep(0.01)
    assert attempts.finals == [False]
    fetch.wake()
    await asyncio.sleep(0.01)
    fetch.wake()
    await asyncio.sleep(2)
    assert attempts.finals == [False, False]
    assert attempts.left == 1


async def test_when_the_time_is_up_the_last_attempt_is_final():
    attempts = Attempts()
    attempts.fetch(max_wait_s=0.5)
    await asyncio.sleep(0.4)
    assert attempts.finals == []
    await asyncio.sleep(0.2)
    assert attempts.finals == [True]
    assert attempts.left == 1


async def test_a_cancelled_fetch_leaves_and_tries_no_more():
    attempts = Attempts()
    fetch = attempts.fetch()
    fetch.wake()
    fetch.cancel()
    fetch.cancel()
    await asyncio.sleep(2)
    assert attempts.finals == []
    assert attempts.left == 1


async def test_many_that_are_woken_at_once_share_the_loop_with_others():
    """A client that parks fetches of thousands of partitions must not hold up Raft whenever a record comes."""
    turns, tried = Turns(), []
    for number in range(5):
        fetch = DelayedFetch(
            attempt=lambda final, number=number: bool(tried.append(number)) or True,
            leave=lambda fetch: None,
            max_wait_s=60,
            turns=turns,
            size=lambda: PARTITIONS_PER_TURN // 2,
        )
        fetch.wake()
    progress = []
    while len(tried) < 5:
        await asyncio.sleep(0)
        progress.append(len(tried))
    assert progress[-3:] == [2, 4, 5]
    assert tried == [0, 1, 2, 3, 4]


async def test_a_last_attempt_that_fails_still_leaves():
    attempts = Attempts()
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context["exception"]))

    def broken(final: bool) -> bool:
        raise ZeroDivisionError

    DelayedFetch(attempt=broken, leave=attempts.leave, max_wait_s=0.1, turns=Turns(), size=lambda: 1)
    await asyncio.sleep(1)
    assert [type(error) for error in errors] == [ZeroDivisionError]
    assert attempts.left == 1


class Heard:
    def __init__(self) -> None:
        self.urgent: list[bool] = []

    def news(self, *, urgent: bool) -> None:
        self.urgent.append(urgent)


@pytest.mark.parametrize(
    ("news", "heard"),
    [
        ("log_end_moved", [[True], []]),
        ("watermark_moved", [[False], [True]]),
        ("role_changed", [[True], [True]]),
    ],
)
def test_followers_hear_of_the_log_end_and_consumers_of_the_watermark(news, heard):
    waiters = FetchWaiters()
    both = [Heard(), Heard()]
    waiters.join(both[0], follower=True)
    waiters.join(both[1], follower=False)
    getattr(waiters, news)()
    assert [each.urgent for each in both] == heard
    # Who has heard urgent news is not told again, until it has looked and joins again.
    assert len(waiters) == 2 - sum(each.count(True) for each in heard)
    for number, each in enumerate(both):
        waiters.join(each, follower=number == 0)
        waiters.leave(each)
    waiters.role_changed()
    assert [each.urgent for each in both] == heard
