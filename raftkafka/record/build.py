"""Records into a batch: the public encoder, and the header.

Floor 1, pure. `layout` lays the records out; this module chooses how, by what the records have in common. The result is one
mutable buffer: header and records come out of the same `join`, so that a list of buffers would save no copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from operator import sub
from struct import Struct
from typing import Final

from crc32c import crc32c

from raftkafka.record.compiled import lay_out_records, lay_out_values
from raftkafka.record.compression import compress
from raftkafka.record.header import CRC_START, HEADER, HEADER_BYTES, LENGTH_OVERHEAD, MAGIC, NO_COMPRESSION
from raftkafka.record.layout import Headers, RecordFields, lay_out, lay_out_equal, lay_out_one_by_one
from raftkafka.record.varint import TWO_BYTE_DELTAS

RECORD_OVERHEAD_MAX: Final = 36
"""The most bytes that a record without headers takes beyond its key and value."""

_FEW: Final = 4  # records up to which a loop is faster than finding out what they have in common
_CRC: Final = Struct(">I")


def estimated_size(key: bytes | None, value: bytes | None, headers: Headers = ()) -> int:
    """An upper bound of the bytes that a record adds to a batch, cheap enough for the path of every record."""
    size = RECORD_OVERHEAD_MAX
    if key is not None:
        size += len(key)
    if value is not None:
        size += len(value)
    for name, content in headers:
        size += 10 + 4 * len(name) + (0 if content is None else len(content))
    return size


def encode_values(
    values: Sequence[bytes],
    *,
    timestamp_ms: int,
    base_offset: int = 0,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    compression: int = NO_COMPRESSION,
    checksum: bool = True,
) -> bytearray:
    """One batch of records without keys and headers, all of one time (milliseconds since the epoch, UTC).

    `checksum` False leaves it to `header.set_producer`, which has to come: the batch is none before.

    Raises:
        ValueError: no values, or more than fit the 31-bit lengths of a batch.
        ApiError: UNSUPPORTED_COMPRESSION_TYPE.
    """
    count = len(values)
    if not count:
        raise ValueError("a batch holds at least one record")
    compiled = lay_out_values(values)
    sizes = set() if compiled is not None else set(map(len, values))
    if compiled is not None:
        out = compiled
    elif len(sizes) == 1 and count <= TWO_BYTE_DELTAS:
        out = lay_out_equal(values, sizes.pop())
    else:
        out = lay_out(None, values, None)
    producer = (producer_id, producer_epoch, base_sequence)
    times = (timestamp_ms, timestamp_ms)
    return _seal(out, count, times, base_offset, producer, compression=compression, checksum=checksum)


def encode_records(
    records: Sequence[RecordFields],
    *,
    base_offset: int = 0,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    compression: int = NO_COMPRESSION,
) -> bytearray:
    """One batch of `(key, value, timestamp_ms, headers)`; the first record's time is the base timestamp, as in Kafka.

    Raises:
        ValueError: no records, or more than fit the 31-bit lengths of a batch.
        ApiError: UNSUPPORTED_COMPRESSION_TYPE.
    """
    count = len(records)
    if not count:
        raise ValueError("a batch holds at least one record")
    producer = (producer_id, producer_epoch, base_sequence)
    compiled = lay_out_records(records)
    if compiled is not None:
        out, base, last = compiled
        return _seal(out, count, (base, last), base_offset, producer, compression=compression)
    if count <= _FEW:
        base, last = records[0][2], max([record[2] for record in records])
        out = lay_out_one_by_one(records, base)
        return _seal(out, count, (base, last), base_offset, producer, compression=compression)
    keys, values, times, headers = zip(*records, strict=True)
    base, last = times[0], max(times)
    null_keys = keys.count(None)
    if any(headers) or None in values or null_keys not in (0, count) or last - base > 63 or base - min(times) > 64:
        out = lay_out_one_by_one(records, base)
    elif null_keys and times.count(base) == count and count <= TWO_BYTE_DELTAS and len(set(map(len, values))) == 1:
        out = lay_out_equal(values, len(values[0]))
    else:
        deltas = None if times.count(base) == count else list(map(sub, times, repeat(base)))
        out = lay_out(None if null_keys else keys, values, deltas)
    return _seal(out, count, (base, last), base_offset, producer, compression=compression)


def _seal(
    out: bytearray,
    count: int,
    times: tuple[int, int],
    base_offset: int,
    producer: tuple[int, int, int],
    *,
    compression: int,
    checksum: bool = True,
) -> bytearray:
    """Write the header into the room before the records."""
    if compression != NO_COMPRESSION:
        out[HEADER_BYTES:] = compress(compression, out[HEADER_BYTES:])
    length = len(out) - LENGTH_OVERHEAD
    if length >= 1 << 31:
        raise ValueError(f"a batch of {length} bytes does not fit its 31-bit length")
    HEADER.pack_into(out, 0, base_offset, length, -1, MAGIC, 0, compression, count - 1, *times, *producer, count)
    if checksum:
        _CRC.pack_into(out, 17, crc32c(memoryview(out)[CRC_START:]))
    return out
