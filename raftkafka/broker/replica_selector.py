"""Which replica a consumer should read from (KIP-392, Kafka's RackAwareReplicaSelector).

Floor 3. Only replicas come into question of which the leader knows that they can serve: alive, in sync, and told in an answer of
a high watermark that reaches the wanted offset. Else a consumer would be sent back and forth.
"""

from __future__ import annotations

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.model.api.fetch import FetchPartition
from raftkafka.model.ids import NO_NODE, NodeId


class RackAwareReplicaSelector:
    """The most caught-up replica in the consumer's rack; the leader where it is in that rack itself, or nobody is."""

    def __init__(self, *, node_id: NodeId, store: MetadataStore) -> None:
        self._node_id = node_id
        self._store = store

    def __call__(self, partition: Partition, wanted: FetchPartition, rack_id: str) -> NodeId:
        """Where to read the partition, which this node leads; NO_NODE: here."""
        image, leader = self._store.image, partition.leader
        own = image.brokers.get(self._node_id)
        if leader is None or (own is not None and own.rack == rack_id):
            return NO_NODE
        chosen, reached = NO_NODE, -1
        for node_id in leader.isr:
            follower = leader.follower(node_id)
            broker = image.brokers.get(node_id)
            if follower is None or broker is None or broker.rack != rack_id or not image.is_active(node_id):
                continue
            if follower.told_watermark >= wanted.fetch_offset and follower.fetch_offset > reached:
                chosen, reached = node_id, follower.fetch_offset
        return chosen
