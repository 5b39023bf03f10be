"""The threads that wait for the device while a sync is under way, one queue and one wake-up of the loop per sync.

Floor 4. A pool of `concurrent.futures` costs a lock, two futures and three turns of the loop for every call; under
`log.flush.policy=group` each produce pays for it. What is nothing but a sync of open files goes to threads without Python's lock, where
the package was built with a compiler (`_syncs.c`): else loop and thread wait for each other's lock twice. Invariant: what was begun is finished, whoever stops waiting for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Generator, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, Protocol, cast

from raftkafka.model.errors import SyncFailedError

try:
    from raftkafka.adapters._syncs import Syncs

    IS_COMPILED: Final = True
except ImportError:  # no compiler was there, or none for this interpreter
    IS_COMPILED: Final = False  # type: ignore[misc]


class ThreadWork(asyncio.Future[None]):
    """What a thread is doing. It cannot be called back, so a cancelled caller waits for its end as well.

    A failure counts more than the cancellation: nobody may take a failed sync for one that was not begun.
    """

    def cancel(self, msg: Any | None = None) -> bool:
        return False

    def __await__(self) -> Generator[Any, None, None]:
        return self._to_the_end().__await__()

    async def _to_the_end(self) -> None:
        if self.done():
            return self.result()
        try:
            await asyncio.shield(self)
        except asyncio.CancelledError:
            await asyncio.wait([self])
            if (failure := self.exception()) is not None:
                raise failure from None
            raise


Done = Callable[[BaseException | None], None]
"""Told on the loop: why it failed, or None."""

REMOVED: Final = "it was removed"
"""What we remove is closed first; what somebody else removed goes with the process, however often it is synced."""


class Syncable(Protocol):
    @property
    def path(self) -> str: ...

    @property
    def is_closed(self) -> bool: ...


Descriptors = Sequence[tuple[int, Syncable]]
_Job = tuple[asyncio.AbstractEventLoop, Callable[[], None], Callable[[BaseException | None], None]]


class SyncThreads:
    """At most `threads`, started when there is work for them. All methods are for the loop's thread."""

    def __init__(self, threads: int, *, compiled: bool = True) -> None:
        """`compiled` False: threads of Python for everything."""
        self._threads_max = threads
        self._threads: list[Thread] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._under_way = 0
        self._syncs = Syncs(threads) if IS_COMPILED and compiled else None
        self._listening: asyncio.AbstractEventLoop | None = None

    def sync(self, descriptors: Descriptors, done: Done, then: Done | None) -> ThreadWork:
        """`fdatasync` of each. As `run`; the failure is a `SyncFailedError`."""
        if self._syncs is None:
            return self.run(lambda: sync_files(descriptors), done, then)
        loop = asyncio.get_running_loop()
        if self._listening is not loop:
            self._listen(loop)
        work = ThreadWork(loop=loop)
        self._syncs.submit(tuple([descriptor for descriptor, _ in descriptors]), (work, descriptors, done, then))
        return work

    def _listen(self, loop: asyncio.AbstractEventLoop | None) -> None:
        assert self._syncs is not None
        if self._listening is not None and not self._listening.is_closed():
            self._listening.remove_reader(self._syncs.fileno())
        self._listening = loop
        if loop is not None:
            loop.add_reader(self._syncs.fileno(), self._collect)

    def _collect(self) -> None:
        assert self._syncs is not None
        assert self._listening is not None
        ended = self._syncs.collect()
        # In turns of their own: a fault of who hears of one must not keep the others from hearing of theirs.
        for each in ended[1:]:
            self._listening.call_soon(_synced, *each)
        for each in ended[:1]:
            _synced(*each)

    def run(self, call: Callable[[], None], done: Done, then: Done | None = None) -> ThreadWork:
        """Run `call` in a thread. On the loop `done` hears of its end first, with the failure or None.

        `then` hears of it next, in the same turn, and is told nothing twice: with it, a failure is nobody else's to retrieve.
        """
        loop = asyncio.get_running_loop()
        work = ThreadWork(loop=loop)

        def finished(failure: BaseException | None) -> None:
            self._under_way -= 1
            _finish(work, failure, done, then)

        self._under_way += 1
        if self._under_way > len(self._threads) and len(self._threads) < self._threads_max:
            # Not waited for at the end of the process: `close` does that for whoever stops in order.
            thread = Thread(target=_work, args=(self._jobs,), name=f"sync_{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._jobs.put((loop, call, finished))
        return work

    def close(self) -> None:
        """Whatever was begun is finished first."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()
        if self._syncs is not None and self._listening is not None:
            somebody = not self._listening.is_closed()
            self._listen(None)
            for ended in self._syncs.finish():
                if somebody:
                    _synced(*ended)
        self._syncs = None


def _synced(token: object, error: int, at: int, removed: Sequence[int]) -> None:
    work, descriptors, done, then = cast(tuple[ThreadWork, Descriptors, Done, Done | None], token)
    failure = _failed(descriptors[at][1], os.strerror(error)) if error else None
    for gone in removed:
        if failure is None and not descriptors[gone][1].is_closed:
            failure = _failed(descriptors[gone][1], REMOVED)
    _finish(work, failure, done, then)


def _finish(work: ThreadWork, failure: BaseException | None, done: Done, then: Done | None) -> None:
    done(failure)
    if failure is None:
        work.set_result(None)
    else:
        work.set_exception(failure)
    if then is not None:
        work.exception()  # retrieved: `then` is who was waiting
        then(failure)


def sync_files(descriptors: Descriptors) -> None:
    """`fdatasync` of each, in this order.

    Raises:
        SyncFailedError: the first failure; those behind it are not tried.
    """
    for descriptor, file in descriptors:
        try:
            os.fdatasync(descriptor)
            removed = os.fstat(descriptor).st_nlink == 0
        except OSError as error:
            raise _failed(file, os.strerror(error.errno or 0)) from error
        if removed and not file.is_closed:
            raise _failed(file, REMOVED)


def _failed(file: Syncable, why: str) -> SyncFailedError:
    return SyncFailedError(f"cannot sync {file.path}: {why}")


def _work(jobs: SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        loop, call, finished = job
        failure: BaseException | None = None
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to who asked
            failure = error
        # A loop that was closed meanwhile has nobody left who could be told.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(finished, failure)
        # An idle thread must not keep files and errors alive.
        del job, loop, call, finished, failure
