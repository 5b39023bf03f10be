"""One batch without the records that compaction drops.

Floor 1, pure. Base offset, last offset, epoch and producer of a batch never change, so that offsets, truncation by epoch and
producer state are the same before and after (Kafka's `MemoryRecords.filterTo`). Records that stay are copied byte for
byte, unless the batch gets a delete horizon: that stands in the base timestamp (KIP-534), so times are counted from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final, NamedTuple

from crc32c import crc32c

from raftkafka.model.errors import CorruptionError
from raftkafka.record.compression import UNFOLDED_BYTES_MAX, compress, decompress
from raftkafka.record.header import (
    COMPRESSION_MASK,
    CRC_START,
    DELETE_HORIZON,
    HEADER,
    HEADER_BYTES,
    LENGTH_OVERHEAD,
    LOG_APPEND_TIME,
    NO_COMPRESSION,
    BatchHeader,
    Buffer,
)
from raftkafka.record.varint import VARINT_BYTES_MAX, VARLONG_BYTES_MAX, decode_varint, encode_varint

_CRC: Final = Struct(">I")


class RawRecord(NamedTuple):
    """Where a record lies in its section: from `start` to `stop`; `rest` is behind its time delta."""

    start: int
    stop: int
    rest: int
    time_delta: int
    offset_delta: int
    key: bytes | None
    is_tombstone: bool


def section_of(batch: Buffer, header: BatchHeader, *, max_bytes: int = UNFOLDED_BYTES_MAX) -> bytes:
    """The plain record section of a whole batch.

    Raises:
        ApiError: UNSUPPORTED_COMPRESSION_TYPE, or RECORD_LIST_TOO_LARGE beyond `max_bytes`.
        CorruptionError: the section cannot be unfolded.
    """
    return decompress(header.compression, bytes(memoryview(batch)[HEADER_BYTES:]), max_bytes=max_bytes)


def raw_records(section: bytes, header: BatchHeader) -> Iterator[RawRecord]:
    """The records of `section` in order.

    Raises:
        CorruptionError: a record is malformed.
    """
    at, end, before = 0, len(section), -1
    try:
        for _ in range(header.records_count):
            start = at
            length, at = decode_varint(section, at, VARINT_BYTES_MAX)
            stop = at + length
            if length < 6 or stop > end:
                raise ValueError(f"a record of {length} bytes")
            time_delta, rest = decode_varint(section, at + 1, VARLONG_BYTES_MAX)
            delta, at = decode_varint(section, rest, VARINT_BYTES_MAX)
            if not before < delta <= header.last_offset_delta:
                raise ValueError(f"offset delta {delta} after {before}")
            before = delta
            key_bytes, at = decode_varint(section, at, VARINT_BYTES_MAX)
            key = None if key_bytes < 0 else section[at : at + key_bytes]
            value_bytes, _ = decode_varint(section, at + max(key_bytes, 0), VARINT_BYTES_MAX)
            if at + max(key_bytes, 0) + max(value_bytes, 0) > stop:
                raise ValueError("a field that leaves its record")
            yield RawRecord(start, stop, rest, time_delta, delta, key, value_bytes < 0)
            at = stop
        if at != end:
            raise ValueError(f"{end - at} bytes after the last record")
    except (IndexError, ValueError) as error:
        raise CorruptionError(f"malformed record in the batch at offset {header.base_offset}: {error}") from error


def delete_horizon_ms(header: BatchHeader) -> int | None:
    """From when on the tombstones of the batch may go (milliseconds since the epoch, UTC); None until one is set."""
    return header.base_timestamp if header.attributes & DELETE_HORIZON else None


def rebuild(
    section: bytes, header: BatchHeader, kept: Sequence[RawRecord], *, horizon_ms: int | None = None
) -> bytearray:
    """The batch with the records `kept` alone, at least one; a `horizon_ms` becomes its delete horizon."""
    base, attributes = header.base_timestamp, header.attributes
    if horizon_ms is None:
        parts = [section[record.start : record.stop] for record in kept]
    else:
        shift = base - horizon_ms
        parts = [_retimed(section, record, record.time_delta + shift) for record in kept]
        attributes |= DELETE_HORIZON
    newest = header.max_timestamp
    if not attributes & LOG_APPEND_TIME:
        newest = base + max([record.time_delta for record in kept])
    packed = compress(header.compression, b"".join(parts))
    return _sealed(header, packed, attributes, (base if horizon_ms is None else horizon_ms, newest), len(kept))


def emptied(header: BatchHeader) -> bytearray:
    """The batch without any record: it goes on saying who wrote up to its last offset, when, and in which epoch."""
    attributes = header.attributes & ~(COMPRESSION_MASK | DELETE_HORIZON) | NO_COMPRESSION
    return _sealed(header, b"", attributes, (header.max_timestamp, header.max_timestamp), 0)


def _retimed(section: bytes, record: RawRecord, time_delta: int) -> bytes:
    # The attributes are the byte before the time delta, and unused: zero.
    body = b"\0" + encode_varint(time_delta) + section[record.rest : record.stop]
    return encode_varint(len(body)) + body


def _sealed(header: BatchHeader, section: Buffer, attributes: int, times: tuple[int, int], count: int) -> bytearray:
    out = bytearray(HEADER_BYTES)
    out += section
    changed = header._replace(
        batch_length=len(out) - LENGTH_OVERHEAD,
        crc=0,
        attributes=attributes,
        base_timestamp=times[0],
        max_timestamp=times[1],
        records_count=count,
    )
    HEADER.pack_into(out, 0, *changed)
    _CRC.pack_into(out, 17, crc32c(memoryview(out)[CRC_START:]))
    return out
