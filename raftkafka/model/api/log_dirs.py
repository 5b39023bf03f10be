"""DescribeLogDirs (key 35): what lies in a broker's log directories, and what room they have (KIP-113, KIP-827)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_OFFSET, PartitionIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeLogDirs:
    """Of the broker that is asked. `topics`: their names, None for all."""

    api_key: ClassVar[ApiKey] = ApiKey.DESCRIBE_LOG_DIRS

    topics: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDirPartition:
    """`offset_lag`: how far the log ends below the high watermark that the replica knows."""

    topic: str
    partition: PartitionIndex
    size_bytes: int
    offset_lag: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedLogDir:
    """`error_code` is KAFKA_STORAGE_ERROR for one that is offline. Total and usable bytes are of its file system, -1 unknown."""

    error_code: ErrorCode = ErrorCode.NONE
    log_dir: str
    partitions: tuple[LogDirPartition, ...] = ()
    total_bytes: int = NO_OFFSET
    usable_bytes: int = NO_OFFSET


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeLogDirsResponse:
    error_code: ErrorCode = ErrorCode.NONE
    log_dirs: tuple[DescribedLogDir, ...] = ()
    throttle_time_ms: int = 0
