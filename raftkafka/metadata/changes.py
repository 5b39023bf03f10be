"""What differs between two images: what the reconciler and the watches of a node have to look at.

Floor 1, pure. A change names what to look at, never how it looks now: the image alone says that, so that a reader which
merges or misses steps still ends in the right state.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from raftkafka.metadata.image import Image, Topic
from raftkafka.metadata.znodes.difference import events_between, sessions_between
from raftkafka.metadata.znodes.draft import WatchEvent
from raftkafka.model.ids import NodeId, PartitionIndex, TopicId, TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """False when nothing differs.

    `partitions` names every partition that appeared, went or differs, those of created and deleted topics included.
    `brokers` names every broker that appeared, went or differs. `configs` names the topics whose configs differ, without
    those that were created or deleted. `cluster` is True when cluster id, feature level or defaults differ,
    `controller` when another one has taken office.
    `znodes` is True when anything in the tree or its sessions differs. `znode_events` is what the watches of the tree have to hear, in
    order: of one step, merged steps say only that they differ. `zk_sessions` are those that came, moved or went.
    """

    topics_created: AbstractSet[TopicId] = frozenset()
    topics_deleted: AbstractSet[TopicId] = frozenset()
    partitions: AbstractSet[TopicPartition] = frozenset()
    brokers: AbstractSet[NodeId] = frozenset()
    configs: AbstractSet[TopicId] = frozenset()
    broker_configs: bool = False
    client_quotas: bool = False
    cluster: bool = False
    controller: bool = False
    znodes: bool = False
    znode_events: tuple[WatchEvent, ...] = ()
    zk_sessions: AbstractSet[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(
            self.cluster
            or self.controller
            or self.topics_created
            or self.topics_deleted
            or self.partitions
            or self.brokers
            or self.configs
            or self.broker_configs
            or self.client_quotas
            or self.znodes
        )

    def merged(self, later: Changes) -> Changes:
        """This step and then `later`, as one. A topic that came and went in between is named in both sets."""
        return Changes(
            topics_created=self.topics_created | later.topics_created,
            topics_deleted=self.topics_deleted | later.topics_deleted,
            partitions=self.partitions | later.partitions,
            brokers=self.brokers | later.brokers,
            configs=self.configs | later.configs,
            broker_configs=self.broker_configs or later.broker_configs,
            client_quotas=self.client_quotas or later.client_quotas,
            cluster=self.cluster or later.cluster,
            controller=self.controller or later.controller,
            znodes=self.znodes or later.znodes,
            zk_sessions=self.zk_sessions | later.zk_sessions,
        )

    @staticmethod
    def between(old: Image, new: Image) -> Changes:
        """What differs, whatever way led from `old` to `new`: O(topics), plus the partitions of those that differ."""
        partitions: set[TopicPartition] = set()
        for topic_id in old.topics.keys() | new.topics.keys():
            partitions |= _partitions_between(old.topics.get(topic_id), new.topics.get(topic_id))
        return Changes(
            topics_created=new.topics.keys() - old.topics.keys(),
            topics_deleted=old.topics.keys() - new.topics.keys(),
            partitions=partitions,
            brokers={
                node_id
                for node_id in old.brokers.keys() | new.brokers.keys()
                if old.brokers.get(node_id) != new.brokers.get(node_id)
            },
            configs={
                topic_id
                for topic_id, topic in new.topics.items()
                if topic_id in old.topics and old.topics[topic_id].configs != topic.configs
            },
            broker_configs=old.broker_configs != new.broker_configs,
            client_quotas=old.client_quotas != new.client_quotas,
            cluster=(old.cluster_id, old.feature_level, old.defaults, old.configured_defaults)
            != (new.cluster_id, new.feature_level, new.defaults, new.configured_defaults),
            controller=old.controller_epoch != new.controller_epoch,
            znodes=old.znodes is not new.znodes and old.znodes != new.znodes,
            znode_events=tuple(events_between(old.znodes, new.znodes)),
            zk_sessions=sessions_between(old.znodes, new.znodes),
        )


def _partitions_between(old: Topic | None, new: Topic | None) -> set[TopicPartition]:
    # Images share what did not change, so identity answers for almost every topic.
    if old is new:
        return set()
    topic = new if new is not None else old
    assert topic is not None
    before = old.partitions if old is not None else ()
    after = new.partitions if new is not None else ()
    differ = {index for index in range(min(len(before), len(after))) if before[index] != after[index]}
    differ |= set(range(min(len(before), len(after)), max(len(before), len(after))))
    return {TopicPartition(topic.topic_id, PartitionIndex(index)) for index in differ}
