"""Records wait here until they are sent: a lane per partition, in each lane batches in send order. Floor 3.

Invariants: a lane's batches leave and come back in order, and at most one request of a lane is under way (see `sender` for why).
The bytes of everything that is neither acknowledged nor failed never exceed `memory_max_bytes`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from raftkafka.client.types import UNKNOWN_OFFSET, BufferFullError, RecordMetadata, TopicPartition
from raftkafka.model.errors import ApiError
from raftkafka.record.build import encode_records
from raftkafka.record.header import HEADER_BYTES
from raftkafka.record.layout import RecordFields

OnDone = Callable[[int, ApiError | None], None]
"""Told once: the base offset, or why not."""


class Batch:
    """Records that become one record batch; `deadline` is on the event loop's clock."""

    __slots__ = (
        "_encoded",
        "created",
        "deadline",
        "done",
        "futures",
        "on_done",
        "record_count",
        "records",
        "sent",
        "size_bytes",
    )

    def __init__(self, *, created: float, deadline: float, done: asyncio.Future[None]) -> None:
        self.created = created
        self.deadline = deadline
        self.done = done
        """Set once the batch is acknowledged or failed, whichever it is."""
        self.records: list[RecordFields] = []
        self.futures: list[asyncio.Future[RecordMetadata]] = []
        self.record_count = 0
        self.size_bytes = HEADER_BYTES
        """An upper bound of the encoded size until `encode`; it is what counts against the memory bound."""
        self.sent = False
        """True once a request carried it: from then on a failure leaves the outcome unknown (I18)."""
        self.on_done: OnDone | None = None
        self._encoded: bytearray | None = None

    @property
    def open(self) -> bool:
        """True while records may still be added."""
        return self._encoded is None

    def hold(self, encoded: bytearray, record_count: int, on_done: OnDone) -> None:
        """Take a batch that somebody has encoded already; nothing more is added to it."""
        self._encoded = encoded
        self.size_bytes = len(encoded)
        self.record_count = record_count
        self.on_done = on_done

    def encode(self) -> bytearray:
        if self._encoded is None:
            self._encoded = encode_records(self.records)
        return self._encoded

    def succeed(self, topic_partition: TopicPartition, base_offset: int, log_append_time_ms: int) -> None:
        """Tell everybody the offsets; `log_append_time_ms` is -1 unless the topic uses the broker's time."""
        topic, partition = topic_partition
        known = base_offset != UNKNOWN_OFFSET
        for delta, (future, record) in enumerate(zip(self.futures, self.records, strict=True)):
            if not future.done():
                timestamp = record[2] if log_append_time_ms < 0 else log_append_time_ms
                offset = base_offset + delta if known else UNKNOWN_OFFSET
                future.set_result(RecordMetadata(topic, partition, offset, timestamp))
        self._finish(base_offset, None)

    def fail(self, error: ApiError) -> None:
        for future in self.futures:
            if not future.done():
                future.set_exception(error)
        self._finish(UNKNOWN_OFFSET, error)

    def _finish(self, base_offset: int, error: ApiError | None) -> None:
        if self.on_done is not None:
            self.on_done(base_offset, error)
        if not self.done.done():
            self.done.set_result(None)


class Lane:
    """The batches of one partition, oldest first; those in `in_flight` left before all that wait."""

    __slots__ = (
        "failures",
        "in_flight",
        "last_error",
        "not_before",
        "one_by_one",
        "timer",
        "topic_partition",
        "tried_epoch",
        "waiting",
    )

    def __init__(self, topic_partition: TopicPartition) -> None:
        self.topic_partition = topic_partition
        self.waiting: deque[Batch] = deque()
        self.in_flight: list[Batch] = []
        self.failures = 0
        """In a row; sets the distance to the next try."""
        self.not_before = 0.0
        self.tried_epoch = -1
        """The leader epoch of the last try; a higher one is a reason not to wait any longer."""
        self.one_by_one = False
        """Set when several batches were refused together: sent alone, the guilty one fails alone."""
        self.last_error: BaseException | None = None
        self.timer: asyncio.TimerHandle | None = None

    def ready_at(self, *, linger_s: float, batch_size: int, flushing: bool) -> float:
        """When the head may be sent, on the event loop's clock."""
        head = self.waiting[0]
        if flushing or len(self.waiting) > 1 or not head.open or head.size_bytes >= batch_size:
            return self.not_before
        return max(self.not_before, head.created + linger_s)

    def take(self, room_bytes: int, *, at_least_one: bool) -> list[Batch]:
        """Move batches to `in_flight`, oldest first, as many as fit."""
        taken: list[Batch] = []
        while self.waiting and (self.waiting[0].size_bytes <= room_bytes or (at_least_one and not taken)):
            batch = self.waiting.popleft()
            room_bytes -= batch.size_bytes
            taken.append(batch)
            if self.one_by_one:
                break
        self.in_flight = taken
        return taken

    def put_back(self) -> None:
        """What was in flight waits again, in front of everything sent later."""
        self.waiting.extendleft(reversed(self.in_flight))
        self.in_flight = []


