"""`Disk.sync_then` for disks that are not real ones and have `sync` as a coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from raftkafka.ports.disk import File


class _Syncs(Protocol):
    def sync(self, files: Sequence[File]) -> Awaitable[None]: ...


class SyncsThen:
    def sync_then(self: _Syncs, files: Sequence[File], then: Callable[[BaseException | None], None]) -> None:
        def ended(sync: asyncio.Future[None]) -> None:
            then(asyncio.CancelledError() if sync.cancelled() else sync.exception())

        asyncio.ensure_future(self.sync(files)).add_done_callback(ended)
