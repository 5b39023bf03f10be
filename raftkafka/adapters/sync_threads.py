"""The threads that wait for the device while a sync is under way, one queue and one wake-up of the loop per sync.

Floor 4. A pool of `concurrent.futures` costs a lock, two futures and three turns of the loop for every call; under
`log.flush.policy=group` each produce pays for it. Invariant: what was begun is finished, whoever stops waiting for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from queue import SimpleQueue
from threading import Thread
from typing import Any


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


_Job = tuple[asyncio.AbstractEventLoop, Callable[[], None], Callable[[BaseException | None], None]]


class SyncThreads:
    """At most `threads`, started when there is work for them. All methods are for the loop's thread."""

    def __init__(self, threads: int) -> None:
        self._threads_max = threads
        self._threads: list[Thread] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._under_way = 0

    def run(self, call: Callable[[], None], done: Callable[[BaseException | None], None]) -> ThreadWork:
        """Run `call` in a thread. On the loop `done` hears of its end first, with the failure or None."""
        loop = asyncio.get_running_loop()
        work = ThreadWork(loop=loop)

        def finished(failure: BaseException | None) -> None:
            self._under_way -= 1
            done(failure)
            if failure is None:
                work.set_result(None)
            else:
                work.set_exception(failure)

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
