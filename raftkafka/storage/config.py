"""What a log needs to know of the settings: the broker's defaults with a topic's own configuration on top.

Floor 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from raftkafka.model.settings.values import INT64_MAX, LogSettings
from raftkafka.record.compression import target_of

LOG_APPEND_TIME: Final = "LogAppendTime"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """Names and meaning of Kafka's topic configuration; sizes in bytes, times in milliseconds, -1 = without limit."""

    segment_bytes: int = 1 << 30
    segment_ms: int = 168 * 3_600_000
    segment_jitter_ms: int = 0
    retention_ms: int = 168 * 3_600_000
    retention_bytes: int = -1
    index_interval_bytes: int = 4096
    index_size_max_bytes: int = 10 << 20
    message_max_bytes: int = 1_048_588
    repacks_by: int | None = None
    """The codec of a topic whose `compression.type` names one; None under "producer": batches stay as they come."""
    timestamp_type: str = "CreateTime"
    timestamp_before_max_ms: int = INT64_MAX
    timestamp_after_max_ms: int = INT64_MAX
    cleanup_policy: str = "delete"
    delete_retention_ms: int = 86_400_000
    min_cleanable_dirty_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = INT64_MAX
    preallocate_bytes: int = 16 << 20

    # What follows from these. Attributes, because every append asks.

    compacts: bool = field(init=False, repr=False, compare=False)
    """True under `cleanup.policy=compact` and `compact,delete`: of every key the last value is kept."""
    deletes: bool = field(init=False, repr=False, compare=False)
    """True when retention by time and size applies (`delete`, `compact,delete`)."""
    roll_ms: int = field(init=False, repr=False, compare=False)
    """The age at which a segment rolls: compaction does not touch the active one, however late it is."""
    limits_timestamps: bool = field(init=False, repr=False, compare=False)
    """True when a producer's timestamps may be refused (KIP-937)."""
    stamps_append_time: bool = field(init=False, repr=False, compare=False)
    """True under `message.timestamp.type=LogAppendTime`: the broker's time replaces the producer's (KIP-32)."""

    def __post_init__(self) -> None:
        compacts = "compact" in self.cleanup_policy
        limits = self.timestamp_before_max_ms < INT64_MAX or self.timestamp_after_max_ms < INT64_MAX
        roll_ms = min(self.segment_ms, self.max_compaction_lag_ms) if compacts else self.segment_ms
        object.__setattr__(self, "compacts", compacts)
        object.__setattr__(self, "deletes", "delete" in self.cleanup_policy)
        object.__setattr__(self, "roll_ms", roll_ms)
        object.__setattr__(self, "limits_timestamps", limits)
        object.__setattr__(self, "stamps_append_time", self.timestamp_type == LOG_APPEND_TIME)


def log_config(settings: LogSettings, topic: Mapping[str, str] | None = None) -> LogConfig:
    """The configuration of one topic's logs; keys of `topic` are Kafka's (`segment.bytes`, `retention.ms`, ...).

    Raises:
        ValueError: a number or a codec in `topic` is none; the controller validates before it accepts a topic's configuration.
    """
    own = topic or {}
    difference_ms = int(own.get("message.timestamp.difference.max.ms", settings.message_timestamp_difference_max_ms))
    return LogConfig(
        segment_bytes=int(own.get("segment.bytes", settings.segment_bytes)),
        segment_ms=int(own.get("segment.ms", settings.segment_ms)),
        segment_jitter_ms=int(own.get("segment.jitter.ms", settings.segment_jitter_ms)),
        retention_ms=int(own.get("retention.ms", settings.retention_ms)),
        retention_bytes=int(own.get("retention.bytes", settings.retention_bytes)),
        index_interval_bytes=int(own.get("index.interval.bytes", settings.index_interval_bytes)),
        index_size_max_bytes=int(own.get("segment.index.bytes", settings.index_size_max_bytes)),
        message_max_bytes=int(own.get("max.message.bytes", settings.message_max_bytes)),
        repacks_by=target_of(own.get("compression.type", settings.compression_type)),
        timestamp_type=own.get("message.timestamp.type", settings.message_timestamp_type),
        # Of the older name and the newer ones the stricter counts.
        timestamp_before_max_ms=min(
            int(own.get("message.timestamp.before.max.ms", settings.message_timestamp_before_max_ms)), difference_ms
        ),
        timestamp_after_max_ms=min(
            int(own.get("message.timestamp.after.max.ms", settings.message_timestamp_after_max_ms)), difference_ms
        ),
        delete_retention_ms=int(own.get("delete.retention.ms", settings.cleaner_delete_retention_ms)),
        min_cleanable_dirty_ratio=float(own.get("min.cleanable.dirty.ratio", settings.cleaner_min_cleanable_ratio)),
        min_compaction_lag_ms=int(own.get("min.compaction.lag.ms", settings.cleaner_min_compaction_lag_ms)),
        max_compaction_lag_ms=int(own.get("max.compaction.lag.ms", settings.cleaner_max_compaction_lag_ms)),
        cleanup_policy=own.get("cleanup.policy", settings.cleanup_policy),
    )
