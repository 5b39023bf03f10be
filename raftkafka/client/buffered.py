"""What was fetched for one partition and not yet read. Floor 3, pure.

Invariant: records come out in offset order, none below `position` and none twice, whichever of the ways reads them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from operator import add, length_hint
from typing import Any, NamedTuple, cast

from raftkafka.client.types import Batch, ConsumerRecord, TopicPartition, Values
from raftkafka.model.errors import ApiError, CorruptionError
from raftkafka.record.header import BatchHeader, crc_ok, iter_headers
from raftkafka.record.iterate import Record, decode_records, decode_values

# namedtuple's own `_make` is a Python function; this is its C core.
new_record = cast(Callable[[tuple[object, ...]], ConsumerRecord], partial(tuple.__new__, ConsumerRecord))


class _Chunk:
    """One answer's worth: record batches back to back, those before `next_batch` are read."""

    __slots__ = ("batches", "next_batch", "records")

    def __init__(self, records: memoryview, batches: list[tuple[int, BatchHeader]]) -> None:
        self.records = records
        self.batches = batches
        self.next_batch = 0


class Received(NamedTuple):
    """Fetched batches that passed their checks, and the offset after them."""

    chunk: _Chunk
    next_offset: int


def receive(records: memoryview | bytes, fetch_offset: int, *, check_crcs: bool) -> Received | None:
    """Check an answer to a fetch from `fetch_offset`; None when it holds nothing from there on.

    Raises:
        CorruptionError: a batch is malformed, or its checksum is wrong (I15).
    """
    view = memoryview(records)
    batches = [(at, header) for at, header in iter_headers(view) if header.next_offset > fetch_offset]
    if check_crcs:
        for at, header in batches:
            if not crc_ok(view, at, header.batch_size):
                raise CorruptionError(f"the checksum of the batch at offset {header.base_offset} is wrong")
    return Received(_Chunk(view, batches), batches[-1][1].next_offset) if batches else None


