"""Between brokers and the controller: BrokerRegistration (62), BrokerHeartbeat (63), AlterPartition (56)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.features import SUPPORTED
from raftkafka.model.ids import (
    NO_BROKER_EPOCH,
    NO_EPOCH,
    NO_NODE,
    BrokerEpoch,
    DirectoryId,
    LeaderEpoch,
    NodeId,
    PartitionEpoch,
    PartitionIndex,
    RaftIndex,
    TopicId,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerEndpoint:
    """An advertised listener: its name (`PLAINTEXT`, ...), host and port."""

    name: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLogs:
    """Partitions of one topic whose logs a broker has on its disks."""

    topic_id: TopicId
    partitions: tuple[PartitionIndex, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerRegistration:
    """A broker that has started asks to be known.

    `incarnation_id` is 16 random bytes drawn at each start. The broker leaves every ISR; which of its replicas stay eligible
    to lead depends on what its disks say: `previous_broker_epoch` is the epoch under which it last shut down cleanly, -1
    after an unclean stop (KIP-966); `logs_synced` that everything it has ever acknowledged was synced first, so that an
    unclean stop has lost nothing either; `directories` are the ids of its log directories (KIP-858): with one of an earlier
    registration missing, the logs in it are lost. `held` are then the logs that the others have; None says nothing of them.
    """

    api_key: ClassVar[ApiKey] = ApiKey.BROKER_REGISTRATION

    broker_id: NodeId
    cluster_id: str
    """Empty when the data directory does not know it yet."""
    incarnation_id: bytes
    listeners: tuple[ListenerEndpoint, ...]
    rack: str | None = None
    previous_broker_epoch: BrokerEpoch = NO_BROKER_EPOCH
    logs_synced: bool = False
    directories: tuple[DirectoryId, ...] = ()
    held: tuple[HeldLogs, ...] | None = None
    feature_level_min: int = SUPPORTED.lowest
    feature_level_max: int = SUPPORTED.highest


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerRegistrationResponse:
    """DUPLICATE_BROKER_REGISTRATION while another live incarnation holds the id; `error_message` names its address.
    LOG_DIR_NOT_FOUND: some log directories are missing; ask again and name the logs that are held."""

    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    broker_epoch: BrokerEpoch = NO_BROKER_EPOCH
    cluster_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineReplica:
    """A replica that its broker cannot serve: its bytes are `damaged`, or they are out of reach, in a log directory that failed
    or on a disk that is full."""

    topic_id: TopicId
    partition: PartitionIndex
    damaged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerHeartbeat:
    """Sent every `broker.heartbeat.interval.ms`. `applied_index` is the broker's own applied Raft index."""

    api_key: ClassVar[ApiKey] = ApiKey.BROKER_HEARTBEAT

    broker_id: NodeId
    broker_epoch: BrokerEpoch
    applied_index: RaftIndex
    want_shut_down: bool = False
    offline_replicas: tuple[OfflineReplica, ...] = ()
    """Repeated until the image shows that they have left the ISR (at most 1,000 in one heartbeat)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerHeartbeatResponse:
    """`is_fenced`: the broker may not lead; `should_shut_down`: its leaders have moved, it may stop now."""

    error_code: ErrorCode = ErrorCode.NONE
    is_fenced: bool = True
    should_shut_down: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IsrMember:
    """A member of a proposed ISR, with the broker epoch under which the leader saw it caught up (KIP-903)."""

    node_id: NodeId
    broker_epoch: BrokerEpoch


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterPartitionItem:
    """A leader's proposal; `partition_epoch` must be the one in force."""

    topic_id: TopicId
    partition: PartitionIndex
    leader_epoch: LeaderEpoch
    partition_epoch: PartitionEpoch
    new_isr: tuple[IsrMember, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterPartition:
    api_key: ClassVar[ApiKey] = ApiKey.ALTER_PARTITION

    broker_id: NodeId
    broker_epoch: BrokerEpoch
    partitions: tuple[AlterPartitionItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlteredPartition:
    """The state in force after the decision.

    INVALID_UPDATE_VERSION: the partition epoch was stale; FENCED_LEADER_EPOCH: no longer the leader;
    INELIGIBLE_REPLICA: a member is fenced or has another broker epoch.
    """

    topic_id: TopicId
    partition: PartitionIndex
    error_code: ErrorCode = ErrorCode.NONE
    leader_id: NodeId = NO_NODE
    leader_epoch: LeaderEpoch = NO_EPOCH
    isr: tuple[NodeId, ...] = ()
    partition_epoch: PartitionEpoch = PartitionEpoch(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterPartitionResponse:
    """STALE_BROKER_EPOCH for the whole request when the asking broker has registered again since."""

    error_code: ErrorCode = ErrorCode.NONE
    partitions: tuple[AlteredPartition, ...] = ()
