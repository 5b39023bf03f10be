"""Threads for syncs: bounded, told on the loop, and never left half way."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import sys
import threading

import pytest

from raftkafka.adapters import sync_threads
from raftkafka.adapters.sync_threads import SyncThreads
from raftkafka.model.errors import SyncFailedError

needs_compiler = pytest.mark.skipif(not sync_threads.IS_COMPILED, reason="no compiler was there")


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


# Syncs, by threads of Python and by those without its lock


@pytest.fixture(params=["python", pytest.param("compiled", marks=needs_compiler)])
def syncs(request):
    threads = SyncThreads(2, compiled=request.param == "compiled")
    yield threads
    threads.close()


class Named:
    is_closed = False

    def __init__(self, path: str) -> None:
        self.path = path


@pytest.fixture
def files(tmp_path):
    opened = [os.open(tmp_path / f"{number}", os.O_CREAT | os.O_WRONLY) for number in range(3)]
    for descriptor in opened:
        os.write(descriptor, b"x")
    yield [(descriptor, Named(f"file {number}")) for number, descriptor in enumerate(opened)]
    for descriptor in opened:
        os.close(descriptor)


async def test_a_sync_ends_and_is_told_in_order(syncs, files):
    told: list[object] = []
    work = syncs.sync(
        files, lambda failure: told.append(("done", failure)), lambda failure: told.append(("then", failure))
    )
    work.add_done_callback(lambda _: told.append("awaited"))
    assert told == []
    await work
    await asyncio.sleep(0)
    assert told == [("done", None), ("then", None), "awaited"]


async def test_the_first_failure_is_told_with_its_path_and_nothing_behind_it_is_tried(syncs, files):
    read, write = os.pipe()
    told: list[BaseException | None] = []
    try:
        # A pipe cannot be synced (EINVAL), and neither can what is not open.
        with pytest.raises(SyncFailedError, match=f"cannot sync a pipe: {os.strerror(errno.EINVAL)}"):
            await syncs.sync([files[0], (write, Named("a pipe")), (1 << 20, Named("nothing"))], told.append, None)
    finally:
        os.close(read)
        os.close(write)
    assert isinstance(told[0], SyncFailedError)
    await syncs.sync(files, told.append, None)
    assert told[1:] == [None]


async def test_what_somebody_else_removed_is_not_synced(syncs, files, tmp_path):
    (tmp_path / "0").unlink()
    (tmp_path / "2").unlink()
    files[0][1].is_closed = True  # that was ourselves
    with pytest.raises(SyncFailedError, match="cannot sync file 2: it was removed"):
        await syncs.sync(files, lambda _: None, None)
    files[2][1].is_closed = True
    await syncs.sync(files, lambda _: None, None)


async def test_a_failure_that_then_hears_is_nobody_elses_to_retrieve(syncs):
    told: list[BaseException | None] = []
    ended = asyncio.Event()

    def then(failure: BaseException | None) -> None:
        told.append(failure)
        ended.set()

    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    syncs.sync([(1 << 20, Named("nothing"))], told.append, then)
    await asyncio.wait_for(ended.wait(), 10)
    gc.collect()
    assert [str(each) for each in told] == [f"cannot sync nothing: {os.strerror(errno.EBADF)}"] * 2
    assert problems == []


async def test_many_syncs_at_once_end_each_once(syncs, files):
    ended: list[int] = []
    work = [syncs.sync(files, lambda _, number=number: ended.append(number), None) for number in range(200)]
    await asyncio.gather(*work)
    assert sorted(ended) == list(range(200))
    for number in range(50):
        await syncs.sync(files[:1], lambda _, number=number: ended.append(number), None)
    assert ended[200:] == list(range(50))


async def test_closing_finishes_what_was_begun_and_tells(syncs, files):
    ended: list[BaseException | None] = []
    work = [syncs.sync(files, ended.append, None) for _ in range(20)]
    syncs.close()
    await asyncio.gather(*work)
    assert ended == [None] * 20
    await syncs.sync(files, ended.append, None)  # by a thread of Python: the others are gone
    assert len(ended) == 21


def test_another_loop_may_take_over(syncs, files):
    ended: list[BaseException | None] = []

    async def once() -> None:
        await syncs.sync(files, ended.append, None)

    asyncio.run(once())
    asyncio.run(once())
    assert ended == [None, None]


@needs_compiler
async def test_nothing_is_kept_of_a_sync_that_has_ended(files):
    threads = SyncThreads(1)
    done, then = (lambda _: None), (lambda _: None)
    await threads.sync(files, done, then)
    before = sys.getrefcount(done), sys.getrefcount(then)
    for _ in range(50):
        await threads.sync(files, done, then)
    assert (sys.getrefcount(done), sys.getrefcount(then)) == before
    threads.sync(files, done, then)
    threads.close()
    del threads
    gc.collect()
    assert (sys.getrefcount(done), sys.getrefcount(then)) == before


@needs_compiler
def test_threads_without_the_lock_take_nothing_but_descriptors():
    syncs = sync_threads.Syncs(2)
    for wrong in ([1], ("1",), (1 << 40,), (-1,)):
        with pytest.raises((TypeError, OverflowError)):
            syncs.submit(wrong, None)
    with pytest.raises(ValueError, match="threads is between"):
        sync_threads.Syncs(0)
    assert list(syncs.collect()) == []
    assert list(syncs.finish()) == []
    with pytest.raises(OSError, match=os.strerror(errno.ESHUTDOWN)):
        syncs.submit((), None)


@needs_compiler
async def test_signals_are_left_to_the_main_thread(files):
    heard: list[int] = []
    threads = SyncThreads(1)
    await threads.sync(files, lambda _: None, None)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, heard.append, 1)
    for _ in range(20):
        os.kill(os.getpid(), signal.SIGUSR1)
        await threads.sync(files, lambda _: None, None)
    assert heard
    threads.close()


@needs_compiler
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_a_fork_does_not_wait_for_threads_that_it_does_not_have(files):
    threads = SyncThreads(1)
    await threads.sync(files, lambda _: None, None)
    syncs = threads._syncs
    assert syncs is not None
    child = os.fork()
    if child == 0:
        syncs.finish()
        os._exit(7)
    _, status = await asyncio.wait_for(asyncio.to_thread(os.waitpid, child, 0), 30)
    assert os.waitstatus_to_exitcode(status) == 7
    threads.close()


async def test_a_fault_of_who_hears_of_one_keeps_nobody_else_from_hearing(syncs, files):
    reported: list[BaseException] = []
    told: list[BaseException | None] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def faulty(failure: BaseException | None) -> None:
        raise ZeroDivisionError

    for _ in range(5):
        syncs.sync(files, lambda _: None, faulty)
        syncs.sync(files, lambda _: None, told.append)
    async with asyncio.timeout(20):
        while len(told) + len(reported) < 10:
            await asyncio.sleep(0.001)
    assert told == [None] * 5
    assert [type(each) for each in reported] == [ZeroDivisionError] * 5
