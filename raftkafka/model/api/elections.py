"""ElectLeaders (key 43), KIP-183 and KIP-460."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import PartitionIndex


class ElectionType(IntEnum):
    """PREFERRED: the first replica leads again. UNCLEAN: where nobody may lead, whoever is there does, records lost or not."""

    PREFERRED = 0
    UNCLEAN = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicToElect:
    name: str
    partitions: tuple[PartitionIndex, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectLeaders:
    """`election_type` is an `ElectionType`. `topics` None asks for every partition that has need of one."""

    api_key: ClassVar[ApiKey] = ApiKey.ELECT_LEADERS

    election_type: int
    topics: tuple[TopicToElect, ...] | None = None
    timeout_ms: int = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectedPartition:
    """ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE, ELIGIBLE_LEADERS_NOT_AVAILABLE, UNKNOWN_TOPIC_OR_PARTITION."""

    partition: PartitionIndex
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectedTopic:
    name: str
    partitions: tuple[ElectedPartition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectLeadersResponse:
    """`error_code` concerns the request as a whole. Where all partitions were asked for, those without need are left out."""

    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    topics: tuple[ElectedTopic, ...] = ()
    throttle_time_ms: int = 0
