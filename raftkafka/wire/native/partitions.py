"""CreatePartitions (37), ElectLeaders (43), AlterPartitionReassignments (45), ListPartitionReassignments (46). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.elections import (
    ElectedPartition,
    ElectedTopic,
    ElectLeaders,
    ElectLeadersResponse,
    TopicToElect,
)
from raftkafka.model.api.partitions import CreatePartitions, CreatePartitionsResponse, GrownTopic, NewPartitions
from raftkafka.model.api.reassignments import (
    AlterPartitionReassignments,
    AlterPartitionReassignmentsResponse,
    ListedTopic,
    ListPartitionReassignments,
    ListPartitionReassignmentsResponse,
    OngoingReassignment,
    OngoingTopic,
    ReassignablePartition,
    ReassignableTopic,
    ReassignedPartition,
    ReassignedTopic,
)
from raftkafka.wire.native.fields import BOOL, COUNT, ERROR, INT8, INT32, STRING, Shape, array, nullable
from raftkafka.wire.native.rows import without_records

# Whatever number a user asks for gets an answer (INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, ...), not a closed connection.
_PARTITION: Final = INT32
_NODES: Final = array(INT32)

_NEW_PARTITIONS: Final = Shape(NewPartitions, name=STRING, count=INT32, assignments=nullable(array(_NODES)))
_GROWN_TOPIC: Final = Shape(GrownTopic, name=STRING, error_code=ERROR, error_message=nullable(STRING))
CREATE_PARTITIONS: Final = without_records(
    Shape(CreatePartitions, topics=array(_NEW_PARTITIONS.field), timeout_ms=COUNT, validate_only=BOOL),
    Shape(CreatePartitionsResponse, topics=array(_GROWN_TOPIC.field), throttle_time_ms=COUNT),
)

_TOPIC_TO_ELECT: Final = Shape(TopicToElect, name=STRING, partitions=array(_PARTITION))
_ELECTED_PARTITION: Final = Shape(
    ElectedPartition, partition=_PARTITION, error_code=ERROR, error_message=nullable(STRING)
)
_ELECTED_TOPIC: Final = Shape(ElectedTopic, name=STRING, partitions=array(_ELECTED_PARTITION.field))
ELECT_LEADERS: Final = without_records(
    Shape(ElectLeaders, election_type=INT8, topics=nullable(array(_TOPIC_TO_ELECT.field)), timeout_ms=COUNT),
    Shape(
        ElectLeadersResponse,
        error_code=ERROR,
        error_message=nullable(STRING),
        topics=array(_ELECTED_TOPIC.field),
        throttle_time_ms=COUNT,
    ),
)

_REASSIGNABLE_PARTITION: Final = Shape(ReassignablePartition, partition=_PARTITION, replicas=nullable(_NODES))
_REASSIGNABLE_TOPIC: Final = Shape(ReassignableTopic, name=STRING, partitions=array(_REASSIGNABLE_PARTITION.field))
_REASSIGNED_PARTITION: Final = Shape(
    ReassignedPartition, partition=_PARTITION, error_code=ERROR, error_message=nullable(STRING)
)
_REASSIGNED_TOPIC: Final = Shape(ReassignedTopic, name=STRING, partitions=array(_REASSIGNED_PARTITION.field))
ALTER_PARTITION_REASSIGNMENTS: Final = without_records(
    Shape(
        AlterPartitionReassignments,
        topics=array(_REASSIGNABLE_TOPIC.field),
        timeout_ms=COUNT,
        allow_replication_factor_change=BOOL,
    ),
    Shape(
        AlterPartitionReassignmentsResponse,
        error_code=ERROR,
        error_message=nullable(STRING),
        topics=array(_REASSIGNED_TOPIC.field),
        throttle_time_ms=COUNT,
    ),
)

_LISTED_TOPIC: Final = Shape(ListedTopic, name=STRING, partitions=array(_PARTITION))
_ONGOING_REASSIGNMENT: Final = Shape(
    OngoingReassignment,
    partition=_PARTITION,
    replicas=_NODES,
    adding_replicas=_NODES,
    removing_replicas=_NODES,
)
_ONGOING_TOPIC: Final = Shape(OngoingTopic, name=STRING, partitions=array(_ONGOING_REASSIGNMENT.field))
LIST_PARTITION_REASSIGNMENTS: Final = without_records(
    Shape(ListPartitionReassignments, topics=nullable(array(_LISTED_TOPIC.field)), timeout_ms=COUNT),
    Shape(
        ListPartitionReassignmentsResponse,
        error_code=ERROR,
        error_message=nullable(STRING),
        topics=array(_ONGOING_TOPIC.field),
        throttle_time_ms=COUNT,
    ),
)