class Accumulator:
    """All lanes of one producer, and the memory that they share."""

    def __init__(self, *, batch_size: int, memory_max_bytes: int, delivery_timeout_s: float) -> None:
        self.lanes: dict[TopicPartition, Lane] = {}
        self.used_bytes = 0
        self.batch_size: Final = batch_size
        self._memory_max_bytes = memory_max_bytes
        self._delivery_timeout_s = delivery_timeout_s
        self._incomplete: dict[Batch, None] = {}
        self._room_waiters: deque[asyncio.Future[None]] = deque()
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
            BufferFullError: they do not fit; nothing was counted.
        """
        if not self.has_room(size_bytes):
            raise BufferFullError(
                f"{self.used_bytes} of {self._memory_max_bytes} bytes wait to be acknowledged; "
                "wait for ready() before sending more, or raise buffer_memory"
            )
        self.used_bytes += size_bytes

    def has_room(self, size_bytes: int) -> bool:
        """An empty buffer takes a batch of any size, so that nothing waits for ever."""
        return self.used_bytes + size_bytes <= self._memory_max_bytes or not self.used_bytes

    async def room(self, size_bytes: int) -> None:
        """Wait until `size_bytes` fit; first come, first served."""
        while self._room_waiters or not self.has_room(size_bytes):
            waiter = self._loop.create_future()
            self._room_waiters.append(waiter)
            try:
                await waiter
            finally:
                self._room_waiters.remove(waiter)
            if self.has_room(size_bytes):
                break
        self._let_in()

    def release(self, size_bytes: int) -> None:
        self.used_bytes -= size_bytes
        self._let_in()

    def _let_in(self) -> None:
        if self._room_waiters and not self._room_waiters[0].done():
            self._room_waiters[0].set_result(None)

    # Batches

    def append(self, lane: Lane, record: RecordFields, size_bytes: int, future: asyncio.Future[RecordMetadata]) -> bool:
        """Add one record, its bytes reserved already; True when it opened a batch (the sender wants to know)."""
        waiting = lane.waiting
        batch = waiting[-1] if waiting else None
        opened = batch is None or not batch.open or batch.size_bytes + size_bytes > self.batch_size
        if batch is None or opened:
            self.used_bytes += HEADER_BYTES
            batch = self._new_batch(lane)
        batch.records.append(record)
        batch.futures.append(future)
        batch.record_count += 1
        batch.size_bytes += size_bytes
        return opened

    def append_encoded(self, lane: Lane, encoded: bytearray, record_count: int, on_done: OnDone) -> None:
        """Add a batch that is ready to be sent, its bytes reserved already."""
        self._new_batch(lane).hold(encoded, record_count, on_done)

    def _new_batch(self, lane: Lane) -> Batch:
        now = self._loop.time()
        batch = Batch(created=now, deadline=now + self._delivery_timeout_s, done=self._loop.create_future())
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

    def incomplete(self) -> Sequence[asyncio.Future[None]]:
        """One future for each batch that is neither acknowledged nor failed."""
        return [batch.done for batch in self._incomplete]

    def fail_everything(self, error: ApiError) -> None:
        """The producer stops: nobody will send what is left."""
        for lane in self.lanes.values():
            lane.waiting.clear()
            lane.in_flight = []
        for batch in list(self._incomplete):
            self.fail(batch, error)
        for waiter in self._room_waiters:
            if not waiter.done():
                waiter.set_result(None)
