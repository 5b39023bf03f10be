"""CreateTopics (19) and DeleteTopics (20). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.topics import (
    CreatedTopic,
    CreateTopics,
    CreateTopicsResponse,
    DeletedTopic,
    DeleteTopics,
    DeleteTopicsResponse,
    NewTopic,
    TopicToDelete,
)
from raftkafka.wire.native.fields import (
    BOOL,
    COUNT,
    ERROR,
    ID,
    INT32,
    STRING,
    UUID,
    Shape,
    array,
    nullable,
    pair,
)
from raftkafka.wire.native.rows import without_records

_NEW_TOPIC: Final = Shape(
    NewTopic,
    name=STRING,
    # Whatever number a user asks for gets an answer (INVALID_PARTITIONS, ...), not a closed connection.
    num_partitions=INT32,
    replication_factor=INT32,
    assignments=array(pair(INT32, array(INT32))),
    configs=array(pair(STRING, nullable(STRING))),
)
_CREATED_TOPIC: Final = Shape(
    CreatedTopic,
    name=STRING,
    topic_id=UUID,
    error_code=ERROR,
    error_message=nullable(STRING),
    num_partitions=ID,
    replication_factor=ID,
)
CREATE_TOPICS: Final = without_records(
    Shape(CreateTopics, topics=array(_NEW_TOPIC.field), timeout_ms=COUNT, validate_only=BOOL),
    Shape(CreateTopicsResponse, topics=array(_CREATED_TOPIC.field), throttle_time_ms=COUNT),
)

_TOPIC_TO_DELETE: Final = Shape(TopicToDelete, name=nullable(STRING), topic_id=nullable(UUID))
_DELETED_TOPIC: Final = Shape(
    DeletedTopic, name=nullable(STRING), topic_id=UUID, error_code=ERROR, error_message=nullable(STRING)
)
DELETE_TOPICS: Final = without_records(
    Shape(DeleteTopics, topics=array(_TOPIC_TO_DELETE.field), timeout_ms=COUNT),
    Shape(DeleteTopicsResponse, topics=array(_DELETED_TOPIC.field), throttle_time_ms=COUNT),
)
