"""Group commit of one log directory: one sync, off the loop, serves every append that waits for it.

Floor 3. The next sync starts as soon as the last one ends, with whatever has come in between. A failed sync is never
retried: the data may be gone although a second try succeeds, so the whole directory goes offline (I1, I15).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from raftkafka.broker import background
from raftkafka.model.errors import StorageError
from raftkafka.model.ids import Offset
from raftkafka.ports.disk import Disk, File
from raftkafka.ports.probe import Probe

_log = logging.getLogger("raftkafka.log")


class Flushable(Protocol):
    """What the flusher needs of a partition."""

    def files_to_sync(self) -> tuple[list[File], Offset]: ...

    def on_flushed(self, end: Offset, files: list[File]) -> None: ...


class Flusher:
    """Syncs the partitions of one log directory. `on_failure` is told once, with the error."""

    def __init__(self, *, disk: Disk, probe: Probe, on_failure: Callable[[StorageError], None]) -> None:
        self._disk = disk
        self._probe = probe
        self._on_failure = on_failure
        self._dirty: dict[Flushable, None] = {}
        self._next_sync: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._failed: StorageError | None = None

    def request(self, partition: Flushable) -> None:
        """Sync `partition` with the next group; `on_flushed` tells when. Appends of this loop turn share one sync."""
        if self._failed is not None:
            return
        self._dirty[partition] = None
        if self._task is None:
            self._task = background.start(self._run(), name="flusher")

    def forget(self, partition: Flushable) -> None:
        """The partition's files are about to be closed."""
        self._dirty.pop(partition, None)

    async def next_sync(self) -> None:
        """Wait until everything requested so far has been synced (or has failed: then the partitions are offline)."""
        if self._task is None:
            return
        if self._next_sync is None:
            self._next_sync = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._next_sync)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] | None = None
        try:
            while self._dirty or self._next_sync is not None:
                group, self._dirty = self._dirty, {}
                waiter, self._next_sync = self._next_sync, None
                pending = [(partition, *partition.files_to_sync()) for partition in group]
                files = [file for _, some, _ in pending for file in some]
                began = loop.time()
                if files:
                    await self._disk.sync(files)
                    self._probe.log_sync(loop.time() - began, len(files))
                for partition, some, end in pending:
                    partition.on_flushed(end, some)
                _release(waiter)
        except StorageError as error:
            self._failed = error
            _log.error("a sync failed, the log directory goes offline: %s", error)
            self._on_failure(error)
            _release(waiter)
        finally:
            self._task = None
            _release(self._next_sync)
            self._next_sync = None


def _release(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
