"""CreateTopics (key 19) and DeleteTopics (key 20)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_TOPIC_ID, NodeId, PartitionIndex, TopicId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTopic:
    """A topic to create.

    `num_partitions` and `replication_factor` of -1 take the broker's defaults (KIP-464). `assignments` (partition,
    replicas in order of preference), when given, replaces both numbers, which must then be -1.
    """

    name: str
    num_partitions: int = -1
    replication_factor: int = -1
    assignments: tuple[tuple[PartitionIndex, tuple[NodeId, ...]], ...] = ()
    configs: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTopics:
    api_key: ClassVar[ApiKey] = ApiKey.CREATE_TOPICS

    topics: tuple[NewTopic, ...]
    timeout_ms: int = 30_000
    validate_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedTopic:
    name: str
    topic_id: TopicId = NO_TOPIC_ID
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    num_partitions: int = -1
    replication_factor: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTopicsResponse:
    topics: tuple[CreatedTopic, ...]
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicToDelete:
    """Named by exactly one of `name` and `topic_id`."""

    name: str | None = None
    topic_id: TopicId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTopics:
    api_key: ClassVar[ApiKey] = ApiKey.DELETE_TOPICS

    topics: tuple[TopicToDelete, ...]
    timeout_ms: int = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedTopic:
    name: str | None
    topic_id: TopicId = NO_TOPIC_ID
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTopicsResponse:
    topics: tuple[DeletedTopic, ...]
    throttle_time_ms: int = 0
