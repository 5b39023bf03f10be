"""DeleteRecords (key 21): raise the log start of partitions (KIP-107)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_OFFSET, Offset, PartitionIndex, TopicId

TO_HIGH_WATERMARK: Final = Offset(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecordsPartition:
    """Everything below `offset` goes; TO_HIGH_WATERMARK stands for the high watermark."""

    topic_id: TopicId
    partition: PartitionIndex
    offset: Offset


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecords:
    """To the leaders. `timeout_ms`: how long to wait for the other replicas; beyond it REQUEST_TIMED_OUT is answered."""

    api_key: ClassVar[ApiKey] = ApiKey.DELETE_RECORDS

    partitions: tuple[DeleteRecordsPartition, ...]
    timeout_ms: int = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecordsPartitionResponse:
    """`low_watermark`: the lowest log start among the live replicas, -1 with an error."""

    topic_id: TopicId
    partition: PartitionIndex
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    low_watermark: Offset = NO_OFFSET


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecordsResponse:
    partitions: tuple[DeleteRecordsPartitionResponse, ...]
    throttle_time_ms: int = 0
