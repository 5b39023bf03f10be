"""The step that is taken for every record: the plain case of `Producer.send`, in as little work as can be. Floor 3, pure.

Plain is a value of bytes without key, headers and a time of its own, for a batch that is open and has room, while nobody waits for
memory. Everything else goes the longer way, which does the same and more (opens and closes batches, wakes the sender, raises).

This is the reference and the fallback of `_fast.c`, which is used where the package was built with a compiler; see `compiled`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sized
from typing import TYPE_CHECKING, Generic, TypeVar

from raftkafka.client.types import WallClock
from raftkafka.record.build import RECORD_OVERHEAD_MAX

if TYPE_CHECKING:
    from raftkafka.client.delivery import Delivery, Outcome
    from raftkafka.record.layout import RecordFields


class Filling:
    """The part of a batch that every record changes; `encoded` is None while records may be added."""

    __slots__ = ("encoded", "outcome", "records", "size_bytes")

    records: list[RecordFields]
    encoded: bytearray | None
    outcome: Outcome
    size_bytes: int


_Filling = TypeVar("_Filling", bound=Filling)


class Room:
    """The memory that all batches of a producer share, and who waits for it."""

    __slots__ = ("max_bytes", "used_bytes", "waiters")

    waiters: Sized
    used_bytes: int
    max_bytes: int


class Sticky:
    """The partition that records without a key go to, until `switch_bytes` were given to it."""

    __slots__ = ("current", "given_bytes", "switch_bytes")

    current: int
    given_bytes: int
    switch_bytes: int


class Appender(Generic[_Filling]):
    """Adds plain values to what waits for one partition; `sticky` None where the application names the partition.

    `now_ms` is None for the clock of this machine. Gives the future of the record; or None, has done nothing, and the longer way is
    to be taken.
    """

    __slots__ = ("_batch_bytes", "_delivery", "_now_ms", "_partition", "_room", "_sticky", "_waiting")

    def __init__(  # noqa: PLR0917 - as the compiled one
        self,
        waiting: deque[_Filling],
        room: Room,
        sticky: Sticky | None,
        partition: int,
        batch_bytes: int,
        delivery: type[Delivery],
        now_ms: Callable[[], int] | None,
    ) -> None:
        self._waiting = waiting
        self._room = room
        self._sticky = sticky
        self._partition = partition
        self._batch_bytes = batch_bytes
        self._delivery = delivery
        self._now_ms = now_ms or WallClock().now_ms

    def __call__(self, value: bytes | None) -> Delivery | None:
        if value is None or value.__class__ is not bytes:
            return None
        bytes_more = RECORD_OVERHEAD_MAX + len(value)
        sticky, room = self._sticky, self._room
        if sticky is not None and (sticky.current != self._partition or sticky.given_bytes >= sticky.switch_bytes):
            return None
        if room.waiters or room.used_bytes + bytes_more > room.max_bytes or not self._waiting:
            return None
        batch = self._waiting[-1]
        if batch.encoded is not None or batch.size_bytes + bytes_more >= self._batch_bytes:
            return None
        delivery = self._delivery.__new__(self._delivery)
        delivery.outcome = batch.outcome
        delivery.index = len(batch.records)
        batch.records.append((None, value, self._now_ms(), ()))
        batch.size_bytes += bytes_more
        room.used_bytes += bytes_more
        if sticky is not None:
            sticky.given_bytes += bytes_more
        return delivery
