"""DeleteRecords (21). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.delete_records import (
    DeleteRecords,
    DeleteRecordsPartition,
    DeleteRecordsPartitionResponse,
    DeleteRecordsResponse,
)
from raftkafka.wire.native.fields import COUNT, ERROR, OFFSET, STRING, UUID, Shape, array, nullable
from raftkafka.wire.native.rows import without_records

_PARTITION: Final = Shape(DeleteRecordsPartition, topic_id=UUID, partition=COUNT, offset=OFFSET)
_PARTITION_RESPONSE: Final = Shape(
    DeleteRecordsPartitionResponse,
    topic_id=UUID,
    partition=COUNT,
    error_code=ERROR,
    error_message=nullable(STRING),
    low_watermark=OFFSET,
)
DELETE_RECORDS: Final = without_records(
    Shape(DeleteRecords, partitions=array(_PARTITION.field), timeout_ms=COUNT),
    Shape(DeleteRecordsResponse, partitions=array(_PARTITION_RESPONSE.field), throttle_time_ms=COUNT),
)
