"""What the table of APIs says about one API: how its bodies become values, and back.

Floor 2. A body is what stands fifth in a request's header and second in a response's; `records` are the raw bytes behind
the header, which only Produce and Fetch have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from raftkafka.model.api import Request, Response
from raftkafka.wire.native.fields import Buffer, Shape, malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The shortcuts are for the most common form of a message, which they write or read whole; None means any other form.

    `pack_request` takes correlation id, client id and request; `repeat_request` an earlier request of that form and the
    records of one whose header is the same; `unpack_response` header, records and the correlation id that is due.
    """

    decode_request: Callable[[object, memoryview], Request]
    encode_response: Callable[[Any], tuple[object, list[Buffer]]]
    encode_request: Callable[[Any], tuple[object, list[Buffer]]]
    decode_response: Callable[[object, memoryview], Response]
    min_version: int = 0
    max_version: int = 0
    pack_request: Callable[[int, str, Any], list[Buffer] | None] | None = None
    repeat_request: Callable[[Any, memoryview], Request] | None = None
    pack_response: Callable[[int, Any], list[Buffer] | None] | None = None
    unpack_response: Callable[[memoryview, memoryview, int], Response | None] | None = None


def without_records(request: Shape[Any], response: Shape[Any]) -> Api:
    """An API whose messages are a header and nothing else."""

    def decode(shape: Shape[Any]) -> Callable[[object, memoryview], Any]:
        def decode_body(body: object, records: memoryview) -> Any:
            if len(records):
                malformed(f"{shape.name} carries no records")
            return shape.decode(body)

        return decode_body

    def encode(shape: Shape[Any]) -> Callable[[Any], tuple[object, list[Buffer]]]:
        return lambda value: (shape.encode(value), [])

    return Api(
        decode_request=decode(request),
        encode_response=encode(response),
        encode_request=encode(request),
        decode_response=decode(response),
    )


def split_records(records: memoryview, counts: list[int]) -> list[memoryview]:
    """The partitions' shares of the raw bytes, as views; the declared counts must add up to exactly what is there."""
    if sum(counts) != len(records):
        malformed("byte counts do not add up to the records behind the header")
    views, start = [], 0
    for count in counts:
        views.append(records[start : start + count])
        start += count
    return views
