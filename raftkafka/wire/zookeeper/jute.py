"""Jute, the encoding of ZooKeeper's records: big-endian numbers, byte strings with an int32 length, vectors with a count.

Floor 2. Invariants: nothing is read beyond the record; no length or count is believed that the rest of the record cannot hold;
nothing but MarshallingError leaves a Reader. Length -1 is null: for strings that is read as "", which no reader of ours tells
from it, and for buffers as None, since the data of a node may be either.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from raftkafka.model.errors import ProtocolError

INT32: Final = struct.Struct(">i")
INT64: Final = struct.Struct(">q")
NULL: Final = INT32.pack(-1)
_T = TypeVar("_T")


class MarshallingError(ProtocolError):
    """A record is not what it should be; its frame is, so the connection may go on."""


class UnknownModeError(MarshallingError):
    """A create mode that ZooKeeper has none of; it has an error of its own for that."""


class TooManyError(MarshallingError):
    """More in one request than may hold up everybody else."""


class Reader:
    """Takes one record apart. Ignores what stands behind the last field, as ZooKeeper does: later versions put more there."""

    __slots__ = ("_at", "_end", "_record")

    def __init__(self, record: bytes, at: int = 0) -> None:
        self._record = record
        self._at = at
        self._end = len(record)

    @property
    def left(self) -> int:
        return self._end - self._at

    def _take(self, count: int) -> int:
        at = self._at
        if count > self._end - at:
            raise MarshallingError(f"a record ends {count - (self._end - at)} bytes too early")
        self._at = at + count
        return at

    def int32(self) -> int:
        value: int = INT32.unpack_from(self._record, self._take(4))[0]
        return value

    def int64(self) -> int:
        value: int = INT64.unpack_from(self._record, self._take(8))[0]
        return value

    def boolean(self) -> bool:
        return self._record[self._take(1)] != 0

    def fields(self, layout: struct.Struct) -> tuple[int, ...]:
        """Several numbers at once."""
        return layout.unpack_from(self._record, self._take(layout.size))

    def buffer(self) -> bytes | None:
        length = self.int32()
        if length < 0:
            if length == -1:
                return None
            raise MarshallingError(f"a length of {length}")
        at = self._take(length)
        return self._record[at : at + length]

    def string(self) -> str:
        try:
            return str(self.buffer() or b"", "utf-8")
        except UnicodeDecodeError as error:
            raise MarshallingError(f"a string is not UTF-8: {error.reason} at byte {error.start}") from None

    def vector(self, element: Callable[[Reader], _T], *, element_min_bytes: int) -> tuple[_T, ...]:
        """`element_min_bytes`: what an element takes at least; more of them than fit are not begun with."""
        count = self.int32()
        if count < -1 or count * element_min_bytes > self.left:
            raise MarshallingError(f"a vector of {count} elements in a record with {self.left} bytes left")
        return tuple([element(self) for _ in range(count)])

    def strings(self) -> tuple[str, ...]:
        return self.vector(Reader.string, element_min_bytes=4)


def boolean(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def buffer(value: bytes | None) -> bytes:
    return NULL if value is None else INT32.pack(len(value)) + value


def string(value: str) -> bytes:
    encoded = value.encode()
    return INT32.pack(len(encoded)) + encoded


def vector(values: Sequence[_T], element: Callable[[_T], bytes]) -> bytes:
    return INT32.pack(len(values)) + b"".join([element(value) for value in values])


def strings(values: Sequence[str]) -> bytes:
    return vector(values, string)
