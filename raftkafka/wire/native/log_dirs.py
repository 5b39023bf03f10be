"""DescribeLogDirs (35). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.log_dirs import DescribedLogDir, DescribeLogDirs, DescribeLogDirsResponse, LogDirPartition
from raftkafka.wire.native.fields import COUNT, ERROR, OFFSET, STRING, Shape, array, nullable
from raftkafka.wire.native.rows import without_records

_PARTITION: Final = Shape(LogDirPartition, topic=STRING, partition=COUNT, size_bytes=OFFSET, offset_lag=OFFSET)
_LOG_DIR: Final = Shape(
    DescribedLogDir,
    error_code=ERROR,
    log_dir=STRING,
    partitions=array(_PARTITION.field),
    total_bytes=OFFSET,
    usable_bytes=OFFSET,
)
DESCRIBE_LOG_DIRS: Final = without_records(
    Shape(DescribeLogDirs, topics=nullable(array(STRING))),
    Shape(DescribeLogDirsResponse, error_code=ERROR, log_dirs=array(_LOG_DIR.field), throttle_time_ms=COUNT),
)
