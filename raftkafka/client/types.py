"""What users of the client hold in their hands. Floor 3.

Tuples rather than dataclasses where one is made per record: building a frozen dataclass costs four times as much.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from raftkafka.model.errors import RaftKafkaError
from raftkafka.model.ids import TimestampMs
from raftkafka.model.passing import passing_tuple

Headers = Sequence[tuple[str, bytes | None]]

UNKNOWN_OFFSET: Final = -1
"""The offset in an acknowledgement with acks=0: nobody told us."""


class TopicPartition(NamedTuple):
    """A partition as a user names it. On the wire the topic's id stands in for the name (KIP-516)."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


@passing_tuple
class RecordMetadata(NamedTuple):
    """Where an acknowledged record lies; `timestamp_ms` in milliseconds since the epoch, UTC."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


class BatchMetadata(NamedTuple):
    """Where the values of one `send_batch` lie: all in one partition, in their order.

    They are contiguous exactly when `last_offset - base_offset + 1 == record_count`; otherwise other producers wrote between.
    """

    topic: str
    partition: int
    base_offset: int
    last_offset: int
    record_count: int


class ConsumerRecord(NamedTuple):
    """One record as `async for` gives it; `timestamp_ms` in milliseconds since the epoch, UTC."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Batch(NamedTuple):
    """Raw record batches of one partition, back to back.

    They hold the records from `first_offset` to below `next_offset`, but the first of them may begin before it
    (batches are served whole).
    """

    topic_partition: TopicPartition
    records: memoryview
    first_offset: int
    next_offset: int


class Values(NamedTuple):
    """Values of one partition from `first_offset` on, without keys, headers and times; the reader goes on at
    `next_offset`. `values[i]` lies at `first_offset + i` unless compaction has left gaps.
    """

    topic_partition: TopicPartition
    first_offset: int
    next_offset: int
    values: list[bytes | None]


class OffsetAndMetadata(NamedTuple):
    """A place that a group has committed: the offset of the record to read next, a note of the application (at most
    `offset.metadata.max.bytes`), and the leader epoch of the record before, -1 where it is not known (KIP-320).
    """

    offset: int
    metadata: str = ""
    leader_epoch: int = -1


class OffsetAndTimestamp(NamedTuple):
    offset: int
    timestamp_ms: int


class BufferFullError(RaftKafkaError):
    """`buffer_memory` is used up: nothing was taken. Wait for `Producer.ready` and send again."""


class NotRunningError(RaftKafkaError):
    """The client has not been started, or was stopped."""


class NotReachableError(RaftKafkaError):
    """No broker answered; the message says which were asked and why each failed."""


class WallClock:
    """The clock of this machine; tests and the simulator pass their own `ports.clock.Clock`."""

    def now_ms(self) -> TimestampMs:
        """Milliseconds since the epoch, UTC; may jump in either direction."""
        return TimestampMs(time.time_ns() // 1_000_000)
