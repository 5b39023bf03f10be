"""Group commit of one log directory: one sync, off the loop, serves every append that waits for it.

Floor 3. The next sync starts as soon as the last one ends, with whatever has come in between. A failed sync is never
retried: the data may be gone although a second try succeeds, so the whole directory goes offline (I1, I15).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from raftkafka.model.errors import StorageError
from raftkafka.model.ids import Offset
from raftkafka.ports.disk import Disk, File
from raftkafka.ports.probe import Probe

_log = logging.getLogger("raftkafka.log")


class Flushable(Protocol):
    """What the flusher needs of a partition."""

    def files_to_sync(self) -> tuple[list[File], Offset]: ...

    def on_flushed(self, end: Offset, files: list[File]) -> None: ...


_Parts = list[tuple[Flushable, list[File], Offset]]


class Flusher:
    """Syncs the partitions of one log directory. `on_failure` is told once, with the error."""

    def __init__(self, *, disk: Disk, probe: Probe, on_failure: Callable[[StorageError], None]) -> None:
        self._disk = disk
        self._probe = probe
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._dirty: dict[Flushable, None] = {}
        self._next_sync: asyncio.Future[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._busy = False
        self._failed: StorageError | None = None

    def request(self, partition: Flushable) -> None:
        """Sync `partition` with the next group; `on_flushed` tells when. Appends of this loop turn share one sync."""
        if self._failed is not None:
            return
        self._dirty[partition] = None
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._begin)

    def forget(self, partition: Flushable) -> None:
        """The partition's files are about to be closed."""
        self._dirty.pop(partition, None)

    async def next_sync(self) -> None:
        """Wait until everything requested so far has been synced (or has failed: then the partitions are offline)."""
        if not self._busy:
            return
        if self._next_sync is None:
            self._next_sync = self._loop.create_future()
        await asyncio.shield(self._next_sync)

    # Callbacks rather than a task: a task, and the turns of the loop that it takes, cost as much as a sync.

    def _begin(self) -> None:
        group, self._dirty = self._dirty, {}
        self._waiter, self._next_sync = self._next_sync, None
        try:
            parts = [(partition, *partition.files_to_sync()) for partition in group]
            files = [file for _, some, _ in parts for file in some]
            if files:
                self._disk.sync_then(files, partial(self._synced, parts, len(files), self._loop.time()))
                return
            _tell(parts)
        except StorageError as error:
            self._fail(error)
        except BaseException:
            self._end()
            raise
        else:
            self._go_on()

    def _synced(self, parts: _Parts, files: int, began: float, failure: BaseException | None) -> None:
        if isinstance(failure, asyncio.CancelledError):
            self._end()  # the loop is closing
            return
        try:
            if failure is not None:
                raise failure
            self._probe.log_sync(self._loop.time() - began, files)
            _tell(parts)
        except StorageError as error:
            self._fail(error)
        except BaseException:
            self._end()
            raise
        else:
            self._go_on()

    def _go_on(self) -> None:
        _release(self._waiter)
        if self._dirty or self._next_sync is not None:
            self._begin()
        else:
            self._busy = False

    def _fail(self, error: StorageError) -> None:
        self._failed = error
        _log.error("a sync failed, the log directory goes offline: %s", error)
        self._on_failure(error)
        self._end()

    def _end(self) -> None:
        self._busy = False
        _release(self._waiter)
        _release(self._next_sync)
        self._next_sync = None


def _tell(parts: _Parts) -> None:
    for partition, some, end in parts:
        partition.on_flushed(end, some)


def _release(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
