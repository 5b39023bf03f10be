"""The image: everything the cluster has agreed on through Raft, as one immutable value.

Floor 1, pure. A new image shares with its predecessor whatever did not change, so a reader may keep one for as long as it
likes. Invariants that every image reachable by `apply` keeps, for each partition:
- ISR and ELR are disjoint subsets of the replicas;
- every member of the ISR is active: its broker is neither fenced nor shutting down;
- a leader is in the ISR; an ISR is empty only while nobody leads;
- there is an ELR only while the ISR is smaller than `min.insync.replicas`;
- while nobody leads, nobody in ISR or ELR is active, and nobody but emptied replicas where unclean elections are allowed;
- an emptied replica is in neither ISR nor ELR.
Both ISR and ELR are empty only where the last eligible replica has lost its disk: then somebody has to decide what to lose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from raftkafka.metadata.znodes.tree import INITIAL, Znodes
from raftkafka.model.api.broker_lifecycle import ListenerEndpoint
from raftkafka.model.features import SUPPORTED, FeatureRange
from raftkafka.model.ids import (
    NO_NODE,
    NO_PRODUCER_ID,
    BrokerEpoch,
    DirectoryId,
    LeaderEpoch,
    NodeId,
    PartitionEpoch,
    PartitionIndex,
    ProducerId,
    RaftIndex,
    TimestampMs,
    TopicId,
    TopicPartition,
)

ALL_BROKERS: Final = NO_NODE
"""Where the dynamic configs stand that are the default of all brokers."""

_NO_CONFIGS: Final[Mapping[NodeId, Mapping[str, str]]] = MappingProxyType({})


NO_NAME: Final = None
"""In a quota's entity: it is not about users (or client ids)."""
ANY_NAME: Final = ""
"""In a quota's entity: all users (or client ids) without a quota of their own."""


class QuotaEntity(NamedTuple):
    """Whom a client quota is for: a user, a client id, or a client id of a user."""

    user: str | None
    client_id: str | None


