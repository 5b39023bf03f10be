"""Looking at a segment as it lies on the disk, without opening it as a log: what is there, and what is wrong with it.

Floor 2, pure: the bytes come from whoever reads the files. Nothing is repaired here, and nothing is believed: every batch is held
against its checksum and its place, every index entry against the batch that it leads to. The formats are Kafka's, so segments that
Kafka wrote are read as well.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from struct import Struct
from typing import Final, NamedTuple

from raftkafka.model.errors import ApiError, CorruptionError
from raftkafka.record.header import HEADER_BYTES, BatchHeader, crc_ok, read_header
from raftkafka.record.iterate import decode_records
from raftkafka.storage.batches import find_valid

Buffer = bytes | memoryview

LOOK_AHEAD_BYTES: Final = 16 << 20
"""How far behind damage a sound batch is looked for."""

_OFFSET_ENTRY: Final = Struct(">II")
_TIME_ENTRY: Final = Struct(">qI")


class Seen(NamedTuple):
    """A batch at its position in bytes. `problem` says what is wrong with it, None where nothing is."""

    position: int
    header: BatchHeader
    problem: str | None


class Damage(NamedTuple):
    """Bytes from `position` on that are no batch, so that nothing behind them can be told for sure."""

    position: int
    problem: str


def batches(content: Buffer, *, base_offset: int) -> Iterator[Seen | Damage]:
    """What stands in a segment whose name promises offsets from `base_offset` on; after a `Damage` there is no more.

    Compaction may have removed batches, so offsets rise but need not be consecutive.
    """
    position, expected = 0, base_offset
    while position < len(content):
        try:
            header = read_header(content, position)
        except CorruptionError:
            yield Damage(position, _what_stands_at(content, position))
            return
        if position + header.batch_size > len(content):
            missing = position + header.batch_size - len(content)
            yield Damage(
                position, f"the file ends {missing} bytes before the batch of offset {header.base_offset} does"
            )
            return
        problem = None
        if not crc_ok(content, position, header.batch_size):
            problem = "the checksum is wrong"
        elif header.base_offset < expected:
            problem = f"offset {header.base_offset} where {expected} or a later one is due"
        yield Seen(position, header, problem)
        expected = max(expected, header.next_offset)
        position += header.batch_size


def _what_stands_at(content: Buffer, position: int) -> str:
    rest = len(content) - position
    ahead = content[position : position + LOOK_AHEAD_BYTES]
    if rest <= LOOK_AHEAD_BYTES and not any(memoryview(ahead)):
        return f"{rest} bytes of zeros"
    found = find_valid(ahead, 1, offset_min=0) if len(ahead) > HEADER_BYTES else None
    if found is not None:
        return f"no batch begins here; the next sound one is that of offset {found.base_offset} at {position + found.position}"
    return f"no batch begins here, {rest} bytes are left"


def records_problem(content: Buffer, seen: Seen) -> str | None:
    """What is wrong with the records of a batch whose checksum is right; None for nothing."""
    try:
        records = decode_records(content, seen.position, check_crc=False)
    except (CorruptionError, ApiError) as error:
        return str(error)
    if len(records) != seen.header.records_count:
        return f"{len(records)} records where the header says {seen.header.records_count}"
    offsets = [record.offset for record in records]
    rises = all(one < other for one, other in pairwise(offsets))
    if offsets and not (rises and seen.header.base_offset <= offsets[0] and offsets[-1] <= seen.header.last_offset):
        return "the offsets of its records do not rise within those of the batch"
    return None


def offset_index_problems(content: bytes, seen: Sequence[Seen], *, base_offset: int) -> Iterator[str]:
    """What is wrong with a `.index`: every entry has to lead to the batch that ends with its offset."""
    if len(content) % _OFFSET_ENTRY.size:
        yield f"{len(content)} bytes are no whole number of entries"
        return
    at = {each.position: each.header for each in seen}
    before = (-1, -1)
    for number, (relative, position) in enumerate(offset_entries(content)):
        if relative <= before[0] or position <= before[1]:
            yield f"entry {number} (offset {base_offset + relative}, position {position}) does not rise"
        before = (relative, position)
        header = at.get(position)
        if header is None:
            yield f"entry {number}: no batch begins at position {position}"
        elif header.last_offset != base_offset + relative:
            yield (
                f"entry {number}: the batch at position {position} ends with offset {header.last_offset}, "
                f"not with {base_offset + relative}"
            )


def time_index_problems(content: bytes, seen: Sequence[Seen], *, base_offset: int) -> Iterator[str]:
    """What is wrong with a `.timeindex`: every entry has to name the largest timestamp up to its offset."""
    if len(content) % _TIME_ENTRY.size:
        yield f"{len(content)} bytes are no whole number of entries"
        return
    ends = [each.header.last_offset for each in seen]
    largest: list[int] = []
    for each in seen:
        largest.append(max(each.header.max_timestamp, largest[-1] if largest else each.header.max_timestamp))
    before = (-1 << 63, -1)
    for number, (timestamp, relative) in enumerate(time_entries(content)):
        offset = base_offset + relative
        if timestamp <= before[0] or relative < before[1]:
            yield f"entry {number} (timestamp {timestamp}, offset {offset}) does not rise"
        before = (timestamp, relative)
        place = bisect_left(ends, offset)
        if place == len(ends) or seen[place].header.base_offset > offset:
            yield f"entry {number}: no batch has offset {offset}"
        elif largest[place] != timestamp:
            yield f"entry {number}: the largest timestamp up to offset {offset} is {largest[place]}, not {timestamp}"


def offset_entries(content: bytes) -> Iterator[tuple[int, int]]:
    """Relative offset and position; zeros that were made room with (Kafka does while it runs) are no entries."""
    yield from _OFFSET_ENTRY.iter_unpack(_without_room(content, _OFFSET_ENTRY.size))


def time_entries(content: bytes) -> Iterator[tuple[int, int]]:
    """Timestamp in milliseconds and relative offset; as `offset_entries`."""
    yield from _TIME_ENTRY.iter_unpack(_without_room(content, _TIME_ENTRY.size))


def _without_room(content: bytes, entry_bytes: int) -> bytes:
    """Whole entries, without the zeros behind the last one; the first entry may be zeros itself."""
    used = len(content.rstrip(b"\0"))
    if used <= entry_bytes and len(content) > entry_bytes:
        return b"" if not used else content[:entry_bytes]
    whole = len(content) // entry_bytes * entry_bytes
    return content[: min(-(-used // entry_bytes) * entry_bytes, whole) or whole]
