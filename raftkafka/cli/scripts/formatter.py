"""Records into the lines of the console consumer, as Kafka's DefaultMessageFormatter writes them. Floor 5, pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from raftkafka.model.errors import ConfigurationError, RaftKafkaError
from raftkafka.record.iterate import Record

_FLAGS: Final = (
    "print.timestamp",
    "print.partition",
    "print.offset",
    "print.headers",
    "print.key",
    "print.value",
)
_TEXTS: Final = ("key.separator", "line.separator", "headers.separator", "null.literal")
_DESERIALIZERS: Final = ("key.deserializer", "value.deserializer", "headers.deserializer")
KEYS: Final = (*_FLAGS, *_TEXTS, *_DESERIALIZERS)

_NUMBER_BYTES: Final = {"ShortDeserializer": 2, "IntegerDeserializer": 4, "LongDeserializer": 8}
_AS_THEY_ARE: Final = ("StringDeserializer", "ByteArrayDeserializer", "BytesDeserializer")

Deserialize = Callable[[bytes], bytes]


class FormatError(RaftKafkaError):
    """A record cannot be shown in the form that was asked for."""


def _as_it_is(text: bytes) -> bytes:
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatter:
    print_timestamp: bool = False
    print_partition: bool = False
    print_offset: bool = False
    print_headers: bool = False
    print_key: bool = False
    print_value: bool = True
    key_separator: bytes = b"\t"
    line_separator: bytes = b"\n"
    headers_separator: bytes = b","
    null_literal: bytes = b"null"
    key: Deserialize = _as_it_is
    value: Deserialize = _as_it_is
    header: Deserialize = _as_it_is

    @property
    def values_only(self) -> bool:
        """A line is the value: keys, headers and times need not be decoded."""
        others = (self.print_timestamp, self.print_partition, self.print_offset, self.print_headers, self.print_key)
        return self.print_value and not any(others) and self.value is _as_it_is

    def values(self, values: Sequence[bytes | None]) -> bytes:
        """Many values at once."""
        if None in values:
            values = [self.null_literal if value is None else value for value in values]
        return self.line_separator.join([*values, b""])  # type: ignore[list-item]  # None was replaced

    def record(self, partition: int, record: Record, *, append_time: bool) -> bytes:
        """One record with everything asked for; `append_time` tells what kind of time it has. Raises FormatError."""
        columns: list[bytes] = []
        if self.print_timestamp:
            kind = "LogAppendTime" if append_time else "CreateTime"
            columns.append(f"{kind}:{record.timestamp_ms}".encode())
        if self.print_partition:
            columns.append(b"Partition:%d" % partition)
        if self.print_offset:
            columns.append(b"Offset:%d" % record.offset)
        if self.print_headers:
            columns.append(
                self.headers_separator.join(
                    [name.encode() + b":" + self._shown(value, self.header) for name, value in record.headers]
                )
                or b"NO_HEADERS"
            )
        if self.print_key:
            columns.append(self._shown(record.key, self.key))
        if self.print_value:
            columns.append(self._shown(record.value, self.value))
        return self.key_separator.join(columns) + self.line_separator if columns else b""

    def _shown(self, text: bytes | None, deserialize: Deserialize) -> bytes:
        return self.null_literal if text is None else deserialize(text)


def formatter_of(properties: Mapping[str, str]) -> Formatter:
    """The formatter that these properties ask for; those it does not know are left alone. Raises ConfigurationError."""
    flags = {key.replace(".", "_"): properties[key].strip().lower() == "true" for key in _FLAGS if key in properties}
    texts = {key.replace(".", "_"): properties[key].encode() for key in _TEXTS if key in properties}
    deserializers = {
        name: _deserializer(properties[key])
        for name, key in zip(("key", "value", "header"), _DESERIALIZERS, strict=True)
        if key in properties
    }
    return Formatter(**flags, **texts, **deserializers)  # type: ignore[arg-type]  # the tables above are its fields


def _deserializer(class_name: str) -> Deserialize:
    name = class_name.strip().rpartition(".")[2]
    if name in _AS_THEY_ARE:
        return _as_it_is
    if (size := _NUMBER_BYTES.get(name)) is None:
        known = ", ".join((*_AS_THEY_ARE, *_NUMBER_BYTES))
        raise ConfigurationError(f"Unable to instantiate a deserializer from {class_name}; known are {known}")

    def number(text: bytes) -> bytes:
        if len(text) != size:
            raise FormatError(f"Size of data received by {name} is not {size}")
        return str(int.from_bytes(text, "big", signed=True)).encode()

    return number
