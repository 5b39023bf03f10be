"""Records wait here until they are sent: a lane per partition, and one bound for the memory of all. Floor 3.

Invariant: the bytes of what is neither acknowledged nor failed do not exceed `memory_max_bytes` (but for the header of a batch
that a record opens, and for a single batch that alone is larger).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from raftkafka.client.compiled import Room
from raftkafka.client.lanes import Batch, Lane, OnDone
from raftkafka.client.types import BufferFullError, RecordMetadata, TopicPartition
from raftkafka.model.errors import ApiError
from raftkafka.record.header import HEADER_BYTES, NO_COMPRESSION
from raftkafka.record.layout import RecordFields


class Accumulator(Room):
    """All lanes of one producer, and the memory that they share."""

    def __init__(
        self, *, batch_size: int, memory_max_bytes: int, delivery_timeout_s: float, compression: int = NO_COMPRESSION
    ) -> None:
        self.lanes: dict[TopicPartition, Lane] = {}
        self.used_bytes = 0
        self.batch_size: Final = batch_size
        self.max_bytes = memory_max_bytes
        self._delivery_timeout_s = delivery_timeout_s
        self._compression = compression
        self._incomplete: dict[Batch, None] = {}
        self.waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._loop = asyncio.get_running_loop()

    def lane(self, topic_partition: TopicPartition) -> Lane:
        lane = self.lanes.get(topic_partition)
        if lane is None:
            lane = self.lanes[topic_partition] = Lane(topic_partition)
        return lane

    # Memory

    def reserve(self, size_bytes: int) -> None:
        """Count `size_bytes` more.

        Raises:
            BufferFullError: they do not fit, or others wait for room already; nothing was counted.
        """
        if not self.reserve_now(size_bytes):
            raise BufferFullError(
                f"{self.used_bytes} of {self.max_bytes} bytes wait to be acknowledged; "
                "wait for ready() before sending more, or raise buffer_memory"
            )

    def reserve_now(self, size_bytes: int) -> bool:
        """Count `size_bytes` more; False, and nothing is counted, where `reserve` raises."""
        if self.waiters or not self._fits(size_bytes):
            return False
        self.used_bytes += size_bytes
        return True

    async def reserve_when_free(self, size_bytes: int) -> None:
        """Wait until `size_bytes` fit, first come, first served; they are counted when this returns."""
        if self.reserve_now(size_bytes):
            return
        waiter = (size_bytes, self._loop.create_future())
        self.waiters.append(waiter)
        try:
            await waiter[1]
        except asyncio.CancelledError:
            if waiter in self.waiters:
                self.waiters.remove(waiter)
            else:
                self.release(size_bytes)
            raise

    def release(self, size_bytes: int) -> None:
        self.used_bytes -= size_bytes
        while self.waiters and self._fits(self.waiters[0][0]):
            granted_bytes, waiter = self.waiters.popleft()
            self.used_bytes += granted_bytes
            if waiter.done():  # cancelled in this very turn: it gives its room back itself
                continue
            waiter.set_result(None)

    def _fits(self, size_bytes: int) -> bool:
        """An empty buffer takes a batch of any size, so that nothing waits for ever."""
        return self.used_bytes + size_bytes <= self.max_bytes or not self.used_bytes

    # Batches

    def append(self, lane: Lane, record: RecordFields, size_bytes: int, future: asyncio.Future[RecordMetadata]) -> bool:
        """Add one record, its bytes reserved already; True when the sender wants to know: a batch was opened, or is full."""
        waiting = lane.waiting
        batch = waiting[-1] if waiting else None
        opened = batch is None or not batch.open or batch.size_bytes + size_bytes > self.batch_size
        if batch is None or opened:
            self.used_bytes += HEADER_BYTES
            batch = self._new_batch(lane)
        batch.outcome.futures[len(batch.records)] = future
        batch.records.append(record)
        batch.size_bytes += size_bytes
        return opened or batch.size_bytes >= self.batch_size

    def append_encoded(self, lane: Lane, encoded: bytearray, record_count: int, on_done: OnDone) -> None:
        """Add a batch that is ready to be sent, its bytes reserved already."""
        self._new_batch(lane).hold(encoded, record_count, on_done)

    def _new_batch(self, lane: Lane) -> Batch:
        now = self._loop.time()
        batch = Batch(
            created=now, deadline=now + self._delivery_timeout_s, compression=self._compression, loop=self._loop
        )
        self._incomplete[batch] = None
        lane.waiting.append(batch)
        return batch

    def acknowledge(self, lane: Lane, batch: Batch, base_offset: int, log_append_time_ms: int) -> None:
        batch.succeed(lane.topic_partition, base_offset, log_append_time_ms)
        self._forget(batch)

    def fail(self, batch: Batch, error: ApiError) -> None:
        batch.fail(error)
        self._forget(batch)

    def _forget(self, batch: Batch) -> None:
        del self._incomplete[batch]
        self.release(batch.size_bytes)

    @property
    def has_one(self) -> bool:
        """True when a single batch is neither acknowledged nor failed."""
        return len(self._incomplete) == 1

    def incomplete(self) -> Sequence[asyncio.Future[None]]:
        """One future for each batch that is neither acknowledged nor failed."""
        return [batch.finished() for batch in self._incomplete]

    def fail_everything(self, error: ApiError) -> None:
        """The producer stops: nobody will send what is left."""
        for lane in self.lanes.values():
            lane.waiting.clear()
            lane.flights.clear()
        for batch in list(self._incomplete):
            self.fail(batch, error)
