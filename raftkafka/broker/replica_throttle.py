"""The throttle of one side of replication, applied to the replicas that topics list (KIP-73).

Floor 3. One bucket for all partitions together, as Kafka has it. Which replicas are listed is read from the topic's configs each
time: only a broker with a rate has a throttle at all, and only while it lasts.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.broker.live_settings import LiveSettings
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.model.ids import NodeId
from raftkafka.replica.throttle import UNLIMITED, Throttle, is_listed


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


class ReplicaThrottles:
    """Both sides of this broker, None where no rate is set; a rate that changes begins with a new bucket."""

    def __init__(self, *, live: LiveSettings, store: MetadataStore, now: Callable[[], float]) -> None:
        self._live = live
        self._store = store
        self._now = now
        self._rates = (UNLIMITED, UNLIMITED)
        self.leader: ReplicaThrottle | None = None
        self.follower: ReplicaThrottle | None = None
        self.renew()

    def renew(self) -> None:
        """The settings may have changed."""
        replica = self._live.replica
        rates = (replica.leader_throttled_rate, replica.follower_throttled_rate)
        if rates[0] != self._rates[0]:
            self.leader = self._made("leader", rates[0])
        if rates[1] != self._rates[1]:
            self.follower = self._made("follower", rates[1])
        self._rates = rates

    def _made(self, side: str, rate: int) -> ReplicaThrottle | None:
        if rate == UNLIMITED:
            return None
        return ReplicaThrottle(side=side, rate=rate, node_id=self._live.file.node_id, store=self._store, now=self._now)