class Buffered:
    """The chunks of one partition, oldest first; `position` is the offset of the next record that somebody reads."""

    __slots__ = ("_chunks", "_decoded", "_decoded_at", "_position", "_run", "bytes", "epoch", "topic_partition")

    def __init__(self, topic_partition: TopicPartition) -> None:
        self.topic_partition = topic_partition
        self._position = -1
        self.epoch = -1
        """The leader epoch of the batch that was read last; -1 after a seek."""
        self.bytes = 0
        self._chunks: deque[_Chunk] = deque()
        self._decoded: list[Record] = []
        """Records of the batch before the first chunk's `next_batch`; those from `_decoded_at` on are not read yet."""
        self._decoded_at = 0
        self._run: Iterator[Record] | None = None
        """Stands in `_decoded` where the `run` that is being read has come to."""

    @property
    def position(self) -> int:
        if self._run is not None:
            self._count_run(self._run)
        return self._position

    def __bool__(self) -> bool:
        return bool(self._chunks)

    def clear(self, position: int) -> None:
        """Forget everything; read from `position` on."""
        self.end_run()
        self._chunks.clear()
        self._decoded, self._decoded_at = [], 0
        self.bytes = 0
        self._position = position
        self.epoch = -1

    def add(self, received: Received) -> None:
        self._chunks.append(received.chunk)
        self.bytes += len(received.chunk.records)

    def take_record(self) -> Record | None:
        """The next record; None when there is none."""
        if self._run is not None:
            self.end_run()
        while self._chunks:
            if self._decoded_at < len(self._decoded):
                record = self._decoded[self._decoded_at]
                self._decoded_at += 1
                self._position = record.offset + 1
                self._end_batch_if_read()
                return record
            self._decode_next()
        return None

    def run(self) -> Iterator[ConsumerRecord]:
        """The rest of the batch that is being read but for its last record, which `take_record` gives, as it ends the batch.

        Reading it runs no Python code per record: how far it was read is looked up when somebody asks. It ends early when
        records are taken in another way, or the position moves.
        """
        self.end_run()
        left = len(self._decoded) - self._decoded_at - 1
        if left <= 0:
            return iter(())
        run = iter(self._decoded)
        cast(Any, run).__setstate__(self._decoded_at)
        self._run = run
        # The count comes first, so that its end is met before one more record has been taken.
        return map(new_record, map(add, repeat(self.topic_partition, left), run))

    def end_run(self) -> None:
        """The `run` that was given last gives nothing any more; what it has given is read."""
        run = self._run
        if run is not None:
            self._count_run(run)
            self._run = None
            cast(Any, run).__setstate__(len(self._decoded))

    def _count_run(self, run: Iterator[Record]) -> None:
        at = len(self._decoded) - length_hint(run)
        if at > self._decoded_at:
            self._decoded_at = at
            self._position = self._decoded[at - 1].offset + 1

    def take_records(self, limit: int) -> list[Record]:
        """Up to `limit` records.

        Raises:
            CorruptionError: the next batch cannot be decoded, and nothing before it was left to give.
        """
        self.end_run()
        taken: list[Record] = []
        while self._chunks and len(taken) < limit:
            if self._decoded_at == len(self._decoded):
                try:
                    self._decode_next()
                except (CorruptionError, ApiError):
                    if taken:
                        break
                    raise
                continue
            end = min(self._decoded_at + limit - len(taken), len(self._decoded))
            taken += self._decoded[self._decoded_at : end]
            self._decoded_at = end
            self._position = taken[-1].offset + 1
            self._end_batch_if_read()
        return taken

    def take_values(self) -> Values | None:
        """The values of all that is contiguous, decoded batch by batch; None when there is nothing."""
        self.end_run()
        values: list[bytes | None] = []
        first = self._position
        while self._chunks and not (values and self._gap_follows()):
            if self._decoded_at < len(self._decoded):  # somebody read a part of this batch record by record
                rest = self._decoded[self._decoded_at :]
                self._decoded_at = len(self._decoded)
                if not values:
                    first = rest[0].offset
                values += [record.value for record in rest]
                self._end_batch_if_read()
                continue
            chunk = self._chunks[0]
            at, header = chunk.batches[chunk.next_batch]
            whole = header.records_count == header.last_offset_delta + 1 and not header.is_control
            if not whole:
                if values:
                    break
                self._decode_next()
                continue
            try:
                batch = decode_values(chunk.records, at, check_crc=False)
            except (CorruptionError, ApiError):
                if values:
                    break
                raise
            skipped = max(0, self._position - header.base_offset)
            if not values:
                first = header.base_offset + skipped
            values += batch[skipped:] if skipped else batch
            self._position = header.next_offset
            self.epoch = header.partition_leader_epoch
            self._advance(chunk)
        return Values(self.topic_partition, first, self._position, values) if values else None

    def take_batches(self) -> list[Batch]:
        """Everything, raw; control batches included, as they lie in the log."""
        self.end_run()
        taken: list[Batch] = []
        while self._chunks:
            chunk = self._chunks.popleft()
            self.bytes -= len(chunk.records)
            partly_read = self._decoded_at < len(self._decoded)
            at = chunk.batches[chunk.next_batch - partly_read][0]
            last = chunk.batches[-1][1]
            next_offset, self.epoch = last.next_offset, last.partition_leader_epoch
            self._decoded, self._decoded_at = [], 0
            taken.append(Batch(self.topic_partition, chunk.records[at:], self._position, next_offset))
            self._position = next_offset
        return taken

    def _gap_follows(self) -> bool:
        chunk = self._chunks[0]
        return chunk.batches[chunk.next_batch][1].base_offset > self._position

    def _decode_next(self) -> None:
        chunk = self._chunks[0]
        at, header = chunk.batches[chunk.next_batch]
        if header.is_control:
            records: list[Record] = []
        else:
            records = decode_records(chunk.records, at, check_crc=False)
            if header.base_offset < self._position:
                records = [record for record in records if record.offset >= self._position]
        self._decoded, self._decoded_at = records, 0
        self.epoch = header.partition_leader_epoch
        chunk.next_batch += 1
        self._end_batch_if_read()

    def _end_batch_if_read(self) -> None:
        """After the last record of a batch, go on behind it: compaction may have removed records at its end."""
        if self._decoded_at < len(self._decoded):
            return
        chunk = self._chunks[0]
        self._decoded, self._decoded_at = [], 0
        self._position = chunk.batches[chunk.next_batch - 1][1].next_offset
        self._drop_if_read(chunk)

    def _advance(self, chunk: _Chunk) -> None:
        chunk.next_batch += 1
        self._drop_if_read(chunk)

    def _drop_if_read(self, chunk: _Chunk) -> None:
        if chunk.next_batch == len(chunk.batches):
            self._chunks.popleft()
            self.bytes -= len(chunk.records)
