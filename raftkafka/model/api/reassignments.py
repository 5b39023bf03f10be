"""AlterPartitionReassignments (key 45) and ListPartitionReassignments (key 46), KIP-455."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId, PartitionIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignablePartition:
    """`replicas` is what the partition is to have, the preferred leader first; None cancels the reassignment in progress."""

    partition: PartitionIndex
    replicas: tuple[NodeId, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignableTopic:
    name: str
    partitions: tuple[ReassignablePartition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterPartitionReassignments:
    """With `allow_replication_factor_change` False, a target of another size than now is refused (KIP-860)."""

    api_key: ClassVar[ApiKey] = ApiKey.ALTER_PARTITION_REASSIGNMENTS

    topics: tuple[ReassignableTopic, ...]
    timeout_ms: int = 30_000
    allow_replication_factor_change: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignedPartition:
    partition: PartitionIndex
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignedTopic:
    name: str
    partitions: tuple[ReassignedPartition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterPartitionReassignmentsResponse:
    """`error_code` concerns the request as a whole: nothing of it was decided, or its outcome is unknown."""

    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    topics: tuple[ReassignedTopic, ...] = ()
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTopic:
    name: str
    partitions: tuple[PartitionIndex, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPartitionReassignments:
    """`topics` None asks for every reassignment in progress; partitions that do not exist are left out of the answer."""

    api_key: ClassVar[ApiKey] = ApiKey.LIST_PARTITION_REASSIGNMENTS

    topics: tuple[ListedTopic, ...] | None = None
    timeout_ms: int = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OngoingReassignment:
    """`replicas` are all that the partition has now, the added and the leaving ones included."""

    partition: PartitionIndex
    replicas: tuple[NodeId, ...]
    adding_replicas: tuple[NodeId, ...] = ()
    removing_replicas: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OngoingTopic:
    name: str
    partitions: tuple[OngoingReassignment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPartitionReassignmentsResponse:
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    topics: tuple[OngoingTopic, ...] = ()
    throttle_time_ms: int = 0
