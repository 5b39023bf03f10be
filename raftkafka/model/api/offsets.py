"""ListOffsets (key 2) and OffsetForLeaderEpoch (key 23)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

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

LATEST: Final = TimestampMs(-1)
EARLIEST: Final = TimestampMs(-2)
MAX_TIMESTAMP: Final = TimestampMs(-3)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOffsetsPartition:
    """`timestamp`: milliseconds, or LATEST (high watermark), EARLIEST (log start), MAX_TIMESTAMP (KIP-734)."""

    topic_id: TopicId
    partition: PartitionIndex
    current_leader_epoch: LeaderEpoch = NO_EPOCH
    timestamp: TimestampMs


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOffsets:
    api_key: ClassVar[ApiKey] = ApiKey.LIST_OFFSETS

    replica_id: NodeId = NO_NODE
    isolation_level: int = 0
    partitions: tuple[ListOffsetsPartition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOffsetsPartitionResponse:
    """The first offset whose timestamp is >= the one asked for, and that timestamp; -1 and -1 where there is none."""

    topic_id: TopicId
    partition: PartitionIndex
    error_code: ErrorCode = ErrorCode.NONE
    timestamp: TimestampMs = NO_TIMESTAMP
    offset: Offset = NO_OFFSET
    leader_epoch: LeaderEpoch = NO_EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOffsetsResponse:
    partitions: tuple[ListOffsetsPartitionResponse, ...]
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetForLeaderEpochPartition:
    topic_id: TopicId
    partition: PartitionIndex
    current_leader_epoch: LeaderEpoch = NO_EPOCH
    leader_epoch: LeaderEpoch


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetForLeaderEpoch:
    api_key: ClassVar[ApiKey] = ApiKey.OFFSET_FOR_LEADER_EPOCH

    replica_id: NodeId = NO_NODE
    partitions: tuple[OffsetForLeaderEpochPartition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetForLeaderEpochPartitionResponse:
    """The largest epoch <= the one asked for, and where it ends; -1 and -1 where the log knows none (KIP-101)."""

    topic_id: TopicId
    partition: PartitionIndex
    error_code: ErrorCode = ErrorCode.NONE
    leader_epoch: LeaderEpoch = NO_EPOCH
    end_offset: Offset = NO_OFFSET


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetForLeaderEpochResponse:
    partitions: tuple[OffsetForLeaderEpochPartitionResponse, ...]
    throttle_time_ms: int = 0
