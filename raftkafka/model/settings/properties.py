r"""Java properties, line by line: text becomes keys and values that still know where they stood.

Floor 0. The format is that of `java.util.Properties.load`: comments with `#` or `!`, separators `=`, `:` or blanks, a
backslash that continues a line, the escapes `\t \n \r \f \uXXXX`. One difference on purpose: blanks at the end of a value
are dropped, since a port with an invisible blank behind it has cost people hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from raftkafka.model.errors import ConfigurationError

_BLANKS: Final = " \t\f"
_UNICODE_ESCAPE: Final = re.compile(r"[0-9A-Fa-f]{4}")
_LETTER_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One key with its value; `line` counts from 1 and is the line on which the key stands."""

    key: str
    value: str
    line: int


def parse(text: str, *, source: str) -> tuple[Property, ...]:
    r"""All properties of `text` in their order, repeated keys included; `source` names the file in messages.

    Raises:
        ConfigurationError: a malformed `\u` escape, or a line without a key.
    """
    return tuple(_property(line, logical, source) for line, logical in _logical_lines(text))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines joined where a backslash continues them, without comments and empty ones."""
    parts: list[str] = []
    began = 0
    for number, natural in enumerate(_natural_lines(text), start=1):
        line = natural.lstrip(_BLANKS)
        if not parts:
            if not line or line[0] in "#!":
                continue
            began = number
        # An even number of backslashes at the end is that many halves of escaped backslashes, not a continuation.
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            parts.append(line[:-1])
            continue
        parts.append(line)
        yield began, "".join(parts)
        parts = []
    if any(parts):
        yield began, "".join(parts)


def _natural_lines(text: str) -> list[str]:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _property(line: int, logical: str, source: str) -> Property:
    end = _key_end(logical)
    rest = logical[end:].lstrip(_BLANKS)
    if rest[:1] in {"=", ":"}:
        rest = rest[1:].lstrip(_BLANKS)
    try:
        key, value = _unescape(logical[:end]), _unescape(rest)
    except ValueError as error:
        raise ConfigurationError(f"{source}:{line}: {error}") from None
    if not key:
        raise ConfigurationError(f"{source}:{line}: there is no key before {logical[:1]!r}")
    return Property(key=key, value=value.rstrip(), line=line)


def _key_end(logical: str) -> int:
    escaped = False
    for position, char in enumerate(logical):
        if not escaped and (char in "=:" or char in _BLANKS):
            return position
        escaped = char == "\\" and not escaped
    return len(logical)


def _unescape(raw: str) -> str:
    if "\\" not in raw:
        return raw
    out: list[str] = []
    position = 0
    while position < len(raw):
        char = raw[position]
        position += 1
        if char != "\\" or position == len(raw):
            out.append(char)
            continue
        escape = raw[position]
        position += 1
        if escape != "u":
            out.append(_LETTER_ESCAPES.get(escape, escape))
            continue
        digits = raw[position : position + 4]
        if not _UNICODE_ESCAPE.fullmatch(digits):
            raise ValueError(f"malformed escape '\\u{digits}': four hexadecimal digits must follow '\\u'")
        out.append(chr(int(digits, 16)))
        position += 4
    return "".join(out)
