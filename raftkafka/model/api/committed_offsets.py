"""How far a group has come: OffsetCommit (key 8), OffsetFetch (9) and OffsetDelete (47).

Floor 0. Topics have names here, not ids, because the records of `__consumer_offsets` do (Kafka 3.9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import (
    NO_EPOCH,
    NO_GENERATION,
    NO_MEMBER,
    NO_OFFSET,
    NO_TOPIC_ID,
    GenerationId,
    GroupId,
    LeaderEpoch,
    MemberId,
    Offset,
    PartitionIndex,
    TopicId,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetCommitPartition:
    """`committed_offset`: of the record to be read next. `committed_leader_epoch`: of the last one read (KIP-320)."""

    partition: PartitionIndex
    committed_offset: Offset
    committed_leader_epoch: LeaderEpoch = NO_EPOCH
    committed_metadata: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetCommitTopic:
    """With a `topic_id`, offsets of a topic that was deleted and created again are refused with UNKNOWN_TOPIC_ID."""

    name: str
    topic_id: TopicId = NO_TOPIC_ID
    partitions: tuple[OffsetCommitPartition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetCommit:
    """To the coordinator. Without generation and member id it comes from outside: only while the group has no members."""

    api_key: ClassVar[ApiKey] = ApiKey.OFFSET_COMMIT

    group_id: GroupId
    generation_id: GenerationId = NO_GENERATION
    member_id: MemberId = NO_MEMBER
    group_instance_id: str | None = None
    topics: tuple[OffsetCommitTopic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetCommitPartitionResponse:
    partition: PartitionIndex
    error_code: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetCommitTopicResponse:
    name: str
    partitions: tuple[OffsetCommitPartitionResponse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetCommitResponse:
    topics: tuple[OffsetCommitTopicResponse, ...]
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetFetchTopic:
    name: str
    partitions: tuple[PartitionIndex, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetFetchGroup:
    """`topics` None asks for every offset that the group has committed."""

    group_id: GroupId
    topics: tuple[OffsetFetchTopic, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetFetch:
    """To the coordinator of all these groups (KIP-709). `require_stable`: no offset with an open transaction (KIP-447)."""

    api_key: ClassVar[ApiKey] = ApiKey.OFFSET_FETCH

    groups: tuple[OffsetFetchGroup, ...]
    require_stable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetFetchPartitionResponse:
    """-1 and an empty `metadata` where nothing was committed."""

    partition: PartitionIndex
    committed_offset: Offset = NO_OFFSET
    committed_leader_epoch: LeaderEpoch = NO_EPOCH
    metadata: str | None = ""
    error_code: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetFetchTopicResponse:
    name: str
    partitions: tuple[OffsetFetchPartitionResponse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetFetchGroupResponse:
    group_id: GroupId
    topics: tuple[OffsetFetchTopicResponse, ...] = ()
    error_code: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetFetchResponse:
    groups: tuple[OffsetFetchGroupResponse, ...]
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetDeleteTopic:
    name: str
    partitions: tuple[PartitionIndex, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetDelete:
    """To the coordinator; partitions of topics that the group is subscribed to are refused (KIP-496)."""

    api_key: ClassVar[ApiKey] = ApiKey.OFFSET_DELETE

    group_id: GroupId
    topics: tuple[OffsetDeleteTopic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetDeletePartitionResponse:
    partition: PartitionIndex
    error_code: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetDeleteTopicResponse:
    name: str
    partitions: tuple[OffsetDeletePartitionResponse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetDeleteResponse:
    error_code: ErrorCode = ErrorCode.NONE
    topics: tuple[OffsetDeleteTopicResponse, ...] = ()
    throttle_time_ms: int = 0
