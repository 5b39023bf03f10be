"""Refuses records and names that could not be encoded, while the caller can still be told. Floor 3, pure."""

from __future__ import annotations

from operator import index

from raftkafka.client.types import Headers
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.topics import NAME_MAX_CHARS
from raftkafka.record.layout import RecordFields


def checked_topic(name: str) -> str:
    """A name that a request can hold. Brokers refuse a request that they cannot read as a whole, and each one after it.

    Raises:
        TypeError: it is no str.
        ApiError: INVALID_TOPIC_EXCEPTION, it is longer than any topic's name.
    """
    if not isinstance(name, str):
        raise TypeError(f"a topic's name is a str, not {type(name).__name__}")
    if len(name) > NAME_MAX_CHARS:
        raise ApiError(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"a topic's name has at most {NAME_MAX_CHARS} characters, not {len(name)}",
        )
    return name


def checked_record(key: bytes | None, value: bytes | None, timestamp_ms: int, headers: Headers) -> RecordFields:
    """The record as it will be encoded. Buffers are copied: what the caller does to them later must not change it.

    Raises:
        TypeError: key or value is not bytes, a header is not `(str, bytes or None)`, or the time is no integer.
    """
    if value.__class__ is not bytes and value is not None:
        value = _as_bytes(value)
    if key.__class__ is not bytes and key is not None:
        key = _as_bytes(key)
    if headers:
        headers = tuple((_as_name(name), None if content is None else _as_bytes(content)) for name, content in headers)
    return key, value, index(timestamp_ms), headers


def _as_bytes(given: object) -> bytes:
    if isinstance(given, bytes | bytearray | memoryview):
        return bytes(given)
    raise TypeError(f"expected bytes, not {type(given).__name__}")


def _as_name(given: object) -> str:
    if isinstance(given, str):
        return given
    raise TypeError(f"a header's name is a str, not {type(given).__name__}")
