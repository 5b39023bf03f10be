"""The throttle of one side of replication, applied to the replicas that topics list (KIP-73).

Floor 3. One bucket for all partitions together, as Kafka has it. Which replicas are listed is read from the topic's configs each
time: only a broker with a rate has a throttle at all, and only while it lasts.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.model.ids import NodeId
from raftkafka.replica.throttle import Throttle, is_listed


class ReplicaThrottle:
    """`side` is leader or follower, `rate` in bytes per second."""

    def __init__(
        self, *, side: str, rate: int, node_id: NodeId, store: MetadataStore, now: Callable[[], float]
    ) -> None:
        self._key = f"{side}.replication.throttled.replicas"
        self._node_id = node_id
        self._store = store
        self._now = now
        self._throttle = Throttle(rate=rate, now=now())

    def holds_up(self, partition: Partition) -> bool:
        """Nothing of this partition may pass now; whether its follower is in sync is for the caller to know."""
        return self._throttle.is_exceeded(self._now()) and self._lists(partition)

    def pause_s(self, partition: Partition) -> float:
        """Seconds for which nothing of this partition may pass."""
        pause_s = self._throttle.pause_s(self._now())
        return pause_s if pause_s > 0 and self._lists(partition) else 0.0

    def record(self, partition: Partition, count: int) -> None:
        """So many bytes of it have passed."""
        if self._lists(partition):
            self._throttle.record(count, self._now())

    def _lists(self, partition: Partition) -> bool:
        key = partition.topic_partition
        topic = self._store.image.topics.get(key.topic_id)
        return topic is not None and is_listed(topic.configs.get(self._key), key.partition, self._node_id)
