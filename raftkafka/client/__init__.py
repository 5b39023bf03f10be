"""F3: the asyncio client - connection, routing, producer, consumer, admin.

The names below load when they are first used: a node needs the connection alone, and a command only its own part.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raftkafka.client.admin import Admin
    from raftkafka.client.configs import ConfigResource
    from raftkafka.client.consumer import Consumer
    from raftkafka.client.group.errors import CommitFailedError, FencedInstanceIdError, RebalanceInProgressError
    from raftkafka.client.group.listener import ConsumerRebalanceListener
    from raftkafka.client.producer import Producer
    from raftkafka.client.types import (
        BatchMetadata,
        BufferFullError,
        ConsumerRecord,
        OffsetAndMetadata,
        OffsetAndTimestamp,
        RecordMetadata,
        TopicPartition,
    )
    from raftkafka.model.api.configs import AlterableConfig, AlterOperation, ResourceType
    from raftkafka.model.api.elections import ElectionType
    from raftkafka.model.api.partitions import NewPartitions
    from raftkafka.model.api.topics import NewTopic
    from raftkafka.model.errors import ApiError

_HOMES = {
    "Admin": "raftkafka.client.admin",
    "AlterOperation": "raftkafka.model.api.configs",
    "AlterableConfig": "raftkafka.model.api.configs",
    "ApiError": "raftkafka.model.errors",
    "BatchMetadata": "raftkafka.client.types",
    "BufferFullError": "raftkafka.client.types",
    "CommitFailedError": "raftkafka.client.group.errors",
    "ConfigResource": "raftkafka.client.configs",
    "Consumer": "raftkafka.client.consumer",
    "ConsumerRebalanceListener": "raftkafka.client.group.listener",
    "ConsumerRecord": "raftkafka.client.types",
    "FencedInstanceIdError": "raftkafka.client.group.errors",
    "ElectionType": "raftkafka.model.api.elections",
    "NewPartitions": "raftkafka.model.api.partitions",
    "NewTopic": "raftkafka.model.api.topics",
    "OffsetAndMetadata": "raftkafka.client.types",
    "OffsetAndTimestamp": "raftkafka.client.types",
    "Producer": "raftkafka.client.producer",
    "RebalanceInProgressError": "raftkafka.client.group.errors",
    "RecordMetadata": "raftkafka.client.types",
    "ResourceType": "raftkafka.model.api.configs",
    "TopicPartition": "raftkafka.client.types",
}

__all__ = [
    "Admin",
    "AlterOperation",
    "AlterableConfig",
    "ApiError",
    "BatchMetadata",
    "BufferFullError",
    "CommitFailedError",
    "ConfigResource",
    "Consumer",
    "ConsumerRebalanceListener",
    "ConsumerRecord",
    "ElectionType",
    "FencedInstanceIdError",
    "NewPartitions",
    "NewTopic",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "Producer",
    "RebalanceInProgressError",
    "RecordMetadata",
    "ResourceType",
    "TopicPartition",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value
