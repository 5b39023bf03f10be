"""What a client believes about the cluster: brokers, topics, leaders with their epochs. Floor 3, pure.

Answers come from any node, and some nodes lag. Invariant: within one topic id, a partition's leader epoch never goes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from raftkafka.model.api.cluster import BrokerEndpoint, MetadataResponse, TopicMetadata
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_EPOCH, NO_NODE, LeaderEpoch, NodeId, PartitionIndex, TopicId


@dataclass(slots=True)
class Leadership:
    """Who leads a partition; `leader` is -1 while nobody does."""

    leader: NodeId = NO_NODE
    leader_epoch: LeaderEpoch = NO_EPOCH


@dataclass(slots=True)
class TopicView:
    """A topic that exists, as far as we know; partitions are numbered from 0 without gaps."""

    name: str
    topic_id: TopicId
    partitions: list[Leadership] = field(default_factory=list)

    def led_partitions(self) -> Sequence[int]:
        """The partitions that have a leader."""
        return [number for number, partition in enumerate(self.partitions) if partition.leader != NO_NODE]


class ClusterView:
    """Changes only by `apply` (an answer to Metadata) and `hint` (a leader named in an error, KIP-951)."""

    def __init__(self) -> None:
        self.brokers: dict[NodeId, BrokerEndpoint] = {}
        self.cluster_id = ""
        self.controller_id: NodeId = NO_NODE
        self._topics: dict[str, TopicView] = {}
        self._names: dict[TopicId, str] = {}
        self._errors: dict[str, ErrorCode] = {}

    def topic(self, name: str) -> TopicView | None:
        return self._topics.get(name)

    def error(self, name: str) -> ErrorCode:
        """Why a topic is not known, as the last answer said; NONE when nobody was asked or it is known."""
        return self._errors.get(name, ErrorCode.NONE)

    def name_of(self, topic_id: TopicId) -> str | None:
        return self._names.get(topic_id)

    def leadership(self, name: str, partition: int) -> Leadership | None:
        """None for a partition that does not exist as far as we know."""
        topic = self._topics.get(name)
        if topic is None or not 0 <= partition < len(topic.partitions):
            return None
        return topic.partitions[partition]

    def apply(self, response: MetadataResponse) -> bool:
        """Take over an answer; True when a leader epoch moved forward or a topic was new."""
        if response.brokers:
            self.brokers = {broker.node_id: broker for broker in response.brokers}
        self.cluster_id = response.cluster_id
        self.controller_id = response.controller_id
        moved = False
        for topic in response.topics:
            moved = self._apply_topic(topic) or moved
        return moved

    def _apply_topic(self, answer: TopicMetadata) -> bool:
        known = self._topics.get(answer.name)
        if answer.error_code is not ErrorCode.NONE and not answer.partitions:
            self._errors[answer.name] = answer.error_code
            if known is not None and answer.error_code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                # Deleted, or a node that lags: keep the epochs, so that the next answer cannot lead backwards.
                for leadership in known.partitions:
                    leadership.leader = NO_NODE
            return False
        self._errors.pop(answer.name, None)
        moved = False
        if known is None or known.topic_id != answer.topic_id:
            if known is not None:
                self._forget(known)
            known = self._topics[answer.name] = TopicView(answer.name, answer.topic_id)
            self._names[answer.topic_id] = answer.name
            moved = True
        for partition in answer.partitions:
            while len(known.partitions) <= partition.partition:
                known.partitions.append(Leadership())
            mine = known.partitions[partition.partition]
            if partition.leader_epoch < mine.leader_epoch:
                continue  # an answer of a node that lags
            moved = moved or partition.leader_epoch > mine.leader_epoch
            mine.leader = partition.leader_id
            mine.leader_epoch = partition.leader_epoch
        return moved

    def _forget(self, topic: TopicView) -> None:
        self._topics.pop(topic.name, None)
        self._names.pop(topic.topic_id, None)

    def forget_except(self, names: Iterable[str]) -> None:
        """Drop what nobody is interested in any more, so that the view stays as small as its user's needs."""
        wanted = set(names)
        for topic in [topic for name, topic in self._topics.items() if name not in wanted]:
            self._forget(topic)

    def hint(self, topic_id: TopicId, partition: PartitionIndex, leader: NodeId, leader_epoch: LeaderEpoch) -> bool:
        """A broker that does not lead named the one that does; True when that was news (KIP-951)."""
        name = self._names.get(topic_id)
        mine = self.leadership(name, partition) if name is not None else None
        if mine is None or leader == NO_NODE or leader not in self.brokers or leader_epoch <= mine.leader_epoch:
            return False
        mine.leader = leader
        mine.leader_epoch = leader_epoch
        return True
