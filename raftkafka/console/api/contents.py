"""Messages as the API shows and takes them. Floor 4, pure."""

from __future__ import annotations

import base64
import binascii
import codecs
from dataclasses import dataclass
from typing import Annotated, Final

from raftkafka.console.api.errors import bad_request
from raftkafka.console.api.schema import Says
from raftkafka.record.iterate import Record

SHOWN_BYTES_MAX: Final = 64 << 10
"""Of one key, value or header in a list."""
HEADERS_SHOWN_MAX: Final = 100
_OVERHEAD_BYTES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Bytes that are UTF-8."""

    text: str
    size: Annotated[int, Says("bytes, with those that are not shown")]
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """Bytes that are no UTF-8."""

    base64: str
    size: Annotated[int, Says("bytes, with those that are not shown")]
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    partition: int
    offset: int
    timestamp_ms: int
    key: Text | Binary | None
    value: Text | Binary | None
    headers: Annotated[tuple[tuple[str, Text | Binary | None], ...], Says("at most a hundred")]


def message(partition: int, record: Record, most: int | None = SHOWN_BYTES_MAX) -> Message:
    """`most`: bytes shown of each part; None shows everything."""
    return Message(
        partition=partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        key=content(record.key, most),
        value=content(record.value, most),
        headers=tuple([(name, content(value, most)) for name, value in record.headers[:HEADERS_SHOWN_MAX]]),
    )


def shown_bytes(record: Record) -> int:
    """About how much of an answer a message is."""
    parts = (record.key, record.value, *[value for _, value in record.headers[:HEADERS_SHOWN_MAX]])
    return _OVERHEAD_BYTES + sum([min(len(part), SHOWN_BYTES_MAX) for part in parts if part is not None])


def content(found: bytes | None, most: int | None) -> Text | Binary | None:
    if found is None:
        return None
    cut = most is not None and len(found) > most
    part = found[:most] if cut else found
    try:
        # A cut may lie within a character, which is left out then.
        text = codecs.getincrementaldecoder("utf-8")().decode(part, final=not cut)
    except UnicodeDecodeError:
        return Binary(base64=base64.b64encode(part).decode(), size=len(found), truncated=cut)
    return Text(text=text, size=len(found), truncated=cut)


def taken(text: str | None, encoding: str, where: str) -> bytes | None:
    """The bytes that somebody sends as text or in base64."""
    if text is None:
        return None
    if encoding == "text":
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"{where}: is no base64: {error}") from error
