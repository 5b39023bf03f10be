"""Lines of a terminal or a pipe into records, as Kafka's LineMessageReader cuts them. Floor 5, pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from raftkafka.model.errors import ConfigurationError, RaftKafkaError

Headers = tuple[tuple[str, bytes | None], ...]

KEYS: Final = (
    "parse.key",
    "key.separator",
    "parse.headers",
    "headers.delimiter",
    "headers.separator",
    "headers.key.separator",
    "ignore.error",
    "null.marker",
)


class LineError(RaftKafkaError):
    """A line has not the parts that were announced; nothing of it is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineReader:
    """headers, `headers_delimiter`, key, `key_separator`, value: each part is there when it was asked for."""

    parse_key: bool = False
    key_separator: bytes = b"\t"
    parse_headers: bool = False
    headers_delimiter: bytes = b"\t"
    headers_separator: bytes = b","
    headers_key_separator: bytes = b":"
    ignore_error: bool = False
    null_marker: bytes | None = None

    @property
    def values_only(self) -> bool:
        """A line is its value: there is nothing to cut."""
        return not self.parse_key and not self.parse_headers and self.null_marker is None

    def read(self, line: bytes, number: int) -> tuple[bytes | None, bytes | None, Headers]:
        """Key, value, headers of the line of this number, counted from 1. Raises LineError."""
        headers: bytes | None = None
        key: bytes | None = None
        value: bytes | None = line
        rest = line
        if self.parse_headers:
            headers, rest = self._cut(rest, self.headers_delimiter, "headers delimiter", number, line)
        if self.parse_key:
            key, rest = self._cut(rest, self.key_separator, "key separator", number, line)
        value = self._or_null(rest)
        return (
            None if key is None else self._or_null(key),
            value,
            () if headers is None or headers == self.null_marker else self._headers(headers, number),
        )

    def _cut(self, text: bytes, separator: bytes, name: str, number: int, line: bytes) -> tuple[bytes | None, bytes]:
        part, found, rest = text.partition(separator)
        if found:
            return part, rest
        if self.ignore_error:
            return None, text
        raise LineError(f"No {name} found on line number {number}: '{line.decode(errors='replace')}'")

    def _headers(self, text: bytes, number: int) -> Headers:
        headers: list[tuple[str, bytes | None]] = []
        for pair in text.split(self.headers_separator):
            name, found, value = pair.partition(self.headers_key_separator)
            if not found and not self.ignore_error:
                shown = pair.decode(errors="replace")
                raise LineError(f"No header key separator found in pair '{shown}' on line number {number}")
            if name == self.null_marker:
                raise LineError("Header keys should not be equal to the null marker, as they can't be null")
            try:
                headers.append((name.decode(), self._or_null(value) if found else None))
            except UnicodeDecodeError as error:
                raise LineError(f"The name of a header on line number {number} is not UTF-8: {error}") from None
        return tuple(headers)

    def _or_null(self, text: bytes) -> bytes | None:
        return None if text == self.null_marker else text


def reader_of(properties: Mapping[str, str]) -> LineReader:
    """The reader that these properties ask for; those it does not know are left alone. Raises ConfigurationError."""
    given = {key: properties[key] for key in KEYS if key in properties}
    flags = {
        key.replace(".", "_"): given.pop(key).strip().lower() == "true"
        for key in ("parse.key", "parse.headers", "ignore.error")
        if key in given
    }
    reader = LineReader(**flags, **{key.replace(".", "_"): text.encode() for key, text in given.items()})  # type: ignore[arg-type]
    parts = {
        "headers.delimiter": reader.headers_delimiter,
        "headers.separator": reader.headers_separator,
        "headers.key.separator": reader.headers_key_separator,
    }
    names = list(parts)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            if parts[one] == parts[other]:
                raise ConfigurationError(f"{one} and {other} may not be equal")
    for name, text in {"key.separator": reader.key_separator, **parts}.items():
        if not text:
            raise ConfigurationError(f"{name} may not be empty")
        if text == reader.null_marker:
            raise ConfigurationError(f"null.marker and {name} may not be equal")
    return reader
