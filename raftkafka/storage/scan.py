"""Reading a segment that nobody vouches for: how far it is sound, and what the bytes behind that look like.

Floor 2. Files are read in steps of a few MiB, off the loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from raftkafka.ports.disk import Disk
from raftkafka.record.header import HEADER_BYTES
from raftkafka.replica.producers import ProducerTable
from raftkafka.storage.batches import BATCH_BYTES_MAX, Batch, content_ok, find_valid, shape_at
from raftkafka.storage.index import RELATIVE_MAX
from raftkafka.storage.producer_state import note_batch
from raftkafka.storage.segment import Segment

CHUNK_BYTES: Final = 4 << 20
PAGE_BYTES: Final = 4096
ZEROS_MIN: Final = 16
"""More zeros in a row than the header of a batch has: offsets and sequences that are small."""
ZEROS_OF_RECORD: Final = 1
"""A record without headers ends in one (their count)."""


@dataclass(slots=True)
class Walk:
    """Where reading one segment begins, and then what it found."""

    valid_end: int = 0
    next_offset: int = 0
    damaged_at: int | None = None
    is_short: bool = False
    lacks_pages: bool = False
    valid_follows: bool = False
    epochs: list[tuple[int, int]] = field(default_factory=list)
    producers: ProducerTable | None = None
    """Told of every sound batch, unless None."""


async def walk_segment(disk: Disk, segment: Segment, walk: Walk, *, sparse: bool) -> None:
    """Check every batch and index it; the file is read in steps of a few MiB, off the loop.

    `sparse`: compaction may have removed batches, so offsets rise but need not be consecutive.
    """
    file = segment.opened()
    file_bytes = file.size
    position = walk.valid_end
    if position == 0:
        segment.reset_indexes()
    count = CHUNK_BYTES
    while position < file_bytes:
        chunk = await disk.read_cold(file, position, min(count, file_bytes - position))
        count = CHUNK_BYTES
        within = 0
        while True:
            rest = file_bytes - position - within
            state, batch = _next(chunk, within, rest=rest, expected=walk.next_offset, sparse=sparse)
            if batch is not None and batch.last_offset - segment.base_offset > RELATIVE_MAX:
                # No checksum covers the offset; where gaps are sound, only the segment's reach tells that this one is not.
                state, batch = "bad", None
            if state != "good":
                break
            assert batch is not None
            segment.note(batch, position + within)
            if walk.producers is not None:
                note_batch(walk.producers, batch)
            if not walk.epochs or walk.epochs[-1][0] != batch.leader_epoch:
                walk.epochs.append((batch.leader_epoch, batch.base_offset))
            within += batch.size
            walk.valid_end, walk.next_offset = position + within, batch.last_offset + 1
        position += within
        if state == "more":
            count = max(CHUNK_BYTES, batch.size if batch is not None else 0)
        elif state == "bad":
            walk.damaged_at = position
            walk.is_short = await _is_short(disk, segment, position, walk.next_offset, sparse=sparse)
            walk.lacks_pages = await _lacks_pages(disk, segment, position)
            walk.valid_follows = await valid_after(disk, segment, position, walk.next_offset)
            return


def _next(chunk: bytes, within: int, *, rest: int, expected: int, sparse: bool) -> tuple[str, Batch | None]:
    """`good` and the batch, `more` when it reaches over the chunk (`rest` bytes are in the file), `bad`, or `end`."""
    if rest == 0:
        return "end", None
    if rest < HEADER_BYTES:
        return "bad", None
    if len(chunk) - within < HEADER_BYTES:
        return "more", None
    batch = shape_at(chunk, within)
    if batch is None or batch.size > rest or not _continues(batch, expected, sparse):
        return "bad", None
    if within + batch.size > len(chunk):
        return "more", batch
    return ("good", batch) if content_ok(chunk, batch) else ("bad", batch)


def _continues(batch: Batch, expected: int, sparse: bool) -> bool:
    return batch.base_offset == expected or (sparse and batch.base_offset > expected)


async def _is_short(disk: Disk, segment: Segment, position: int, expected: int, *, sparse: bool) -> bool:
    """Whether the file ends within the batch at `position`: bytes are missing, not wrong."""
    file = segment.opened()
    rest = file.size - position
    if rest < HEADER_BYTES:
        return True
    header = await disk.read_cold(file, position, HEADER_BYTES)
    batch = shape_at(header, 0)
    if batch is None or not _continues(batch, expected, sparse) or batch.size <= rest:
        return False
    # No checksum covers the length: when the rest of the file carries the batch's checksum, nothing but it is wrong.
    content = await disk.read_cold(file, position, rest)
    return not content_ok(content, batch._replace(position=0, size=rest))


async def _lacks_pages(disk: Disk, segment: Segment, position: int) -> bool:
    """Whether some page behind `position` never came to the disk: there are zeros then up to its end, or the file's.

    A write is torn by pages. Wrong bytes that end no page in zeros are not what a crash leaves behind: they were whole once,
    and perhaps acknowledged. (Records that end in zeros of their own look torn; that errs where nothing can be known.)
    """
    file = segment.opened()
    while position < file.size:
        chunk = await disk.read_cold(file, position, min(CHUNK_BYTES - position % PAGE_BYTES, file.size - position))
        begin = 0
        while begin < len(chunk):
            end = min(len(chunk), begin + PAGE_BYTES - (position + begin) % PAGE_BYTES)
            zeros = min(ZEROS_MIN, max(ZEROS_OF_RECORD + 1, end - begin))
            if end - begin >= zeros and not any(chunk[end - zeros : end]):
                return True
            begin = end
        position += len(chunk)
    return False


async def valid_after(disk: Disk, segment: Segment, position: int, offset: int) -> bool:
    """Whether a whole batch of a later offset stands anywhere behind `position` in the file of `segment`."""
    file = segment.opened()
    position += 1
    while position < file.size:
        # Windows overlap by the largest batch, so that none is missed for lying across a border.
        chunk = await disk.read_cold(file, position, min(CHUNK_BYTES, file.size - position))
        if find_valid(chunk, 0, offset_min=offset + 1) is not None:
            return True
        if len(chunk) < CHUNK_BYTES:
            return False
        candidate = _unfinished(chunk, offset)
        position += candidate or len(chunk) - HEADER_BYTES
        if candidate == 0:
            continue
        chunk = await disk.read_cold(file, position, min(BATCH_BYTES_MAX, file.size - position))
        batch = shape_at(chunk, 0)
        if batch is not None and batch.size <= len(chunk) and content_ok(chunk, batch):
            return True
        position += 1
    return False


def _unfinished(chunk: bytes, offset: int) -> int:
    """The position of the first plausible header that promises more bytes than `chunk` has; 0 when there is none."""
    at = chunk.find(b"\x02", 17)
    while at >= 0 and at - 16 + HEADER_BYTES <= len(chunk):
        batch = shape_at(chunk, at - 16)
        if batch is not None and batch.base_offset > offset and at - 16 + batch.size > len(chunk):
            return at - 16
        at = chunk.find(b"\x02", at + 1)
    return 0
