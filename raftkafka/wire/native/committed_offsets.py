"""OffsetCommit (8), OffsetFetch (9), OffsetDelete (47). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.committed_offsets import (
    OffsetCommit,
    OffsetCommitPartition,
    OffsetCommitPartitionResponse,
    OffsetCommitResponse,
    OffsetCommitTopic,
    OffsetCommitTopicResponse,
    OffsetDelete,
    OffsetDeletePartitionResponse,
    OffsetDeleteResponse,
    OffsetDeleteTopic,
    OffsetDeleteTopicResponse,
    OffsetFetch,
    OffsetFetchGroup,
    OffsetFetchGroupResponse,
    OffsetFetchPartitionResponse,
    OffsetFetchResponse,
    OffsetFetchTopic,
    OffsetFetchTopicResponse,
)
from raftkafka.wire.native.fields import BOOL, COUNT, ERROR, ID, OFFSET, STRING, UUID, Shape, array, nullable
from raftkafka.wire.native.rows import without_records

_COMMIT: Final = Shape(
    OffsetCommitPartition,
    partition=COUNT,
    committed_offset=OFFSET,
    committed_leader_epoch=ID,
    committed_metadata=nullable(STRING),
)
_COMMIT_TOPIC: Final = Shape(OffsetCommitTopic, name=STRING, topic_id=UUID, partitions=array(_COMMIT.field))
_COMMITTED: Final = Shape(OffsetCommitPartitionResponse, partition=COUNT, error_code=ERROR)
_COMMITTED_TOPIC: Final = Shape(OffsetCommitTopicResponse, name=STRING, partitions=array(_COMMITTED.field))
OFFSET_COMMIT: Final = without_records(
    Shape(
        OffsetCommit,
        group_id=STRING,
        generation_id=ID,
        member_id=STRING,
        group_instance_id=nullable(STRING),
        topics=array(_COMMIT_TOPIC.field),
    ),
    Shape(OffsetCommitResponse, topics=array(_COMMITTED_TOPIC.field), throttle_time_ms=COUNT),
)

_FETCH_TOPIC: Final = Shape(OffsetFetchTopic, name=STRING, partitions=array(COUNT))
_FETCH_GROUP: Final = Shape(OffsetFetchGroup, group_id=STRING, topics=nullable(array(_FETCH_TOPIC.field)))
_FETCHED: Final = Shape(
    OffsetFetchPartitionResponse,
    partition=COUNT,
    committed_offset=OFFSET,
    committed_leader_epoch=ID,
    metadata=nullable(STRING),
    error_code=ERROR,
)
_FETCHED_TOPIC: Final = Shape(OffsetFetchTopicResponse, name=STRING, partitions=array(_FETCHED.field))
_FETCHED_GROUP: Final = Shape(
    OffsetFetchGroupResponse, group_id=STRING, topics=array(_FETCHED_TOPIC.field), error_code=ERROR
)
OFFSET_FETCH: Final = without_records(
    Shape(OffsetFetch, groups=array(_FETCH_GROUP.field), require_stable=BOOL),
    Shape(OffsetFetchResponse, groups=array(_FETCHED_GROUP.field), throttle_time_ms=COUNT),
)

_DELETE_TOPIC: Final = Shape(OffsetDeleteTopic, name=STRING, partitions=array(COUNT))
_DELETED: Final = Shape(OffsetDeletePartitionResponse, partition=COUNT, error_code=ERROR)
_DELETED_TOPIC: Final = Shape(OffsetDeleteTopicResponse, name=STRING, partitions=array(_DELETED.field))
OFFSET_DELETE: Final = without_records(
    Shape(OffsetDelete, group_id=STRING, topics=array(_DELETE_TOPIC.field)),
    Shape(OffsetDeleteResponse, error_code=ERROR, topics=array(_DELETED_TOPIC.field), throttle_time_ms=COUNT),
)
