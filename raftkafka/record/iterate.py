"""A batch into records, the batch as a whole.

Floor 1, pure. A batch whose records have one size is read in columns (`stride`), any other is walked (`walk`); the three
public forms put the columns together. Each reads one batch; `header.iter_headers` gives the positions of several.

Invariant (I15): malformed records raise `CorruptionError`, never an `IndexError`, and never yield a wrong record; what a
compressed batch may unfold to is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from typing import NamedTuple, cast

from raftkafka.model.errors import CorruptionError
from raftkafka.record.columns import Columns, Headers
from raftkafka.record.compiled import read_records, read_values
from raftkafka.record.compression import UNFOLDED_BYTES_MAX, decompress
from raftkafka.record.header import (
    HEADER_BYTES,
    LOG_APPEND_TIME,
    NO_COMPRESSION,
    BatchHeader,
    Buffer,
    crc_ok,
    read_header,
)
from raftkafka.record.stride import read_equal
from raftkafka.record.walk import walk


class Record(NamedTuple):
    """One record as a consumer sees it."""

    offset: int
    timestamp_ms: int  # milliseconds since the epoch, UTC
    key: bytes | None
    value: bytes | None
    headers: Headers


def decode_values(
    buffer: Buffer, position: int = 0, *, check_crc: bool = True, max_bytes: int = UNFOLDED_BYTES_MAX
) -> list[bytes | None]:
    """The values of the batch at `position`, in order; None is a tombstone.

    Raises:
        CorruptionError: the batch is not whole, its checksum is wrong, or its records are malformed.
        ApiError: UNSUPPORTED_COMPRESSION_TYPE, or RECORD_LIST_TOO_LARGE when it unfolds to more than `max_bytes`.
    """
    header = _whole(buffer, position, check_crc)
    section = _section(buffer, position, header, max_bytes)
    values = read_values(*section, header.records_count, header.last_offset_delta)
    return list(_columns(*section, header).values) if values is None else values


def decode_pairs(
    buffer: Buffer, position: int = 0, *, check_crc: bool = True, max_bytes: int = UNFOLDED_BYTES_MAX
) -> list[tuple[int, bytes | None, bytes | None]]:
    """`(offset, key, value)` of the records of the batch at `position`; raises as `decode_values` does."""
    header = _whole(buffer, position, check_crc)
    columns = _columns(*_section(buffer, position, header, max_bytes), header)
    keys = repeat(None) if columns.keys is None else columns.keys
    return list(zip(columns.offsets, keys, columns.values, strict=False))


def decode_records(
    buffer: Buffer, position: int = 0, *, check_crc: bool = True, max_bytes: int = UNFOLDED_BYTES_MAX
) -> list[Record]:
    """The records of the batch at `position`; raises as `decode_values` does."""
    header = _whole(buffer, position, check_crc)
    section = _section(buffer, position, header, max_bytes)
    records = read_records(
        *section,
        header.records_count,
        header.last_offset_delta,
        header.base_offset,
        header.base_timestamp,
        header.max_timestamp if header.attributes & LOG_APPEND_TIME else None,
        Record,
    )
    if records is not None:
        return records
    columns = _columns(*section, header)
    if header.attributes & LOG_APPEND_TIME:
        times: Sequence[int] | repeat[int] = repeat(header.max_timestamp)
    elif columns.time_deltas is None:
        times = repeat(header.base_timestamp)
    else:
        times = list(map(header.base_timestamp.__add__, columns.time_deltas))
    keys = repeat(None) if columns.keys is None else columns.keys
    headers = repeat(()) if columns.headers is None else columns.headers
    return list(map(_new_record, zip(columns.offsets, times, keys, columns.values, headers, strict=False)))


# namedtuple's own `_make` is a Python function; this is its C core.
_new_record = cast(Callable[[tuple[object, ...]], Record], partial(tuple.__new__, Record))


def _whole(buffer: Buffer, position: int, check_crc: bool) -> BatchHeader:
    header = read_header(buffer, position)
    missing = position + header.batch_size - len(buffer)
    if missing > 0:
        raise CorruptionError(f"the batch at position {position} wants {missing} bytes more than are there")
    if check_crc and not crc_ok(buffer, position, header.batch_size):
        raise CorruptionError(f"the checksum of the batch at position {position}, offset {header.base_offset} is wrong")
    return header


def _section(buffer: Buffer, position: int, header: BatchHeader, max_bytes: int) -> tuple[bytes | memoryview, int, int]:
    """Where the plain records stand: a buffer, from where and to where in it."""
    start, end = position + HEADER_BYTES, position + header.batch_size
    if header.compression != NO_COMPRESSION:
        section = decompress(header.compression, bytes(memoryview(buffer)[start:end]), max_bytes=max_bytes)
        return section, 0, len(section)
    if isinstance(buffer, bytes):
        return buffer, start, end
    return memoryview(buffer)[start:end], 0, end - start


def _columns(section: bytes | memoryview, start: int, end: int, header: BatchHeader) -> Columns:
    section = bytes(section)
    count = header.records_count
    if count > (end - start) // 7:  # a record takes at least seven bytes
        raise CorruptionError(f"{count} records in {end - start} bytes")
    try:
        return read_equal(section, start, end, header) or walk(section, start, end, header)
    except (IndexError, ValueError) as error:
        raise CorruptionError(f"malformed record in the batch at offset {header.base_offset}: {error}") from error
