"""CreatePartitions (key 37)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPartitions:
    """A topic that is to have `count` partitions, more than now (KIP-195).

    `assignments`, when given, holds the replicas of each partition that is added, the preferred leader first.
    """

    name: str
    count: int
    assignments: tuple[tuple[NodeId, ...], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePartitions:
    api_key: ClassVar[ApiKey] = ApiKey.CREATE_PARTITIONS

    topics: tuple[NewPartitions, ...]
    timeout_ms: int = 30_000
    validate_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownTopic:
    name: str
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePartitionsResponse:
    topics: tuple[GrownTopic, ...]
    throttle_time_ms: int = 0
