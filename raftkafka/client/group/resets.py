"""Where the offsets of a group shall go: the choices of Kafka's `kafka-consumer-groups --reset-offsets`. Floor 3, pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raftkafka.client.types import TopicPartition
from raftkafka.model.api.offsets import EARLIEST, LATEST
from raftkafka.model.errors import ApiError, ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class ToEarliest:
    """The log start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToLatest:
    """The end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToCurrent:
    """What is committed, or the end where nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToOffset:
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToTimestamp:
    """The first record with this time (milliseconds since the epoch, UTC) or a later one, or the end where there is none."""

    timestamp_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftBy:
    """So many records on from what is committed; back where it is negative."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToOffsets:
    """An offset of its own for each partition, as a file gives them."""

    offsets: Mapping[TopicPartition, int]


OffsetReset = ToEarliest | ToLatest | ToCurrent | ToOffset | ToTimestamp | ShiftBy | ToOffsets


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the log of a partition holds: from `earliest` to below `latest`; `at_time` is -1 where nothing is as late."""

    earliest: int
    latest: int
    at_time: int = -1


def timestamps_of(reset: OffsetReset) -> tuple[int, ...]:
    """What has to be asked of each log: beginning, end, and a time."""
    return (EARLIEST, LATEST, reset.timestamp_ms) if isinstance(reset, ToTimestamp) else (EARLIEST, LATEST)


def target(reset: OffsetReset, partition: TopicPartition, bounds: Bounds, committed: int | None) -> int:
    """Offsets outside of what the log holds become its nearest end, as with Kafka's tool.

    Raises:
        ApiError: there is nothing to shift from, or the file does not name the partition.
    """
    match reset:
        case ToEarliest():
            return bounds.earliest
        case ToLatest():
            return bounds.latest
        case ToCurrent():
            wanted = bounds.latest if committed is None else committed
        case ToOffset(offset=offset):
            wanted = offset
        case ToTimestamp():
            wanted = bounds.latest if bounds.at_time < 0 else bounds.at_time
        case ShiftBy(count=count):
            if committed is None:
                raise ApiError(ErrorCode.INVALID_REQUEST, f"nothing is committed in {partition} to shift from")
            wanted = committed + count
        case ToOffsets(offsets=offsets):
            if partition not in offsets:
                raise ApiError(ErrorCode.INVALID_REQUEST, f"no offset is given for {partition}")
            wanted = offsets[partition]
    return min(max(wanted, bounds.earliest), bounds.latest)
