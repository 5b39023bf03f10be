"""An image in the making: what `apply` writes to while it works through the commands of one entry.

Floor 1, pure. Nothing of the base image is ever written to: brokers, topics and the partitions of a topic are copied when
they are first changed, once per entry, so that thousands of changes cost what they touch and not what there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from raftkafka.metadata.changes import Changes
from raftkafka.metadata.commands import Command
from raftkafka.metadata.history import room_for
from raftkafka.metadata.image import Broker, Event, Growth, Image, Partition, QuotaEntity, Stamp, Topic
from raftkafka.metadata.znodes.draft import Noted, TreeDraft
from raftkafka.metadata.znodes.tree import Znodes
from raftkafka.model.ids import LeaderEpoch, NodeId, PartitionIndex, RaftIndex, TopicId, TopicPartition


class Draft:
    """One use: made from an image, written to, frozen."""

    def __init__(self, base: Image, index: RaftIndex) -> None:
        self.index = index
        self._base = base
        self.cluster_id = base.cluster_id
        self.feature_level = base.feature_level
        self.defaults = base.defaults
        self.configured_defaults = base.configured_defaults
        self.broker_configs = base.broker_configs
        self.client_quotas = base.client_quotas
        self.time_ms = base.time_ms
        self.controller_epoch = base.controller_epoch
        self.command: Command | None = None
        """The one that is being applied, and what it has made of partitions so far."""
        self.events: dict[tuple[NodeId, LeaderEpoch, tuple[NodeId, ...]], Event] = {}
        self._room: int | None = None
        self._znodes: TreeDraft | None = None
        self.brokers = base.brokers
        self.topics = base.topics
        self.topic_ids = base.topic_ids
        self.next_producer_id = base.next_producer_id
        self.active = {broker.node_id for broker in base.brokers.values() if broker.active}
        self._brokers: dict[NodeId, Broker] | None = None
        self._topics: dict[TopicId, Topic] | None = None
        self._topic_ids: dict[str, TopicId] | None = None
        self._partitions: dict[TopicId, list[Partition]] = {}
        self._created: set[TopicId] = set()
        self._deleted: set[TopicId] = set()
        self._touched: set[TopicPartition] = set()
        self._touched_brokers: set[NodeId] = set()
        self._configured: set[TopicId] = set()
        self._reassigned: set[TopicId] = set()

    def partitions(self, topic_id: TopicId) -> Sequence[Partition]:
        """The partitions of an existing topic as they are now."""
        return self._partitions.get(topic_id) or self.topics[topic_id].partitions

    def partition(self, topic_id: TopicId, index: int) -> Partition | None:
        if topic_id not in self.topics:
            return None
        partitions = self.partitions(topic_id)
        return partitions[index] if 0 <= index < len(partitions) else None

    def set_broker(self, broker: Broker) -> None:
        if self._brokers is None:
            self.brokers = self._brokers = dict(self.brokers)
        self._brokers[broker.node_id] = broker
        if broker.active:
            self.active.add(broker.node_id)
        else:
            self.active.discard(broker.node_id)
        self._touched_brokers.add(broker.node_id)

    def begin(self, command: Command) -> None:
        """This command is applied from now on."""
        self.command = command
        if self.events:
            self.events = {}

    @property
    def stamp(self) -> Stamp:
        """Of what this entry changes."""
        return Stamp(self.index, self.time_ms)

    @property
    def events_max(self) -> int:
        """How many events each partition may have; of the base image, so that it is looked at once."""
        if self._room is None:
            self._room = room_for(sum(len(topic.partitions) for topic in self._base.topics.values()))
        return self._room

    @property
    def znodes(self) -> TreeDraft:
        """The tree of ZooKeeper's clients; made when it is first asked for, because few entries are about it."""
        if self._znodes is None:
            self._znodes = TreeDraft(self._base.znodes)
        return self._znodes

    @property
    def outcomes(self) -> tuple[Noted, ...]:
        """Of the operations of ZooKeeper's clients, in order."""
        return () if self._znodes is None else tuple(self._znodes.outcomes)

    def set_partition(self, topic_id: TopicId, partition: Partition) -> None:
        """Replace a partition of an existing topic."""
        partitions = self._partitions.get(topic_id)
        if partitions is None:
            partitions = self._partitions[topic_id] = list(self.topics[topic_id].partitions)
        partitions[partition.index] = partition
        self._touched.add(TopicPartition(topic_id, partition.index))

    def add_partitions(self, topic_id: TopicId, added: Sequence[Partition]) -> None:
        """Append partitions, one at least, to those of an existing topic; their indexes go on where those end."""
        topics, _ = self._own_topics()
        topic = topics[topic_id]
        stamp = self.stamp
        growth = (*topic.growth, Growth(added[0].index, stamp))
        topics[topic_id] = replace(topic, growth=growth, assigned=stamp)
        self._partitions[topic_id] = [*self.partitions(topic_id), *added]
        self._touched.update(TopicPartition(topic_id, partition.index) for partition in added)

    def reassigned(self, topic_id: TopicId) -> None:
        """The replicas of one of its partitions change, or what is to become of them."""
        self._reassigned.add(topic_id)

    def add_topic(self, topic: Topic) -> None:
        topics, topic_ids = self._own_topics()
        topics[topic.topic_id] = topic
        topic_ids[topic.name] = topic.topic_id
        self._created.add(topic.topic_id)
        self._touch_all(topic)

    def remove_topic(self, topic_id: TopicId) -> None:
        """Remove an existing topic."""
        topics, topic_ids = self._own_topics()
        topic = topics.pop(topic_id)
        del topic_ids[topic.name]
        self._partitions.pop(topic_id, None)
        self._deleted.add(topic_id)
        self._touch_all(topic)

    def configure_topic(self, topic_id: TopicId, configs: Mapping[str, str]) -> Topic:
        """Replace the configs of an existing topic; the topic as it is then."""
        topics, _ = self._own_topics()
        topic = topics[topic_id] = replace(
            topics[topic_id], configs=MappingProxyType(dict(configs)), configured=self.stamp
        )
        self._configured.add(topic_id)
        return topic

    def configure_broker(self, node_id: NodeId, configs: Mapping[str, str]) -> None:
        """Replace the dynamic configs of a broker, or of all of them; none are not kept."""
        every = {each: known for each, known in self.broker_configs.items() if each != node_id}
        if configs:
            every[node_id] = MappingProxyType(dict(configs))
        self.broker_configs = MappingProxyType(every)

    def set_client_quotas(self, entity: QuotaEntity, quotas: Mapping[str, float]) -> None:
        """Replace the quotas of an entity; none are not kept."""
        every = {each: known for each, known in self.client_quotas.items() if each != entity}
        if quotas:
            every[entity] = MappingProxyType(dict(quotas))
        self.client_quotas = MappingProxyType(every)

    def freeze(self) -> tuple[Image, Changes]:
        """The new image, and what differs from the base."""
        if self._partitions:
            topics, _ = self._own_topics()
            for topic_id in self._partitions:
                topics[topic_id] = self._as_changed(topic_id)
        self._count_children()
        tree = self._znodes
        znodes = self._base.znodes if tree is None else tree.freeze()
        changes = Changes(
            znodes=znodes is not self._base.znodes,
            znode_events=() if tree is None else tuple(tree.events),
            zk_sessions=frozenset() if tree is None else frozenset(tree.touched_sessions),
            topics_created=frozenset(self._created),
            topics_deleted=frozenset(self._deleted),
            partitions=frozenset(self._touched),
            brokers=frozenset(self._touched_brokers),
            configs=frozenset(self._configured - self._deleted - self._created),
            broker_configs=self.broker_configs is not self._base.broker_configs,
            client_quotas=self.client_quotas is not self._base.client_quotas,
            controller=self.controller_epoch != self._base.controller_epoch,
            cluster=(self.cluster_id, self.feature_level, self.defaults, self.configured_defaults)
            != (self._base.cluster_id, self._base.feature_level, self._base.defaults, self._base.configured_defaults),
        )
        if not changes:
            return self._base, changes
        return self._image(self.topics if self._topics is None else MappingProxyType(self._topics), znodes), changes

    def look(self) -> Image:
        """Everything as it is in the middle of an entry, but for the counts of rendered children."""
        topics: Mapping[TopicId, Topic] = self.topics
        if self._partitions:
            topics = {**topics, **{topic_id: self._as_changed(topic_id) for topic_id in self._partitions}}
        return self._image(topics, self.znodes.freeze())

    def _as_changed(self, topic_id: TopicId) -> Topic:
        """A topic with what has become of its partitions."""
        topic = self.topics[topic_id]
        assigned = self.stamp if topic_id in self._reassigned else topic.assigned
        return replace(topic, partitions=tuple(self._partitions[topic_id]), assigned=assigned)

    def _image(self, topics: Mapping[TopicId, Topic], znodes: Znodes) -> Image:
        return Image(
            cluster_id=self.cluster_id,
            feature_level=self.feature_level,
            brokers=self.brokers if self._brokers is None else MappingProxyType(self._brokers),
            topics=topics,
            topic_ids=self.topic_ids if self._topic_ids is None else MappingProxyType(self._topic_ids),
            defaults=self.defaults,
            configured_defaults=self.configured_defaults,
            broker_configs=self.broker_configs,
            client_quotas=self.client_quotas,
            time_ms=self.time_ms,
            next_producer_id=self.next_producer_id,
            controller_epoch=self.controller_epoch,
            znodes=znodes,
        )

    def _count_children(self) -> None:
        """What is rendered from this image counts for the nodes above it, see `znodes.view`."""
        if self._created or self._deleted:
            # A topic that came and went within this entry was created all the same.
            for path in ("/brokers/topics", "/config/topics"):
                self.znodes.count_children(path, self.index, created=len(self._created))
        if self._touched_brokers:
            came = went = 0
            for node_id in self._touched_brokers:
                before, after = self._base.brokers.get(node_id), self.brokers[node_id]
                there = before is not None and not before.fenced
                stays = there and before is not None and before.epoch == after.epoch and not after.fenced
                came += not after.fenced and not stays
                went += there and not stays
            if came or went:
                self.znodes.count_children("/brokers/ids", self.index, created=came)

    def _own_topics(self) -> tuple[dict[TopicId, Topic], dict[str, TopicId]]:
        if self._topics is None or self._topic_ids is None:
            self.topics = self._topics = dict(self.topics)
            self.topic_ids = self._topic_ids = dict(self.topic_ids)
        return self._topics, self._topic_ids

    def _touch_all(self, topic: Topic) -> None:
        for index in range(len(topic.partitions)):
            self._touched.add(TopicPartition(topic.topic_id, PartitionIndex(index)))
