"""What a broker does from time to time: checkpoints, retention, looking for followers that fell behind.

Floor 3. Every duty is an entry of one table with its interval. A duty that fails with a storage error has already taken
its log directory offline; the others go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from raftkafka.broker import background
from raftkafka.model.errors import StorageError

_log = logging.getLogger("raftkafka.housekeeping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    name: str
    interval_s: float
    work: Callable[[], Awaitable[None]]


class Housekeeping:
    """Runs duties, each in its own rhythm, until it is stopped."""

    def __init__(self, duties: list[Duty]) -> None:
        self._duties = duties
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [background.start(self._repeat(duty), name=duty.name) for duty in self._duties]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []

    @staticmethod
    async def _repeat(duty: Duty) -> None:
        while True:
            await asyncio.sleep(duty.interval_s)
            try:
                await duty.work()
            except StorageError as error:
                _log.error("%s: %s", duty.name, error)
