"""How a record looks as a line of `rk consume`. Floor 5, pure. The forms are documented in docs/cli.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from raftkafka.client.types import TopicPartition
from raftkafka.record.iterate import Record

Form = Callable[[TopicPartition, int, Sequence[Any]], bytes]
"""Partition, offset of the first item, items: values, or records for JSON."""


def values(partition: TopicPartition, first: int, items: Sequence[bytes | None]) -> bytes:
    """The value and a line feed; a value that is null is an empty line."""
    if None in items:
        items = [value or b"" for value in items]
    return b"\n".join([*items, b""])  # type: ignore[list-item]  # None was replaced


def offsets(partition: TopicPartition, first: int, items: Sequence[bytes | None]) -> bytes:
    """Partition, offset and value with tabs between."""
    number = partition.partition
    return b"".join([b"%d\t%d\t%b\n" % (number, at, value or b"") for at, value in enumerate(items, first)])


def json_documents(partition: TopicPartition, first: int, items: Sequence[Record]) -> bytes:
    """A JSON document per record, with everything it holds."""
    import json

    encode = json.JSONEncoder(separators=(",", ":")).encode
    return "".join([encode(_document(partition, record)) + "\n" for record in items]).encode()


def template(text: str) -> Form:
    r"""What `text` says of each record: `{key}`, `{value}` and the other `FIELDS`; `{{` and `}}` for braces, `\n`, `\t`, `\\`, `\0`.

    Raises:
        ValueError: a field is unknown, or a brace has no other end.
    """
    from string import Formatter

    parts: list[tuple[bytes, _Field | None]] = []
    for literal, name, specification, conversion in Formatter().parse(_unescaped(text)):
        if name is not None and (name not in FIELDS or specification or conversion):
            raise ValueError(f"{{{name}}} is none of {', '.join(f'{{{each}}}' for each in FIELDS)}")
        parts.append((literal.encode(), None if name is None else FIELDS[name]))

    def filled(partition: TopicPartition, first: int, items: Sequence[Record]) -> bytes:
        return b"".join(
            [
                literal if field is None else literal + field(partition, record)
                for record in items
                for literal, field in parts
            ]
        )

    return filled


_Field = Callable[[TopicPartition, Record], bytes]

FIELDS: Final[Mapping[str, _Field]] = {
    "topic": lambda partition, record: partition.topic.encode(),
    "partition": lambda partition, record: b"%d" % partition.partition,
    "offset": lambda partition, record: b"%d" % record.offset,
    "timestamp": lambda partition, record: b"%d" % record.timestamp_ms,
    "time": lambda partition, record: _time(record.timestamp_ms),
    "key": lambda partition, record: record.key or b"",
    "value": lambda partition, record: record.value or b"",
    "headers": lambda partition, record: b",".join(
        [name.encode() + b"=" + (value or b"") for name, value in record.headers]
    ),
}
"""What a template may name; what is null is empty."""

_ESCAPES: Final = {"n": "\n", "t": "\t", "\\": "\\", "0": "\0"}


def _unescaped(text: str) -> str:
    """With line feeds, tabs, backslashes and zero bytes in place of their escapes; others stay as they are."""
    import re

    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text)


def _time(timestamp_ms: int) -> bytes:
    """UTC, as ISO 8601 with milliseconds; the number where no calendar reaches."""
    from datetime import UTC, datetime, timedelta

    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=timestamp_ms)
    except OverflowError:
        return b"%d" % timestamp_ms
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


FORMS: Final[Mapping[str, Form]] = {"value": values, "offset": offsets, "json": json_documents}


def _document(partition: TopicPartition, record: Record) -> dict[str, Any]:
    return {
        "topic": partition.topic,
        "partition": partition.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        **_text_or_base64("key", record.key),
        **_text_or_base64("value", record.value),
        "headers": [{"name": name, **_text_or_base64("value", value)} for name, value in record.headers],
    }


def _text_or_base64(name: str, value: bytes | None) -> dict[str, str | None]:
    """Text where the bytes are UTF-8; else their base64 under a name that says so, since JSON has no bytes."""
    if value is None:
        return {name: None}
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        from base64 import b64encode

        return {f"{name}_base64": b64encode(value).decode()}
