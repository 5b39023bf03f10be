"""Threads for syncs: bounded, told on the loop, and never left half way."""

from __future__ import annotations

import asyncio
import threading

import pytest

from raftkafka.adapters.sync_threads import SyncThreads


@pytest.fixture
def threads():
    threads = SyncThreads(2)
    yield threads
    threads.close()


async def test_no_more_run_at_once_than_there_are_threads(threads):
    free = threading.Event()
    running: list[str] = []
    begun = threading.Semaphore(0)

    def call() -> None:
        running.append(threading.current_thread().name)
        begun.release()
        free.wait(10)

    work = [threads.run(call, lambda failure: None) for _ in range(5)]
    for _ in range(2):
        assert await asyncio.to_thread(begun.acquire, timeout=10)
    assert len(running) == 2
    free.set()
    await asyncio.gather(*work)
    assert len(running) == 5
    assert len(set(running)) == 2


async def test_the_loop_is_told_before_who_awaits(threads):
    told: list[object] = []
    work = threads.run(lambda: None, told.append)
    work.add_done_callback(lambda _: told.append("awaited"))
    await work
    assert told[0] is None


async def test_a_failure_goes_to_both_and_the_thread_lives_on(threads):
    told: list[BaseException | None] = []
    error = OSError("EIO")

    def fail() -> None:
        raise error

    with pytest.raises(OSError, match="EIO"):
        await threads.run(fail, told.append)
    await threads.run(lambda: None, told.append)
    assert told == [error, None]


async def test_closing_waits_for_what_was_begun():
    threads = SyncThreads(1)
    ended: list[int] = []
    work = [threads.run(lambda number=number: ended.append(number), lambda failure: None) for number in range(3)]
    threads.close()
    assert ended == [0, 1, 2]
    await asyncio.gather(*work)


async def test_work_cannot_be_called_back(threads):
    work = threads.run(lambda: None, lambda failure: None)
    assert not work.cancel()
    await work
