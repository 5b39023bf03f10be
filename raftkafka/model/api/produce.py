"""Produce (key 0): record batches for partitions that the receiving broker leads."""

from __future__ import annotations

from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import (
    NO_EPOCH,
    NO_NODE,
    NO_OFFSET,
    NO_TIMESTAMP,
    LeaderEpoch,
    NodeId,
    Offset,
    PartitionIndex,
    TimestampMs,
    TopicId,
)
from raftkafka.model.passing import passing_value


@passing_value
class ProducePartition:
    """Record batches (v2, one or more, back to back) for one partition.

    `records` is a writable view of the connection's receive buffer: it is valid only until the handler returns (for an
    `async` answer: until the first suspension), and the broker stamps offset and epoch into it in place.
    """

    topic_id: TopicId
    partition: PartitionIndex
    leader_epoch: LeaderEpoch = NO_EPOCH
    records: memoryview


@passing_value
class Produce:
    """`acks` is 0, 1 or -1 (all); `timeout_ms` bounds the wait for followers."""

    api_key: ClassVar[ApiKey] = ApiKey.PRODUCE

    acks: int
    timeout_ms: int
    partitions: tuple[ProducePartition, ...]


@passing_value
class ProducePartitionResponse:
    """`base_offset` is that of the first record; on a leadership error the leader known here is named (KIP-951)."""

    topic_id: TopicId
    partition: PartitionIndex
    error_code: ErrorCode = ErrorCode.NONE
    base_offset: Offset = NO_OFFSET
    log_append_time_ms: TimestampMs = NO_TIMESTAMP
    log_start_offset: Offset = NO_OFFSET
    current_leader: NodeId = NO_NODE
    current_leader_epoch: LeaderEpoch = NO_EPOCH
    error_message: str | None = None


@passing_value
class ProduceResponse:
    """One entry per partition of the request, in its order."""

    partitions: tuple[ProducePartitionResponse, ...]
    throttle_time_ms: int = 0
