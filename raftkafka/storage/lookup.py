"""Finding one batch in a segment: by offset for a truncation, by timestamp for ListOffsets.

Floor 2. These are rare and read little (an index entry, then headers), so they read on the loop, in bounded steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Final

from raftkafka.model.errors import CorruptionError
from raftkafka.model.ids import LeaderEpoch, Offset, TimestampMs
from raftkafka.record.header import HEADER_BYTES
from raftkafka.record.iterate import decode_records
from raftkafka.storage.batches import Batch, content_ok, shape_at
from raftkafka.storage.segment import Segment

HEADERS_CHUNK_BYTES: Final = 64 << 10


def headers_from(segment: Segment, position: int) -> Iterator[tuple[int, Batch]]:
    """(position in the file, batch) for each batch from `position` on; only the bytes around headers are read.

    Raises:
        CorruptionError: what stands there is no batch.
    """
    file, end = segment.opened(), segment.size
    while position < end:
        chunk = file.read(position, min(HEADERS_CHUNK_BYTES, end - position))
        within = 0
        while within + HEADER_BYTES <= len(chunk):
            batch = shape_at(chunk, within)
            if batch is None or position + within + batch.size > end:
                raise CorruptionError(f"{segment.path} is damaged at position {position + within}")
            yield position + within, batch
            within += batch.size
        if within == 0:
            raise CorruptionError(f"{segment.path} is damaged at position {position}")
        position += within


def require_indexes(segment: Segment) -> None:
    """The indexes of `segment` in memory, from their files or from its headers."""
    if segment.index is None and not segment.load_indexes():
        rebuild_indexes(segment)


def rebuild_indexes(segment: Segment) -> None:
    """Build the indexes anew from the headers, on the loop: a rare repair."""
    rebuilt = segment.without_indexes()
    for position, batch in headers_from(segment, 0):
        rebuilt.note(batch, position)
    segment.adopt_indexes(rebuilt)


def cut(segment: Segment, position: int, next_offset: int) -> None:
    """Cut `segment` at `position`, where the batch of `next_offset` begins, its indexes and largest timestamp too."""
    segment.truncate(position, next_offset)
    for _, batch in headers_from(segment, _begin(segment, next_offset - 1)):
        segment.note_timestamp(batch)


def locate(segment: Segment, offset: int) -> tuple[int, int] | None:
    """(position, base offset) of the batch that contains `offset`; None when the segment ends before it.

    Where compaction has removed that batch: the position of the next one, and the offset at which the one before ends.
    """
    end = segment.base_offset
    for at, batch in headers_from(segment, _begin(segment, offset)):
        if batch.last_offset >= offset:
            return at, batch.base_offset if batch.base_offset <= offset else end
        end = batch.last_offset + 1
    return None


Found = tuple[TimestampMs, Offset, LeaderEpoch]


def offset_for_timestamp(segment: Segment, timestamp_ms: int, *, start: int, end: int) -> Found | None:
    """The first record of `segment` in [start, end) with a timestamp >= `timestamp_ms`."""
    if segment.max_timestamp < timestamp_ms or segment.next_offset <= start:
        return None
    require_indexes(segment)
    assert segment.time_index is not None
    relative = max(segment.time_index.before(timestamp_ms), start - segment.base_offset)
    for position, batch in headers_from(segment, _begin(segment, segment.base_offset + relative)):
        if batch.base_offset >= end:
            return None
        if batch.max_timestamp >= timestamp_ms and batch.last_offset >= start:
            found = _first_record(segment, position, batch, timestamp_ms, start)
            if found is not None:
                return found if found[1] < end else None
    return None


def max_timestamp_offset(segment: Segment, *, start: int, end: int) -> Found | None:
    """The first of the records of `segment` in [start, end) that carry the largest timestamp."""
    if segment.size == 0 or segment.base_offset >= end or segment.next_offset <= start:
        return None
    require_indexes(segment)
    assert segment.time_index is not None
    # The time index knows the largest timestamp up to an entry of the offset index; behind it, a few headers tell.
    newest, relative = segment.time_index.floor(end - 1 - segment.base_offset) or (-1, -1)
    best, begin = segment.base_offset + relative, min(end, segment.next_offset) - 1
    if best < start:
        newest, best, begin = -1, -1, start
    for _, batch in headers_from(segment, _begin(segment, begin)):
        if batch.base_offset >= end:
            break
        if batch.max_timestamp > newest and batch.last_offset >= start and batch.size > HEADER_BYTES:
            newest, best = batch.max_timestamp, batch.last_offset
    found = locate(segment, best)
    if best < 0 or found is None:
        return None
    position, batch = next(headers_from(segment, found[0]))
    if batch.base_offset >= start:
        return _first_record(segment, position, batch, newest, start)
    # The log start lies within this batch, whose largest time may be that of a record below it.
    own = max(_records(segment, position, batch, start), key=itemgetter(0), default=None)
    rest = max_timestamp_offset(segment, start=batch.last_offset + 1, end=end)
    return own if rest is None or (own is not None and own[0] >= rest[0]) else rest


def newest_is_true(segment: Segment) -> bool:
    """Whether the batch that is said to carry the segment's largest timestamp does so.

    Asked before retention trusts it: one flipped bit in a time index must not cost a segment. False: the indexes have
    been built anew from the batches.
    """
    require_indexes(segment)
    if segment.max_timestamp < 0:
        return True  # no record with a time: then the time of the last append counts
    found = locate(segment, segment.max_timestamp_offset)
    if found is not None and next(headers_from(segment, found[0]))[1].max_timestamp == segment.max_timestamp:
        return True
    rebuild_indexes(segment)
    return False


def _begin(segment: Segment, offset: int) -> int:
    """The position from which to look for `offset`, by an index entry that agrees with the batch it leads to."""
    found = segment.position_for(offset)
    if found is None or found[1] < 0:
        return 0
    header = segment.opened().read(found[0], HEADER_BYTES)
    batch = shape_at(header, 0) if len(header) == HEADER_BYTES else None
    if batch is not None and batch.last_offset == found[1]:
        return found[0]
    rebuild_indexes(segment)
    found = segment.position_for(offset)
    return 0 if found is None else found[0]


def _first_record(segment: Segment, position: int, batch: Batch, timestamp_ms: int, start: int) -> Found | None:
    found = (each for each in _records(segment, position, batch, start) if each[0] >= timestamp_ms)
    return next(found, None)


def _records(segment: Segment, position: int, batch: Batch, start: int) -> Iterator[Found]:
    """The records of a batch from the offset `start` on."""
    content = segment.opened().read(position, batch.size)
    whole = shape_at(content, 0) if len(content) == batch.size else None
    if whole is None or not content_ok(content, whole):
        raise CorruptionError(f"{segment.path} is damaged at position {position}")
    for record in decode_records(content, check_crc=False):
        if record.offset >= start:
            yield TimestampMs(record.timestamp_ms), Offset(record.offset), LeaderEpoch(batch.leader_epoch)
