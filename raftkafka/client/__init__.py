"""F3: the asyncio client - connection, routing, producer, consumer, admin."""

from __future__ import annotations

from raftkafka.client.admin import Admin
from raftkafka.client.consumer import Consumer
from raftkafka.client.producer import Producer
from raftkafka.client.types import (
    BatchMetadata,
    BufferFullError,
    ConsumerRecord,
    OffsetAndTimestamp,
    RecordMetadata,
    TopicPartition,
)
from raftkafka.model.api.topics import NewTopic
from raftkafka.model.errors import ApiError

__all__ = [
    "Admin",
    "ApiError",
    "BatchMetadata",
    "BufferFullError",
    "Consumer",
    "ConsumerRecord",
    "NewTopic",
    "OffsetAndTimestamp",
    "Producer",
    "RecordMetadata",
    "TopicPartition",
]
