"""What a topic's configuration demands of a producer's records beyond their form.

Floor 1, pure. Only topics that ask for it pay: a limit of timestamps is compared with the header, and records are decoded for
a compacted topic alone, and packed anew for a topic with a codec of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

from crc32c import crc32c

from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode
from raftkafka.model.ids import NO_TIMESTAMP
from raftkafka.record.compression import compress, decompress
from raftkafka.record.header import (
    COMPRESSION_MASK,
    CRC_START,
    HEADER,
    HEADER_BYTES,
    LENGTH_OVERHEAD,
    BatchHeader,
    Buffer,
)
from raftkafka.record.iterate import decode_pairs

_CRC: Final = Struct(">I")


def check_times(headers: Sequence[BatchHeader], *, earliest_ms: int, latest_ms: int) -> None:
    """Compare the times of producers with the broker's (KIP-32, KIP-937).

    What is compared are the first record's time and the largest one, which the header has. A record without a time (-1)
    passes, as in Kafka.

    Raises:
        ApiError: INVALID_TIMESTAMP.
    """
    for header in headers:
        for timestamp in (header.base_timestamp, header.max_timestamp):
            if not earliest_ms <= timestamp <= latest_ms and timestamp != NO_TIMESTAMP:
                raise ApiError(
                    ErrorCode.INVALID_TIMESTAMP,
                    f"the timestamp {timestamp} is not between {earliest_ms} and {latest_ms}, as the topic demands",
                )


def require_keys(records: Buffer, headers: Sequence[BatchHeader], *, max_bytes: int) -> None:
    """Compaction keeps the last record of every key, so a record without one has no place in a compacted topic.

    A batch may unfold to `max_bytes`.

    Raises:
        ApiError: INVALID_RECORD, CORRUPT_MESSAGE for malformed records, RECORD_LIST_TOO_LARGE.
    """
    position = 0
    for header in headers:
        try:
            pairs = decode_pairs(records, position, check_crc=False, max_bytes=max_bytes)
        except CorruptionError as error:
            raise ApiError(ErrorCode.CORRUPT_MESSAGE, str(error)) from error
        if any(key is None for _, key, _ in pairs):
            raise ApiError(ErrorCode.INVALID_RECORD, "compacted topics accept no record without a key")
        position += header.batch_size


def repacked(
    records: memoryview, headers: Sequence[BatchHeader], codec: int, *, message_max_bytes: int, max_bytes: int
) -> tuple[memoryview, list[BatchHeader]]:
    """The batches with their records packed by `codec`, as a topic's `compression.type` asks; what has it stays as it is.

    As in Kafka the size counts after that: a packed batch is at most `message_max_bytes` large, an unpacked one `max_bytes`.

    Raises:
        ApiError: CORRUPT_MESSAGE for what cannot be unpacked, RECORD_LIST_TOO_LARGE, MESSAGE_TOO_LARGE.
    """
    if all(header.compression == codec for header in headers):
        return records, list(headers)
    out = bytearray()
    changed: list[BatchHeader] = []
    position = 0
    for header in headers:
        batch = records[position : position + header.batch_size]
        position += header.batch_size
        if header.compression != codec:
            batch, header = _packed_by(codec, batch, header, max_bytes)  # noqa: PLW2901 - the same batch, otherwise packed
            if len(batch) > message_max_bytes:
                raise ApiError(
                    ErrorCode.MESSAGE_TOO_LARGE,
                    f"a batch of {len(batch)} bytes, packed as the topic demands, exceeds {message_max_bytes}",
                )
        out += batch
        changed.append(header)
    return memoryview(out), changed


def _packed_by(codec: int, batch: memoryview, header: BatchHeader, max_bytes: int) -> tuple[memoryview, BatchHeader]:
    try:
        plain = decompress(header.compression, batch[HEADER_BYTES:], max_bytes=max_bytes)
    except CorruptionError as error:
        raise ApiError(ErrorCode.CORRUPT_MESSAGE, str(error)) from error
    out = bytearray(HEADER_BYTES) + compress(codec, plain)
    attributes = header.attributes & ~COMPRESSION_MASK | codec
    HEADER.pack_into(out, 0, *header._replace(batch_length=len(out) - LENGTH_OVERHEAD, attributes=attributes))
    crc = crc32c(memoryview(out)[CRC_START:])
    _CRC.pack_into(out, 17, crc)
    return memoryview(out), header._replace(batch_length=len(out) - LENGTH_OVERHEAD, attributes=attributes, crc=crc)
