"""Compaction of this broker's logs, one at a time, the dirtiest first.

Floor 3. Every replica compacts its own log. The work is cut into slices of a millisecond or two, with rests between them that
are longer than the slices, so that a cleaning takes less than half of the loop's time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from raftkafka.broker.partition import Partition
from raftkafka.model.errors import CorruptionError, DiskFullError, StorageError
from raftkafka.model.settings.values import LogSettings
from raftkafka.ports.clock import Clock
from raftkafka.storage.cleanable import Cleanable

_log = logging.getLogger("raftkafka.cleaner")

REST_S: Final = 0.002


class HoldsLogs(Protocol):
    """The log directories, as the cleaner sees them."""

    def online_partitions(self) -> Iterable[Partition]: ...

    async def save_cleaner_offset(self, partition: Partition) -> None: ...

    def device_failed(self, partition: Partition, error: StorageError) -> None: ...


class LogCleaner:
    def __init__(self, *, logs: HoldsLogs, settings: Callable[[], LogSettings], clock: Clock) -> None:
        self._logs = logs
        self._settings = settings
        self._clock = clock
        self._told: set[str] = set()

    async def clean_all(self) -> None:
        """Compact whatever is dirty enough, until nothing is."""
        done: set[Partition] = set()
        while (partition := self._dirtiest(done)) is not None:
            done.add(partition)
            await self._clean(partition)

    def _dirtiest(self, done: set[Partition]) -> Partition | None:
        """Overdue ones go first."""
        best: tuple[tuple[bool, float], Partition] | None = None
        for partition in self._logs.online_partitions():
            part = None if partition in done else self._cleanable(partition)
            if part is None:
                continue
            urgency = (part.overdue, part.ratio)
            if best is None or urgency > best[0]:
                best = (urgency, partition)
        return None if best is None else best[1]

    def _cleanable(self, partition: Partition) -> Cleanable | None:
        log = partition.log
        if not log.config.compacts:
            return None
        try:
            part = log.cleanable(high_watermark=partition.high_watermark, now_ms=self._clock.now_ms())
        except (CorruptionError, StorageError) as error:
            partition.take_offline(error)
            return None
        if part is None or not (part.overdue or part.ratio >= log.config.min_cleanable_dirty_ratio):
            return None
        return part

    async def _clean(self, partition: Partition) -> None:
        try:
            cleaned = await partition.log.clean(
                high_watermark=partition.high_watermark,
                now_ms=self._clock.now_ms(),
                pause=_rest,
                key_map_bytes=self._settings().cleaner_dedupe_buffer_bytes,
            )
        except DiskFullError as error:
            # Nothing is lost; the next look tries again.
            _log.warning("%s: cannot be compacted: %s", partition, error)
            return
        except CorruptionError as error:
            partition.take_offline(error)
            return
        except StorageError as error:
            self._logs.device_failed(partition, error)
            return
        if cleaned is None:
            return
        _log.info(
            "%s: compacted offsets %d to %d, from %d to %d bytes",
            partition,
            cleaned.first_dirty,
            cleaned.end,
            cleaned.bytes_before,
            cleaned.bytes_after,
        )
        if cleaned.unread_batches and str(partition) not in self._told:
            self._told.add(str(partition))
            _log.warning(
                "%s: %d batches are left as they are: they do not unfold, or belong to transactions",
                partition,
                cleaned.unread_batches,
            )
        await self._logs.save_cleaner_offset(partition)


async def _rest() -> None:
    await asyncio.sleep(REST_S)
