"""DescribePartitionHistory (key 10001, ours): who led a partition when, and why that changed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import (
    NO_EPOCH,
    NO_NODE,
    NO_TOPIC_ID,
    LeaderEpoch,
    NodeId,
    PartitionIndex,
    TimestampMs,
    TopicId,
)


class PartitionCause(IntEnum):
    """What a change of a partition followed from. Numbers are kept: they stand in snapshots."""

    UNKNOWN = 0
    CREATED = 1
    BROKER_SILENT = 2
    BROKER_UNREACHABLE = 3
    BROKER_BACK = 4
    BROKER_SHUTS_DOWN = 5
    BROKER_RESTARTED = 6
    LEADER_REPORTED = 7
    PREFERRED_ELECTION = 8
    UNCLEAN_ELECTION = 9
    REPLICA_DAMAGED = 10
    REPLICA_OFFLINE = 11
    REASSIGNMENT = 12
    CONFIGS = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribePartitionHistory:
    """Asked of any node; it answers with what it has applied."""

    api_key: ClassVar[ApiKey] = ApiKey.DESCRIBE_PARTITION_HISTORY

    topic: str
    partition: PartitionIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionEvent:
    """`cause` is a `PartitionCause`, `node_id` the broker that it is about; the rest is what was so from then on."""

    time_ms: TimestampMs
    cause: int
    node_id: NodeId
    leader: NodeId
    leader_epoch: LeaderEpoch
    isr: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribePartitionHistoryResponse:
    """The state now, and what led to it, the oldest event that is remembered first; `fenced` are replicas on brokers that are."""

    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    topic_id: TopicId = NO_TOPIC_ID
    leader: NodeId = NO_NODE
    leader_epoch: LeaderEpoch = NO_EPOCH
    replicas: tuple[NodeId, ...] = ()
    isr: tuple[NodeId, ...] = ()
    elr: tuple[NodeId, ...] = ()
    adding: tuple[NodeId, ...] = ()
    removing: tuple[NodeId, ...] = ()
    fenced: tuple[NodeId, ...] = ()
    events: tuple[PartitionEvent, ...] = ()
