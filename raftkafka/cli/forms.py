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
