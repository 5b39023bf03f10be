"""Many values at once: how they are cut into batches, and one future for all of them. Floor 3."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from raftkafka.client.lanes import OnDone
from raftkafka.client.types import UNKNOWN_OFFSET, BatchMetadata, TopicPartition
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.record.build import encode_values
from raftkafka.record.header import HEADER_BYTES, NO_COMPRESSION

_RECORD_OVERHEAD: Final = 12
"""What a record of common size adds to its value; only a guess of the cut, `encode_chunk` keeps the bound."""


def records_per_chunk(count: int, total_bytes: int, batch_size: int) -> int:
    """How many values of average size make a batch of about `batch_size` bytes; at least one."""
    average = total_bytes / count + _RECORD_OVERHEAD
    return max(1, int((batch_size - HEADER_BYTES) / average))


def encode_chunk(
    values: Sequence[bytes],
    timestamp_ms: int,
    bytes_max: int,
    *,
    checksum: bool = True,
    compression: int = NO_COMPRESSION,
) -> Iterator[tuple[bytearray, int]]:
    """Record batches of at most `bytes_max` bytes with their record counts; one, unless sizes vary widely.

    `checksum` False: it comes with the producer's numbers, when they are known.

    Raises:
        ApiError: MESSAGE_TOO_LARGE, for a single value that does not fit.
    """
    encoded = encode_values(values, timestamp_ms=timestamp_ms, checksum=checksum, compression=compression)
    if len(encoded) <= bytes_max:
        yield encoded, len(values)
    elif len(values) == 1:
        raise ApiError(
            ErrorCode.MESSAGE_TOO_LARGE, f"a value of {len(values[0])} bytes exceeds max_request_size, {bytes_max}"
        )
    else:
        half = len(values) // 2
        for part in (values[:half], values[half:]):
            yield from encode_chunk(part, timestamp_ms, bytes_max, checksum=checksum, compression=compression)


class BulkDelivery:
    """Counts the batches of one `send_batch` down; `future` ends with the last of them."""

    def __init__(self, topic_partition: TopicPartition, count: int, future: asyncio.Future[BatchMetadata]) -> None:
        self.future = future
        self._topic_partition = topic_partition
        self._count = count
        self._parts = 0
        self._open = 1  # the one that `seal` takes away
        self._base_offset = UNKNOWN_OFFSET
        self._last_offset = UNKNOWN_OFFSET
        self._last_part = -1
        self._error: ApiError | None = None

    def part(self, record_count: int) -> OnDone:
        """What the next batch, of `record_count` records, reports to."""
        number, self._parts = self._parts, self._parts + 1
        self._open += 1

        def on_done(base_offset: int, error: ApiError | None) -> None:
            if error is not None:
                self._error = self._error or error
            elif base_offset != UNKNOWN_OFFSET:
                if number == 0:
                    self._base_offset = base_offset
                if number > self._last_part:
                    self._last_part = number
                    self._last_offset = base_offset + record_count - 1
            self._close_one()

        return on_done

    def seal(self) -> None:
        """No further batch follows."""
        self._close_one()

    def _close_one(self) -> None:
        self._open -= 1
        if self._open or self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(
                BatchMetadata(*self._topic_partition, self._base_offset, self._last_offset, self._count)
            )
