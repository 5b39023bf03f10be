"""The kinds of fields that bodies are made of, and `Shape`: a value class as a CBOR array of fields in a fixed order.

Floor 2, sans-IO. Invariant: what `decode` returns has the declared type and range, everything else is a ProtocolError.
Sizes need no check of their own here: a body was bounded in bytes before it was decoded, and an element takes one or more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, NoReturn, TypeVar

from raftkafka.model.errors import ErrorCode, ProtocolError

T = TypeVar("T")
Buffer = bytes | bytearray | memoryview

UUID_BYTES: Final = 16
STRING_MAX_CHARS: Final = 32_767
INT32_MAX: Final = (1 << 31) - 1
INT64_MAX: Final = (1 << 63) - 1


def malformed(what: str) -> NoReturn:
    raise ProtocolError(f"malformed message: {what}")


@dataclass(frozen=True, slots=True)
class Field:
    """How one field is written and read. `text` is its name in docs/protocol.md."""

    text: str
    encode: Callable[[Any], Any]
    decode: Callable[[object], Any]


def _same(value: Any) -> Any:
    return value


def integer(text: str, low: int, high: int) -> Field:
    def decode(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            malformed(f"expected {text}")
        return value

    return Field(text, int, decode)


def _decode_bool(value: object) -> bool:
    if type(value) is not bool:
        malformed("expected bool")
    return value


def _decode_string(value: object) -> str:
    if type(value) is not str or len(value) > STRING_MAX_CHARS:
        malformed("expected string")
    return value


def _decode_bytes(value: object) -> bytes:
    if type(value) is not bytes:
        malformed("expected bytes")
    return value


def _decode_uuid(value: object) -> bytes:
    if type(value) is not bytes or len(value) != UUID_BYTES:
        malformed("expected uuid")
    return value


_ERRORS: Final[dict[int, ErrorCode]] = {int(code): code for code in ErrorCode}


def decode_error(value: object) -> ErrorCode:
    """A code that this version does not know (a newer peer's) reads as UNKNOWN_SERVER_ERROR."""
    if type(value) is not int or not -(1 << 15) <= value < 1 << 15:
        malformed("expected error code")
    return _ERRORS.get(value, ErrorCode.UNKNOWN_SERVER_ERROR)


BOOL: Final = Field("bool", bool, _decode_bool)
STRING: Final = Field("string", _same, _decode_string)
BYTES: Final = Field("bytes", bytes, _decode_bytes)
UUID: Final = Field("uuid", bytes, _decode_uuid)
ERROR: Final = Field("error", int, decode_error)
INT8: Final = integer("int8", -128, 127)
INT16: Final = integer("int16", -(1 << 15), (1 << 15) - 1)
INT32: Final = integer("int32", -(1 << 31), INT32_MAX)
INT64: Final = integer("int64", -(1 << 63), INT64_MAX)
COUNT: Final = integer("count", 0, INT32_MAX)
"""An int32 that is not negative: partitions, sizes."""
ID: Final = integer("id", -1, INT32_MAX)
"""An int32 of which -1 means none: node ids and leader epochs."""
OFFSET: Final = integer("offset", -1, INT64_MAX)
"""An int64 of which -1 means none: offsets, broker epochs, Raft indexes."""
PORT: Final = integer("port", 0, 65_535)


def _decode_float(value: object) -> float:
    if type(value) is not float or not math.isfinite(value):
        malformed("expected float64")
    return value


FLOAT64: Final = Field("float64", float, _decode_float)
"""A finite number."""


def nullable(field: Field) -> Field:
    return Field(
        f"{field.text} or null",
        lambda value: None if value is None else field.encode(value),
        lambda value: None if value is None else field.decode(value),
    )


def array(field: Field) -> Field:
    encode_one, decode_one = field.encode, field.decode

    def decode(value: object) -> tuple[Any, ...]:
        if type(value) is not list:
            malformed(f"expected array of {field.text}")
        return tuple([decode_one(item) for item in value])

    return Field(f"array of {field.text}", lambda values: [encode_one(value) for value in values], decode)


def pair(first: Field, second: Field) -> Field:
    def decode(value: object) -> tuple[Any, Any]:
        if type(value) is not list or len(value) != 2:
            malformed("expected a pair")
        return first.decode(value[0]), second.decode(value[1])

    return Field(
        f"[{first.text}, {second.text}]", lambda value: [first.encode(value[0]), second.encode(value[1])], decode
    )


class Shape(Generic[T]):
    """A value class as an array: its fields in the order in which they are given here, none left out."""

    def __init__(self, of: Callable[..., T], **fields: Field) -> None:
        self._of = of
        self._encoders = tuple((name, field.encode) for name, field in fields.items())
        self._decoders = tuple((name, field.decode) for name, field in fields.items())
        self.name: str = getattr(of, "__name__", "value")
        self.fields = fields

    def encode(self, value: T) -> list[object]:
        return [encode(getattr(value, name)) for name, encode in self._encoders]

    def decode(self, value: object) -> T:
        if type(value) is not list or len(value) != len(self._decoders):
            malformed(f"expected {self.name}")
        return self._of(
            **{name: decode(item) for (name, decode), item in zip(self._decoders, value, strict=True)},
        )

    @property
    def field(self) -> Field:
        return Field(self.name, self.encode, self.decode)
