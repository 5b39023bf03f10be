"""What the cluster looks like: Metadata (3), ApiVersions (18), DescribeQuorum (55), DescribeCluster (60)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import (
    NO_EPOCH,
    NO_NODE,
    NO_TOPIC_ID,
    LeaderEpoch,
    NodeId,
    PartitionIndex,
    RaftIndex,
    Term,
    TopicId,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiVersions:
    """Asked first on a connection; needs no authentication (KIP-35)."""

    api_key: ClassVar[ApiKey] = ApiKey.API_VERSIONS

    client_software_name: str = ""
    client_software_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiVersionRange:
    api_key: int
    min_version: int
    max_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiVersionsResponse:
    error_code: ErrorCode = ErrorCode.NONE
    api_keys: tuple[ApiVersionRange, ...]
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """`topics` None asks for all topics; an empty tuple for none (brokers only)."""

    api_key: ClassVar[ApiKey] = ApiKey.METADATA

    topics: tuple[str, ...] | None = None
    allow_auto_topic_creation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerEndpoint:
    """The address under which clients reach a broker."""

    node_id: NodeId
    host: str
    port: int
    rack: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionMetadata:
    partition: PartitionIndex
    error_code: ErrorCode = ErrorCode.NONE
    leader_id: NodeId = NO_NODE
    leader_epoch: LeaderEpoch = NO_EPOCH
    replica_nodes: tuple[NodeId, ...] = ()
    isr_nodes: tuple[NodeId, ...] = ()
    offline_replicas: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicMetadata:
    name: str
    topic_id: TopicId = NO_TOPIC_ID
    error_code: ErrorCode = ErrorCode.NONE
    is_internal: bool = False
    partitions: tuple[PartitionMetadata, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataResponse:
    brokers: tuple[BrokerEndpoint, ...]
    cluster_id: str
    controller_id: NodeId
    topics: tuple[TopicMetadata, ...]
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCluster:
    api_key: ClassVar[ApiKey] = ApiKey.DESCRIBE_CLUSTER


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedBroker:
    node_id: NodeId
    host: str
    port: int
    rack: str | None = None
    fenced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeClusterResponse:
    """Fenced brokers are included (KIP-1073); Metadata leaves them out. `feature_level` of the metadata, see `model.features`."""

    error_code: ErrorCode = ErrorCode.NONE
    cluster_id: str
    controller_id: NodeId
    brokers: tuple[DescribedBroker, ...]
    feature_level: int = 0
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeQuorum:
    """Asked of any node; a node that does not lead Raft forwards it to the one that does."""

    api_key: ClassVar[ApiKey] = ApiKey.DESCRIBE_QUORUM


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumReplica:
    """`log_end_index` is the last Raft index that the leader knows to be durable on this node; -1 unknown."""

    node_id: NodeId
    log_end_index: RaftIndex
    connected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeQuorumResponse:
    error_code: ErrorCode = ErrorCode.NONE
    leader_id: NodeId = NO_NODE
    term: Term = Term(0)
    commit_index: RaftIndex = RaftIndex(-1)
    voters: tuple[QuorumReplica, ...] = ()
    observers: tuple[QuorumReplica, ...] = ()
