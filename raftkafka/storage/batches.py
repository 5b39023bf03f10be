"""Walking over batches in bytes that came from a disk, which may have damaged them.

Floor 2, pure. Invariant (I15): what `sound_run` lets pass is whole, carries the checksum of its content, and continues
the offsets before it; no checksum covers offset and epoch, so these two are compared with what they have to be. Where
compaction may have removed batches (`sparse`), offsets rise but need not be consecutive.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from crc32c import crc32c

from raftkafka.model.passing import passing_tuple
from raftkafka.record.header import BATCH_LENGTH_MIN, CRC_START, HEADER_BYTES, LENGTH_OVERHEAD, MAGIC
from raftkafka.replica.epochs import EpochHistory

Buffer = bytes | bytearray | memoryview

BATCH_BYTES_MAX: Final = 128 << 20
"""No batch is larger: a frame is not (`socket.request.max.bytes`). Bounds what a damaged length can ask for."""

_SHAPE: Final = Struct(">qiibIhi8xq")
_WHOLE: Final = Struct(">qiibIhi8xqqhi")  # with the producer's fields
_MAGIC_AT: Final = 16
_MAGIC_BYTE: Final = bytes([MAGIC])


@passing_tuple
class Batch(NamedTuple):
    """Where a batch lies in its buffer (`position`, `size` in bytes), and what the log keeps of it.

    `base_sequence` is -1 where no idempotent producer numbered the records.
    """

    position: int
    size: int
    base_offset: int
    last_offset: int
    leader_epoch: int
    max_timestamp: int
    crc: int
    producer_id: int = -1
    producer_epoch: int = -1
    base_sequence: int = -1


def shape_at(buffer: Buffer, position: int) -> Batch | None:
    """The batch whose header stands at `position` (at least 61 bytes are there); None when it cannot be one."""
    (base_offset, length, epoch, magic, crc, _, last_delta, max_timestamp, producer_id, producer_epoch, sequence) = (
        _WHOLE.unpack_from(buffer, position)
    )
    if producer_id < 0:
        sequence = -1
    size = length + LENGTH_OVERHEAD
    if magic != MAGIC or not HEADER_BYTES <= size <= BATCH_BYTES_MAX or base_offset < 0 or last_delta < 0 or epoch < -1:
        return None
    last_offset = base_offset + last_delta
    return Batch(
        position, size, base_offset, last_offset, epoch, max_timestamp, crc, producer_id, producer_epoch, sequence
    )


def content_ok(buffer: Buffer, batch: Batch) -> bool:
    """Whether a batch that lies whole in `buffer` carries the checksum of its content."""
    view = memoryview(buffer)[batch.position + CRC_START : batch.position + batch.size]
    return crc32c(view) == batch.crc


def walk(buffer: Buffer) -> Iterator[Batch]:
    """The plausible batches from the start of `buffer`, back to back, as far as their headers are there.

    The last one may promise more bytes than there are. Nobody has looked at checksums.
    """
    position = 0
    last = len(buffer) - HEADER_BYTES
    while position <= last:
        batch = shape_at(buffer, position)
        if batch is None:
            return
        yield batch
        position += batch.size


class Run(NamedTuple):
    """Sound batches back to back: they end at `stop` and before `next_offset`. `damaged`: what follows is not sound."""

    stop: int
    next_offset: int
    damaged: bool


def sound_run(
    buffer: Buffer, start: int, *, base_offset: int, end: int, max_bytes: int, epochs: EpochHistory, sparse: bool
) -> Run:
    """As many batches from `start` on as are whole, sound, end below the offset `end`, and fit into `max_bytes`.

    The first must have `base_offset`; it may be larger than `max_bytes`. This is the inner loop of every fetch.
    """
    position, expected = start, base_offset
    buffer_end = len(buffer)
    limit = start + max_bytes
    last = min(buffer_end - HEADER_BYTES, limit)
    view = memoryview(buffer)
    unpack = _SHAPE.unpack_from
    epoch, epoch_end = epochs.span_at(expected)
    while position <= last:
        base, length, leader_epoch, magic, crc, _, last_delta, _ = unpack(buffer, position)
        stop = position + length + LENGTH_OVERHEAD
        if base != expected and not (sparse and base > expected):
            return Run(position, expected, True)
        if epoch_end is not None and base >= epoch_end:
            epoch, epoch_end = epochs.span_at(base)
        if leader_epoch != epoch or magic != MAGIC or length < BATCH_LENGTH_MIN or last_delta < 0:
            return Run(position, expected, True)
        if stop > buffer_end or (stop > limit and position > start):
            break
        if crc32c(view[position + CRC_START : stop]) != crc:
            return Run(position, expected, True)
        if base + last_delta >= end:
            break
        position = stop
        expected = base + last_delta + 1
    return Run(position, expected, False)


def find_valid(buffer: Buffer, start: int, *, offset_min: int) -> Batch | None:
    """The first whole and correct batch at or behind `start` with a base offset >= `offset_min`, at any position."""
    content = bytes(buffer)
    at = content.find(_MAGIC_BYTE, start + _MAGIC_AT)
    while at >= 0:
        position = at - _MAGIC_AT
        if position + HEADER_BYTES > len(content):
            return None
        batch = shape_at(content, position)
        if (
            batch is not None
            and batch.base_offset >= offset_min
            and position + batch.size <= len(content)
            and content_ok(content, batch)
        ):
            return batch
        at = content.find(_MAGIC_BYTE, at + 1)
    return None