_NO_QUOTAS: Final[Mapping[QuotaEntity, Mapping[str, float]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds for topics that do not say otherwise, as the controller is configured."""

    min_insync_replicas: int = 1  # min.insync.replicas
    unclean_leader_election: bool = False  # unclean.leader.election.enable


class Stamp(NamedTuple):
    """The entry that changed something, and when it was proposed: what a ZooKeeper client sees as zxid and time."""

    zxid: RaftIndex
    time_ms: TimestampMs


NEVER: Final = Stamp(RaftIndex(0), TimestampMs(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A registration in force. `epoch` is the Raft index of it, `incarnation_id` the 16 bytes of that start, `directories`
    are its log directories."""

    node_id: NodeId
    epoch: BrokerEpoch
    incarnation_id: bytes
    listeners: tuple[ListenerEndpoint, ...]
    rack: str | None = None
    directories: tuple[DirectoryId, ...] = ()
    features: FeatureRange = SUPPORTED
    fenced: bool = True
    in_controlled_shutdown: bool = False
    producer_id_block: ProducerId = NO_PRODUCER_ID
    """The first id of the last block of producer ids that this registration got."""
    unfenced: Stamp = NEVER
    """When it was unfenced last."""

    @property
    def active(self) -> bool:
        """May lead, join an ISR, and take new replicas."""
        return not self.fenced and not self.in_controlled_shutdown

    def endpoint(self, listener: str) -> ListenerEndpoint | None:
        """The advertised endpoint of that name."""
        return next((each for each in self.listeners if each.name == listener), None)


class Event(NamedTuple):
    """Something happened to a partition, `cause` is a `model.api.history.PartitionCause`; leader, epoch and ISR are so from then on.
    `zxid` is the entry, `controller_epoch` that of the controller that decided it."""

    time_ms: TimestampMs
    cause: int
    node_id: NodeId
    leader: NodeId
    leader_epoch: LeaderEpoch
    isr: tuple[NodeId, ...]
    zxid: RaftIndex = RaftIndex(0)
    controller_epoch: int = 0

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.zxid, self.time_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """`leader` is NO_NODE while nobody may lead. `elr` are the eligible leader replicas of KIP-966, see `election`; `emptied`
    are replicas that have lost their logs and were not in sync since."""

    index: PartitionIndex
    replicas: tuple[NodeId, ...]
    isr: tuple[NodeId, ...]
    leader: NodeId = NO_NODE
    leader_epoch: LeaderEpoch = LeaderEpoch(0)
    partition_epoch: PartitionEpoch = PartitionEpoch(0)
    adding: tuple[NodeId, ...] = ()
    removing: tuple[NodeId, ...] = ()
    elr: tuple[NodeId, ...] = ()
    last_known_leader: NodeId = NO_NODE
    emptied: tuple[NodeId, ...] = ()
    history: tuple[Event, ...] = field(default=(), compare=False)
    """The last events, oldest first, see `history`; for people, nothing is decided by it."""

    @property
    def preferred_leader(self) -> NodeId:
        return self.replicas[0]


class Growth(NamedTuple):
    """From `first` on, partitions were created by this entry."""

    first: int
    stamp: Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """`partitions[i].index == i`. `configs` holds only what was set for this topic.

    `growth` is when its partitions came, its creation in front; `assigned` and `configured`, when its replicas and configs
    changed last.
    """

    name: str
    topic_id: TopicId
    configs: Mapping[str, str]
    partitions: tuple[Partition, ...]
    growth: tuple[Growth, ...] = (Growth(0, NEVER),)
    assigned: Stamp = NEVER
    configured: Stamp = NEVER

    def partition(self, index: int) -> Partition | None:
        return self.partitions[index] if 0 <= index < len(self.partitions) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """`cluster_id` is empty until the first controller has initialized the cluster.

    `defaults` are the rules in force: those of the controller's file, `configured_defaults`, and what the dynamic configs of all
    brokers say instead.
    """

    cluster_id: str
    feature_level: int
    brokers: Mapping[NodeId, Broker]
    topics: Mapping[TopicId, Topic]
    topic_ids: Mapping[str, TopicId]
    defaults: Defaults = Defaults()
    configured_defaults: Defaults = Defaults()
    broker_configs: Mapping[NodeId, Mapping[str, str]] = field(default_factory=lambda: _NO_CONFIGS)
    """Dynamic configs of brokers; those under ALL_BROKERS hold for every broker that has no own one."""
    time_ms: TimestampMs = TimestampMs(0)
    """When the last entry was proposed that said so, by the controller's clock; it never goes back."""
    client_quotas: Mapping[QuotaEntity, Mapping[str, float]] = field(default_factory=lambda: _NO_QUOTAS)
    next_producer_id: ProducerId = ProducerId(0)
    """No id from here on has been given to anybody."""
    controller_epoch: int = 0
    """The Raft term of the last controller that has said so; 0 as long as nobody has."""
    znodes: Znodes = INITIAL
    """What ZooKeeper's clients have stored, and their sessions."""

    @staticmethod
    def empty() -> Image:
        """What a node starts with, before it has applied anything."""
        return _EMPTY

    def topic_by_name(self, name: str) -> Topic | None:
        topic_id = self.topic_ids.get(name)
        return None if topic_id is None else self.topics.get(topic_id)

    def partition(self, key: TopicPartition) -> Partition | None:
        topic = self.topics.get(key.topic_id)
        return None if topic is None else topic.partition(key.partition)

    def is_active(self, node_id: NodeId) -> bool:
        """True for a broker that is registered, unfenced and not shutting down."""
        broker = self.brokers.get(node_id)
        return broker is not None and broker.active

    def active(self) -> frozenset[NodeId]:
        """All brokers of which `is_active` is true."""
        return frozenset([each.node_id for each in self.brokers.values() if each.active])

    def partitions(self) -> Iterator[tuple[TopicPartition, Partition]]:
        """Every partition of every topic: a scan, O(partitions)."""
        for topic_id, topic in self.topics.items():
            for partition in topic.partitions:
                yield TopicPartition(topic_id, partition.index), partition

    def led_by(self, node_id: NodeId) -> Iterator[tuple[TopicPartition, Partition]]:
        """The partitions that `node_id` leads: a scan, O(partitions)."""
        for topic_id, topic in self.topics.items():
            for partition in topic.partitions:
                if partition.leader == node_id:
                    yield TopicPartition(topic_id, partition.index), partition


_EMPTY: Final = Image(
    cluster_id="",
    feature_level=0,
    brokers=MappingProxyType({}),
    topics=MappingProxyType({}),
    topic_ids=MappingProxyType({}),
)
