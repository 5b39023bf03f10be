"""Kafka's primitive types, as its messages and the records of its internal topics use them.

Floor 1, pure. Numbers are big-endian; a string is an int16 length and UTF-8, bytes an int32 length, an array an int32 count;
a length of -1 is null (https://kafka.apache.org/protocol#protocol_types). Flexible versions, which are read only, have lengths
of one more as unsigned varints, 0 for null, and tagged fields at the end of every structure (KIP-482). Foreign bytes: whatever does not fit is a ProtocolError,
and no count is believed beyond the bytes that are there.
"""

from __future__ import annotations

from struct import Struct, pack
from typing import Final, NoReturn

from raftkafka.model.errors import ProtocolError

_INT16: Final = Struct(">h")
_INT32: Final = Struct(">i")
_INT64: Final = Struct(">q")
STRING_MAX_BYTES: Final = (1 << 15) - 1


def _malformed(what: str) -> NoReturn:
    raise ProtocolError(f"malformed Kafka message: {what}")


class Writer:
    """Appends values; `done` is all of them."""

    __slots__ = ("_parts",)

    def __init__(self, version: int) -> None:
        """A message begins with its version, an int16."""
        self._parts: list[bytes] = [_INT16.pack(version)]

    def int16(self, value: int) -> None:
        self._parts.append(_INT16.pack(value))

    def int32(self, value: int) -> None:
        self._parts.append(_INT32.pack(value))

    def int64(self, value: int) -> None:
        self._parts.append(_INT64.pack(value))

    def string(self, value: str | None) -> None:
        """
        Raises:
            ValueError: more than 32,767 bytes of UTF-8.
        """
        if value is None:
            self._parts.append(b"\xff\xff")
            return
        encoded = value.encode()
        if len(encoded) > STRING_MAX_BYTES:
            raise ValueError(f"a string of {len(encoded)} bytes exceeds Kafka's limit of {STRING_MAX_BYTES}")
        self._parts.append(_INT16.pack(len(encoded)))
        self._parts.append(encoded)

    def byte_string(self, value: bytes | None) -> None:
        if value is None:
            self._parts.append(b"\xff\xff\xff\xff")
            return
        self._parts.append(_INT32.pack(len(value)))
        self._parts.append(value)

    def int32s(self, values: tuple[int, ...]) -> None:
        self._parts.append(pack(f">i{len(values)}i", len(values), *values))

    def done(self) -> bytes:
        return b"".join(self._parts)


class Reader:
    """Takes values off a message.

    Every method raises ProtocolError where the bytes end early or do not make sense.
    """

    __slots__ = ("_at", "_raw", "version")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0
        self.version = self.int16()

    def _number(self, form: Struct) -> int:
        if self._at + form.size > len(self._raw):
            _malformed("it ends within a number")
        value: int = form.unpack_from(self._raw, self._at)[0]
        self._at += form.size
        return value

    def int16(self) -> int:
        return self._number(_INT16)

    def int32(self) -> int:
        return self._number(_INT32)

    def int64(self) -> int:
        return self._number(_INT64)

    def _take(self, size: int) -> bytes:
        if size < 0 or self._at + size > len(self._raw):
            _malformed("a length reaches beyond its end")
        taken = self._raw[self._at : self._at + size]
        self._at += size
        return taken

    def nullable_string(self) -> str | None:
        size = self.int16()
        if size == -1:
            return None
        try:
            return self._take(size).decode()
        except UnicodeDecodeError:
            _malformed("a string is not UTF-8")

    def string(self) -> str:
        value = self.nullable_string()
        if value is None:
            _malformed("null in place of a string")
        return value

    def nullable_byte_string(self) -> bytes | None:
        size = self.int32()
        return None if size == -1 else self._take(size)

    def byte_string(self) -> bytes:
        value = self.nullable_byte_string()
        if value is None:
            _malformed("null in place of bytes")
        return value

    def count(self, element_min_bytes: int) -> int:
        """The number of elements of an array, of which each takes so many bytes or more."""
        count = self.int32()
        if count < 0 or count * element_min_bytes > len(self._raw) - self._at:
            _malformed("an array announces more than is there")
        return count

    def int32s(self) -> tuple[int, ...]:
        return tuple([self.int32() for _ in range(self.count(4))])

    def end_of_structure(self) -> None:
        """Pass over the tagged fields that a flexible version has here."""


class FlexibleReader(Reader):
    """Of a message in a flexible version."""

    __slots__ = ()

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte = self._take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        _malformed("a varint of more than five bytes")

    def nullable_string(self) -> str | None:
        size = self._varint() - 1
        if size == -1:
            return None
        try:
            return self._take(size).decode()
        except UnicodeDecodeError:
            _malformed("a string is not UTF-8")

    def nullable_byte_string(self) -> bytes | None:
        size = self._varint() - 1
        return None if size == -1 else self._take(size)

    def count(self, element_min_bytes: int) -> int:
        count = self._varint() - 1
        if count < 0 or count * element_min_bytes > len(self._raw) - self._at:
            _malformed("an array announces more than is there")
        return count

    def end_of_structure(self) -> None:
        for _ in range(self._varint()):
            self._varint()  # the tag; none is known here
            self._take(self._varint())
