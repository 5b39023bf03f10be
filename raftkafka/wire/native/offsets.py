"""ListOffsets (2) and OffsetForLeaderEpoch (23). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.offsets import (
    ListOffsets,
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsResponse,
    OffsetForLeaderEpoch,
    OffsetForLeaderEpochPartition,
    OffsetForLeaderEpochPartitionResponse,
    OffsetForLeaderEpochResponse,
)
from raftkafka.wire.native.fields import COUNT, ERROR, ID, INT8, INT64, OFFSET, UUID, Shape, array
from raftkafka.wire.native.rows import without_records

_LIST_OFFSETS_PARTITION: Final = Shape(
    ListOffsetsPartition, topic_id=UUID, partition=COUNT, current_leader_epoch=ID, timestamp=INT64
)
_LIST_OFFSETS_PARTITION_RESPONSE: Final = Shape(
    ListOffsetsPartitionResponse,
    topic_id=UUID,
    partition=COUNT,
    error_code=ERROR,
    timestamp=INT64,
    offset=OFFSET,
    leader_epoch=ID,
)
LIST_OFFSETS: Final = without_records(
    Shape(ListOffsets, replica_id=ID, isolation_level=INT8, partitions=array(_LIST_OFFSETS_PARTITION.field)),
    Shape(ListOffsetsResponse, partitions=array(_LIST_OFFSETS_PARTITION_RESPONSE.field), throttle_time_ms=COUNT),
)

_EPOCH_PARTITION: Final = Shape(
    OffsetForLeaderEpochPartition, topic_id=UUID, partition=COUNT, current_leader_epoch=ID, leader_epoch=ID
)
_EPOCH_PARTITION_RESPONSE: Final = Shape(
    OffsetForLeaderEpochPartitionResponse,
    topic_id=UUID,
    partition=COUNT,
    error_code=ERROR,
    leader_epoch=ID,
    end_offset=OFFSET,
)
OFFSET_FOR_LEADER_EPOCH: Final = without_records(
    Shape(OffsetForLeaderEpoch, replica_id=ID, partitions=array(_EPOCH_PARTITION.field)),
    Shape(OffsetForLeaderEpochResponse, partitions=array(_EPOCH_PARTITION_RESPONSE.field), throttle_time_ms=COUNT),
)
