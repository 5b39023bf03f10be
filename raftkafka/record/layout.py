"""The bytes of a batch's records, laid out for the batch as a whole.

Floor 1, pure. The cost of a pure-Python encoder is the number of objects it makes per record. So none is made for the
commonest batch (values of one size, one timestamp, no keys): the bytes between two values are the same but for the
offset delta, one `join` with that separator lays the batch out, and the deltas are then painted in as columns, with a
stride of one record. Other batches are laid out column by column, and only records with headers, or nulls among others, or
times far apart take a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import add
from typing import Final

from raftkafka.record.header import HEADER_BYTES
from raftkafka.record.varint import (
    DELTA_HIGH,
    DELTA_LOW,
    DELTA_ONE_BYTE,
    ONE_BYTE_DELTAS,
    REMEMBERED,
    TWO_BYTE_DELTAS,
    VARINTS,
    encode_varint,
)

Headers = Sequence[tuple[str, bytes | None]]
RecordFields = tuple[bytes | None, bytes | None, int, Headers]
"""`(key, value, timestamp in milliseconds since the epoch UTC, headers)`."""

_NULL: Final = b"\x01"  # a length of -1
_GAP: Final = bytes(HEADER_BYTES)  # room for the header


def lay_out_equal(values: Sequence[bytes], size: int) -> bytearray:
    """Room for the header, then null-keyed records of `size` bytes each, at most 8,192 of them."""
    length = VARINTS[size]
    # What stands between two values: header count of the one, then length, attributes, timestamp delta, offset delta,
    # null key and value length of the other.
    short = b"".join((b"\0", VARINTS[size + len(length) + 5], b"\0\0", b"\0", _NULL, length))
    first, last = [_GAP[:-1], *values[:ONE_BYTE_DELTAS]], b"\0"
    count = len(values)
    if count <= ONE_BYTE_DELTAS:
        first[-1] += last
    out = bytearray(short).join(first)
    at = HEADER_BYTES - 1 + len(short) - len(length) - 2
    out[at :: len(short) + size] = DELTA_ONE_BYTE[:count]
    if count <= ONE_BYTE_DELTAS:
        return out
    long = b"".join((b"\0", VARINTS[size + len(length) + 6], b"\0\0", b"\0\0", _NULL, length))
    at = len(out) + len(long) - len(length) - 3
    # The first records go in as one item, so that this join copies the others once.
    out = bytearray(long).join((out, *values[ONE_BYTE_DELTAS:-1], values[-1] + last))
    stride = len(long) + size
    out[at::stride] = DELTA_LOW[ONE_BYTE_DELTAS:count]
    out[at + 1 :: stride] = DELTA_HIGH[ONE_BYTE_DELTAS:count]
    return out


def lay_out(keys: Sequence[bytes] | None, values: Sequence[bytes], time_deltas: Sequence[int] | None) -> bytearray:
    """Room for the header, then records without headers, column by column; time deltas take one byte each."""
    count = len(values)
    parts = [_GAP[:-1]]
    start, width = 0, 1
    while start < count:
        stop = min(count, 1 << (7 * width - 1))  # offset deltas below this take `width` bytes
        lengths = list(map(len, values[start:stop]))
        sums: Iterable[int] = map(_field_bytes, lengths)
        columns: list[Iterable[bytes]] = [(), _null_key_deltas(start, stop) if keys is None else _deltas(start, stop)]
        if keys is not None:
            key_lengths = list(map(len, keys[start:stop]))
            sums = map(add, sums, map(_field_bytes, key_lengths))
            columns += (map(_varint, key_lengths), keys[start:stop])
        if time_deltas is not None:
            columns.insert(1, map(_varint, time_deltas[start:stop]))
        fixed = width + 3 + (keys is None)  # attributes, time delta, header count; the null key
        columns[0] = map(_openings(fixed, time_deltas is None), sums)
        columns += (map(_varint, lengths), values[start:stop])
        parts += _interleave(columns, stop - start)
        start, width = stop, width + 1
    parts.append(b"\0")
    return bytearray().join(parts)


def _interleave(columns: Sequence[Iterable[bytes]], count: int) -> list[bytes]:
    stride = len(columns)
    parts = [b""] * (stride * count)
    for at, column in enumerate(columns):
        parts[at::stride] = column
    return parts


def lay_out_one_by_one(records: Sequence[RecordFields], base_timestamp: int) -> bytearray:
    """Room for the header, then any records."""
    parts = [_GAP]
    varints = VARINTS
    if len(records) == 1 and not records[0][3] and records[0][2] == base_timestamp:
        # One record of one time, as who sends one at a time has it: deltas and header count are zero.
        key, value = records[0][0], records[0][1]
        keyed = _NULL if key is None else varints[len(key)] + key
        valued = _NULL if value is None else varints[len(value)] + value
        record = b"".join((b"\0\0\0", keyed, valued, b"\0"))
        return bytearray().join((_GAP, varints[len(record)], record))
    for delta, (key, value, timestamp, headers) in enumerate(records):
        fields = [b"\0", varints[timestamp - base_timestamp], varints[delta]]
        fields += (_NULL,) if key is None else (varints[len(key)], key)
        fields += (_NULL,) if value is None else (varints[len(value)], value)
        fields.append(varints[len(headers)])
        for name, content in headers:
            encoded = name.encode()
            fields += (varints[len(encoded)], encoded)
            fields += (_NULL,) if content is None else (varints[len(content)], content)
        record = b"".join(fields)
        parts += (varints[len(record)], record)
    return bytearray().join(parts)


class _Openings(dict[int, bytes]):
    """What stands before the first varying field of a record, by the bytes that its key and value take.

    That is: the header count of the record before, the length, the attributes, and the time delta when it is zero.
    """

    __slots__ = ("fixed_bytes", "tail")

    def __init__(self, fixed_bytes: int, tail: bytes) -> None:
        super().__init__()
        self.fixed_bytes = fixed_bytes
        self.tail = tail

    def __missing__(self, field_bytes: int) -> bytes:
        opening = b"\0" + encode_varint(field_bytes + self.fixed_bytes) + self.tail
        if field_bytes < REMEMBERED:
            self[field_bytes] = opening
        return opening


class _FieldBytes(dict[int, int]):
    """The bytes that a field of so many bytes takes with its length before it."""

    __slots__ = ()

    def __missing__(self, length: int) -> int:
        taken = length + len(VARINTS[length])
        if length < REMEMBERED:
            self[length] = taken
        return taken


_varint = VARINTS.__getitem__
_field_bytes = _FieldBytes().__getitem__


@cache  # at most a dozen: widths of an offset delta by with and without key and time
def _openings(fixed_bytes: int, zero_time: bool) -> Callable[[int], bytes]:
    return _Openings(fixed_bytes, b"\0\0" if zero_time else b"\0").__getitem__


@cache
def _two_byte_deltas(tail: bytes) -> tuple[bytes, ...]:
    return tuple(encode_varint(delta) + tail for delta in range(TWO_BYTE_DELTAS))


def _deltas(start: int, stop: int) -> Sequence[bytes]:
    if stop <= TWO_BYTE_DELTAS:
        return _two_byte_deltas(b"")[start:stop]
    return list(map(encode_varint, range(start, stop)))


def _null_key_deltas(start: int, stop: int) -> Sequence[bytes]:
    if stop <= TWO_BYTE_DELTAS:
        return _two_byte_deltas(_NULL)[start:stop]
    return [encode_varint(delta) + _NULL for delta in range(start, stop)]
