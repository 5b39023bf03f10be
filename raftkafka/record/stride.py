"""Batches whose records all have one size: verified and cut in columns, without a step per record.

Floor 1, pure. The sizes of the first record's key and value tell what the whole section must look like; every byte that is
neither key nor value is then compared, as columns with a stride of one record, before anything is cut. So a batch that
only resembles such a one is left to `walk`, and never gives a wrong record.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from raftkafka.record.columns import Columns
from raftkafka.record.header import BatchHeader
from raftkafka.record.varint import (
    DELTA_HIGH,
    DELTA_LOW,
    DELTA_ONE_BYTE,
    ONE_BYTE_DELTAS,
    TWO_BYTE_DELTAS,
    VARINT_BYTES_MAX,
    VARINTS,
    decode_varint,
)

_BLOCK: Final = 64  # records that one step of a compiled struct cuts
_UNZIGZAG: Final = tuple((rest >> 1) ^ -(rest & 1) for rest in range(0x80))


def read_equal(section: bytes, start: int, end: int, header: BatchHeader) -> Columns | None:
    """The columns of the records in `section[start:end]`, or None when they are not all of one shape."""
    count = header.records_count
    if not 1 < count <= TWO_BYTE_DELTAS or count != header.last_offset_delta + 1:
        return None
    # The first record shows the sizes: length, attributes, time delta, offset delta, key. It may be of another shape, and
    # then what is read here means nothing, not even that the record is malformed.
    try:
        _, at = decode_varint(section, start, VARINT_BYTES_MAX)
        key_bytes, at = decode_varint(section, at + 3, VARINT_BYTES_MAX)
        value_bytes, _ = decode_varint(section, at + max(key_bytes, 0), VARINT_BYTES_MAX)
    except (IndexError, ValueError):
        return None
    if key_bytes < -1 or value_bytes < 0:
        return None
    groups: list[tuple[_Shape, tuple[bytes, ...]]] = [(_shape(key_bytes, value_bytes, 1), (DELTA_ONE_BYTE[:count],))]
    if count > ONE_BYTE_DELTAS:
        low, high = DELTA_LOW[ONE_BYTE_DELTAS:count], DELTA_HIGH[ONE_BYTE_DELTAS:count]
        groups.append((_shape(key_bytes, value_bytes, 2), (low, high)))
    if sum(shape.stride * len(deltas[0]) for shape, deltas in groups) != end - start:
        return None
    keys: list[bytes] = []
    values: list[bytes] = []
    times = bytearray()
    for shape, deltas in groups:
        number = len(deltas[0])
        stop = start + shape.stride * number
        for at, byte in shape.constants:
            if section[start + at : stop : shape.stride] != byte * number:
                return None
        for at, column in enumerate(deltas, shape.time_at + 1):
            if section[start + at : stop : shape.stride] != column:
                return None
        column = section[start + shape.time_at : stop : shape.stride]
        if not column.isascii():  # a time delta of more than one byte
            return None
        times += column
        fields = _cut(shape.fields, section, start, number)
        if key_bytes > 0:
            keys += fields[::2]
            values += fields[1::2]
        else:
            values += fields
        start = stop
    if key_bytes == 0:
        keys = [b""] * count
    time_deltas = [_UNZIGZAG[delta] for delta in times] if any(times) else None
    base = header.base_offset
    return Columns(range(base, base + count), time_deltas, keys if key_bytes >= 0 else None, values, None)


class _Shape(NamedTuple):
    """Where the bytes stand that records of one size share, and the struct format that cuts their keys and values."""

    stride: int
    constants: tuple[tuple[int, bytes], ...]
    time_at: int
    fields: str


@lru_cache(maxsize=256)
def _shape(key_bytes: int, value_bytes: int, width: int) -> _Shape:
    """`width` is the number of bytes of the offset delta; -1 `key_bytes` is a null key."""
    key_length, value_length = VARINTS[key_bytes], VARINTS[value_bytes]
    key_taken = max(key_bytes, 0)
    # attributes, time delta and header count take a byte each
    body = 3 + width + len(key_length) + key_taken + len(value_length) + value_bytes
    length = VARINTS[body]
    key_length_at = len(length) + 2 + width
    value_length_at = key_length_at + len(key_length) + key_taken
    stride = len(length) + body
    constants = [*enumerate(length), (len(length), 0)]
    constants += enumerate(key_length, key_length_at)
    constants += enumerate(value_length, value_length_at)
    constants.append((stride - 1, 0))
    key_at = key_length_at + len(key_length)
    fields = f"{key_at}x{key_taken}s" if key_taken else f"{key_at}x"
    fields += f"{len(value_length)}x{value_bytes}sx"
    return _Shape(stride, tuple((at, bytes((byte,))) for at, byte in constants), len(length) + 1, fields)


def _cut(fields: str, section: bytes, start: int, number: int) -> list[bytes]:
    """Keys and values of `number` equal records: 64 records by each step of a compiled struct, then the rest."""
    cut: list[bytes] = []
    rest = number % _BLOCK
    if number >= _BLOCK:
        block = _struct(fields, _BLOCK)
        stop = start + block.size * (number // _BLOCK)
        for taken in block.iter_unpack(memoryview(section)[start:stop]):
            cut += taken
        start = stop
    if rest:
        single = _struct(fields, 1)
        for taken in single.iter_unpack(memoryview(section)[start : start + rest * single.size]):
            cut += taken
    return cut


@lru_cache(maxsize=256)
def _struct(fields: str, number: int) -> Struct:
    return Struct(fields * number)
