"""Reading messages for somebody who looks: forwards or backwards, with a search, within bounds. Floor 4.

Bounded by records and bytes looked at, by the size of the answer, and by time; whoever wants more goes on where it ended. Between two polls the
event loop is free, and the consumer that is passed in fetches little at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from raftkafka.client.consumer import Consumer
from raftkafka.client.types import TopicPartition
from raftkafka.record.iterate import Record

SCANNED_RECORDS_MAX: Final = 10_000
SCANNED_BYTES_MAX: Final = 20_000_000
TIME_MAX_S: Final = 8.0
WINDOW: Final = 500
"""So many offsets at a time are read on the way back."""
_POLL_MS: Final = 250
_ROUND: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Texts as bytes; None for whatever. `search` is found in any case of ASCII letters."""

    search: bytes | None = None
    in_key: bool = True
    in_value: bool = True
    in_headers: bool = True
    key: bytes | None = None

    def wants(self, record: Record) -> bool:
        if self.key is not None and record.key != self.key:
            return False
        text = self.search
        if text is None:
            return True
        if self.in_value and record.value is not None and text in record.value.lower():
            return True
        if self.in_key and record.key is not None and text in record.key.lower():
            return True
        return self.in_headers and any(
            text in name.lower().encode() or (value is not None and text in value.lower())
            for name, value in record.headers
        )


Found = tuple[TopicPartition, Record]


@dataclass(slots=True)
class Budget:
    """What may still be looked at and answered."""

    records: int
    answer_bytes: int
    until: float
    scanned: int = 0
    scanned_bytes: int = 0
    found: list[Found] = field(default_factory=list)

    def spent(self) -> bool:
        return (
            self.full()
            or self.scanned >= SCANNED_RECORDS_MAX
            or self.scanned_bytes >= SCANNED_BYTES_MAX
            or asyncio.get_running_loop().time() >= self.until
        )

    def full(self) -> bool:
        return self.records <= 0 or self.answer_bytes <= 0

    def look_at(self, record: Record) -> None:
        self.scanned += 1
        self.scanned_bytes += size_of(record)

    def take(self, partition: TopicPartition, record: Record, shown_bytes: int) -> None:
        self.found.append((partition, record))
        self.records -= 1
        self.answer_bytes -= shown_bytes


def size_of(record: Record) -> int:
    return len(record.key or b"") + len(record.value or b"")


class Reading:
    """One search. `shown` tells how much of an answer a message is."""

    def __init__(self, consumer: Consumer, *, wanted: Filter, budget: Budget, shown: Callable[[Record], int]) -> None:
        self._consumer = consumer
        self._wanted = wanted
        self._budget = budget
        self._shown = shown

    async def forward(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """From `starts` to below `ends`, partitions in turn; where each ended. The end is reached where that is its end."""
        places = dict(starts)
        unfinished = {each for each, start in starts.items() if start < ends[each]}
        self._consumer.assign(sorted(unfinished))
        for each in unfinished:
            self._consumer.seek(each, starts[each])
        while unfinished and not self._budget.spent():
            polled = await self._consumer.poll(
                _POLL_MS, max(1, min(_ROUND, self._budget.records) // len(unfinished) + 1)
            )
            for partition, records in polled.items():
                for record in records:
                    if self._budget.full() or record.offset >= ends[partition]:
                        break
                    self._budget.look_at(record)
                    places[partition] = record.offset + 1
                    if self._wanted.wants(record):
                        self._budget.take(partition, record, self._shown(record))
                position = records[-1].offset + 1
                if position >= ends[partition] and not self._budget.full():
                    places[partition] = ends[partition]
            if not polled:
                # Compaction may have left nothing where records once were: the position has gone on all the same.
                for partition in sorted(unfinished):
                    places[partition] = max(places[partition], await self._consumer.position(partition))
            for partition in [each for each in unfinished if places[each] >= ends[each]]:
                unfinished.discard(partition)
                self._consumer.pause(partition)
        return places

    async def backward(
        self, starts: Mapping[TopicPartition, int], earliest: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """From below `starts` down to `earliest`, partitions in turn, a window at a time; below what offset each ended."""
        places = dict(starts)
        unfinished = sorted(each for each, start in starts.items() if start > earliest[each])
        while unfinished and not self._budget.spent():
            share = max(1, -(-self._budget.records // len(unfinished)))
            for partition in list(unfinished):
                if self._budget.spent():
                    break
                high = places[partition]
                low = max(earliest[partition], high - (WINDOW if self._wanted != Filter() else min(WINDOW, share)))
                places[partition] = await self._window(partition, low, high)
                if places[partition] <= earliest[partition]:
                    unfinished.remove(partition)
        return places

    async def _window(self, partition: TopicPartition, low: int, high: int) -> int:
        """The offset below which to go on: `low`, or that of the last record that there was room for."""
        records = await self._all_between(partition, low, high)
        if records is None:
            return high
        for record in reversed(records):
            self._budget.look_at(record)
            if self._wanted.wants(record):
                if self._budget.full():
                    return record.offset + 1
                self._budget.take(partition, record, self._shown(record))
                if self._budget.full():
                    return record.offset
        return low

    async def _all_between(self, partition: TopicPartition, low: int, high: int) -> Sequence[Record] | None:
        """None where time ran out before all of them were there."""
        self._consumer.assign([partition])
        self._consumer.seek(partition, low)
        records: list[Record] = []
        position = low
        while position < high:
            if asyncio.get_running_loop().time() >= self._budget.until:
                return None
            polled = (await self._consumer.poll(_POLL_MS, WINDOW)).get(partition, [])
            records += [each for each in polled if each.offset < high]
            position = polled[-1].offset + 1 if polled else await self._consumer.position(partition)
        return records
