"""DescribeLogDirs: what lies in this broker's log directories.

Floor 3.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Protocol

from raftkafka.broker.partition import Partition
from raftkafka.model.api.log_dirs import DescribedLogDir, DescribeLogDirs, DescribeLogDirsResponse, LogDirPartition
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_OFFSET
from raftkafka.ports.probe import LogDirectoryStatistics


class HasLogDirs(Protocol):
    """`log_dirs.LogDirs` is the real one."""

    def contents(self) -> Iterable[tuple[LogDirectoryStatistics, tuple[Partition, ...]]]: ...


class LogDirsHandler:
    def __init__(self, *, logs: HasLogDirs) -> None:
        self._logs = logs

    def describe(self, context: RequestContext, request: DescribeLogDirs) -> DescribeLogDirsResponse:
        wanted = None if request.topics is None else frozenset(request.topics)
        return DescribeLogDirsResponse(
            log_dirs=tuple([_described(state, partitions, wanted) for state, partitions in self._logs.contents()])
        )


def _described(
    state: LogDirectoryStatistics, partitions: Iterable[Partition], wanted: Container[str] | None
) -> DescribedLogDir:
    return DescribedLogDir(
        error_code=ErrorCode.NONE if state.is_online else ErrorCode.KAFKA_STORAGE_ERROR,
        log_dir=state.path,
        partitions=tuple(
            [
                LogDirPartition(
                    topic=each.topic,
                    partition=each.topic_partition.partition,
                    size_bytes=each.log.size_bytes,
                    offset_lag=max(0, each.high_watermark - each.log.log_end_offset),
                )
                for each in partitions
                if wanted is None or each.topic in wanted
            ]
        ),
        total_bytes=NO_OFFSET if state.capacity_bytes is None else state.capacity_bytes,
        usable_bytes=NO_OFFSET if state.free_bytes is None else state.free_bytes,
    )
