"""What a topic's configuration demands of a producer's records beyond their form.

Floor 1, pure. Only topics that ask for it pay: a limit of timestamps is compared with the header, and records are decoded for
a compacted topic alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode
from raftkafka.model.ids import NO_TIMESTAMP
from raftkafka.record.header import GZIP, BatchHeader, Buffer
from raftkafka.record.iterate import decode_pairs


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

    Batches of codecs that nobody here reads pass, and compaction leaves them as they are. A batch may unfold to `max_bytes`.

    Raises:
        ApiError: INVALID_RECORD, CORRUPT_MESSAGE for malformed records, RECORD_LIST_TOO_LARGE.
    """
    position = 0
    for header in headers:
        if header.compression <= GZIP:
            try:
                pairs = decode_pairs(records, position, check_crc=False, max_bytes=max_bytes)
            except CorruptionError as error:
                raise ApiError(ErrorCode.CORRUPT_MESSAGE, str(error)) from error
            if any(key is None for _, key, _ in pairs):
                raise ApiError(ErrorCode.INVALID_RECORD, "compacted topics accept no record without a key")
        position += header.batch_size
