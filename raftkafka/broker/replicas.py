"""The table of partitions that this node holds, and what the rest of the broker asks of all of them.

Floor 3.
"""

from __future__ import annotations

from collections.abc import Iterator

from raftkafka.broker.partition import Partition
from raftkafka.model.api.broker_lifecycle import OfflineReplica
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import PartitionIndex, TopicId, TopicPartition


class ReplicaTable:
    """Partitions by key. Only the reconciler adds and removes."""

    def __init__(self) -> None:
        # A TopicPartition equals the plain tuple, which is made ten times as fast for a look-up.
        self._partitions: dict[tuple[TopicId, PartitionIndex], Partition] = {}

    def __iter__(self) -> Iterator[Partition]:
        return iter(list(self._partitions.values()))

    def __len__(self) -> int:
        return len(self._partitions)

    def offline(self) -> tuple[OfflineReplica, ...]:
        """What this broker cannot serve."""
        lost = (each for each in self._partitions.values() if each.offline is not None)
        return tuple(
            OfflineReplica(
                topic_id=each.topic_partition.topic_id,
                partition=each.topic_partition.partition,
                damaged=each.is_damaged,
            )
            for each in lost
        )

    def get(self, key: TopicPartition) -> Partition | None:
        return self._partitions.get(key)

    def require(self, topic_id: TopicId, index: PartitionIndex) -> Partition:
        """The partition, or why there is none here.

        Raises:
            ApiError: NOT_LEADER_OR_FOLLOWER. Whether the topic exists at all is for the caller to look up.
        """
        partition = self._partitions.get((topic_id, index))
        if partition is None:
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        return partition

    def add(self, partition: Partition) -> None:
        self._partitions[partition.topic_partition] = partition

    def remove(self, key: TopicPartition) -> Partition | None:
        return self._partitions.pop(key, None)
