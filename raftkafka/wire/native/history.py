"""DescribePartitionHistory (10001, ours). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.history import DescribePartitionHistory, DescribePartitionHistoryResponse, PartitionEvent
from raftkafka.wire.native.fields import ERROR, ID, INT8, INT32, INT64, STRING, UUID, Shape, array, nullable
from raftkafka.wire.native.rows import without_records

_EVENT: Final = Shape(PartitionEvent, time_ms=INT64, cause=INT8, node_id=ID, leader=ID, leader_epoch=ID, isr=array(ID))
DESCRIBE_PARTITION_HISTORY: Final = without_records(
    Shape(DescribePartitionHistory, topic=STRING, partition=INT32),
    Shape(
        DescribePartitionHistoryResponse,
        error_code=ERROR,
        error_message=nullable(STRING),
        topic_id=UUID,
        leader=ID,
        leader_epoch=ID,
        replicas=array(ID),
        isr=array(ID),
        elr=array(ID),
        adding=array(ID),
        removing=array(ID),
        fenced=array(ID),
        events=array(_EVENT.field),
    ),
)
