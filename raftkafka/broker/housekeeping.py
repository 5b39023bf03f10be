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
        # A duty never runs twice at once, whoever asked for it.
        self._duties = [(duty, asyncio.Lock()) for duty in duties]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [background.start(self._repeat(duty, turn), name=duty.name) for duty, turn in self._duties]

    async def run_now(self) -> None:
        """Every duty once, in the order of the table, without waiting for its time: for who has moved the clock."""
        for duty, turn in self._duties:
            await self._work(duty, turn)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []

    async def _repeat(self, duty: Duty, turn: asyncio.Lock) -> None:
        while True:
            await asyncio.sleep(duty.interval_s)
            await self._work(duty, turn)

    @staticmethod
    async def _work(duty: Duty, turn: asyncio.Lock) -> None:
        async with turn:
            try:
                await duty.work()
            except StorageError as error:
                _log.error("%s: %s", duty.name, error)
