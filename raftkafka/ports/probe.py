"""What the running code tells the metrics: `Probe` is told of events, `BrokerStatistics` is read at scrape time.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from raftkafka.model.errors import ErrorCode
from raftkafka.model.passing import passing_value
from raftkafka.model.zookeeper.errors import ZkErrorCode

GROUP_OFFSETS_MAX: Final = 2000
"""Group ids are chosen by clients: whatever they make up, a scrape stays bounded."""
GROUP_ID_MAX_CHARS: Final = 255
"""Of a group whose offsets are shown one by one."""


class Probe(Protocol):
    def request(self, api: str, error: ErrorCode, seconds: float) -> None:
        """One request answered, from its last byte read to its answer handed to the socket."""
        ...

    def connection_opened(self, listener: str) -> None: ...

    def connection_closed(self, listener: str) -> None: ...

    def malformed_frame(self, listener: str) -> None: ...

    def log_sync(self, seconds: float, files: int) -> None: ...

    def raft_commit(self, seconds: float) -> None:
        """From a proposal made here to its result."""
        ...

    def raft_sync(self, seconds: float) -> None: ...

    def loop_delay(self, seconds: float) -> None:
        """How late a timer fired: the longest step that somebody took on the event loop."""
        ...

    def leader_election(self) -> None:
        """A partition was given a new leader by this controller."""
        ...

    def isr_change(self, *, shrink: bool) -> None: ...

    def throttled(self, quota: str, seconds: float) -> None:
        """A client went beyond its quota and is not listened to for so long."""
        ...

    def zookeeper_request(self, operation: str, error: ZkErrorCode, seconds: float) -> None:
        """One request at the ZooKeeper port answered; `operation` is one of a bounded set of names."""
        ...

    def zookeeper_sessions_expired(self, count: int) -> None:
        """This controller has ended sessions whose clients were not heard in time."""
        ...


class NullProbe:
    """A probe that forgets."""

    def request(self, api: str, error: ErrorCode, seconds: float) -> None: ...
    def connection_opened(self, listener: str) -> None: ...
    def connection_closed(self, listener: str) -> None: ...
    def malformed_frame(self, listener: str) -> None: ...
    def log_sync(self, seconds: float, files: int) -> None: ...
    def raft_commit(self, seconds: float) -> None: ...
    def raft_sync(self, seconds: float) -> None: ...
    def loop_delay(self, seconds: float) -> None: ...
    def leader_election(self) -> None: ...
    def isr_change(self, *, shrink: bool) -> None: ...
    def throttled(self, quota: str, seconds: float) -> None: ...
    def zookeeper_request(self, operation: str, error: ZkErrorCode, seconds: float) -> None: ...
    def zookeeper_sessions_expired(self, count: int) -> None: ...


@passing_value
class PartitionStatistics:
    """One replica on this node. Counts of bytes and records start at 0 with the process and only rise."""

    topic: str
    partition: int
    is_leader: bool
    log_start_offset: int
    high_watermark: int
    log_end_offset: int
    size_bytes: int
    replicas: int
    isr_size: int
    least_isr: int = 1
    has_leader: bool = True
    bytes_in: int = 0
    records_in: int = 0
    bytes_out: int = 0
    is_offline: bool = False

    @property
    def is_under_replicated(self) -> bool:
        """Only the leader says so, as in Kafka: one missing replica counts once in the cluster."""
        return self.is_leader and self.isr_size < self.replicas

    @property
    def is_under_min_isr(self) -> bool:
        """Only the leader says so: `least_isr` in-sync replicas are what acks=all needs."""
        return self.is_leader and self.isr_size < self.least_isr


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDirectoryStatistics:
    """`size_bytes` is what its logs hold; free and capacity are of its file system, None where that does not answer, which is
    not online either."""

    path: str
    is_online: bool
    size_bytes: int
    free_bytes: int | None
    capacity_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftPeerStatistics:
    """Another voter, or a connected observer. `entries_behind` is known to the leader alone, None elsewhere."""

    node_id: int
    is_voter: bool
    is_connected: bool
    entries_behind: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftStatistics:
    """`leader_id` is -1 while no leader is known; `leader_silence_s` None before one was heard of, and 0 on the leader.

    `leader_changes` starts at 0 with the process and only rises.
    """

    term: int
    is_leader: bool
    leader_id: int
    commit_index: int
    applied_index: int
    last_index: int = 0
    leader_silence_s: float | None = None
    leader_changes: int = 0
    voters: int = 0
    peers: tuple[RaftPeerStatistics, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatistics:
    """What the controller sees of the whole cluster in its metadata."""

    brokers_active: int
    brokers_fenced: int
    topics: int
    partitions: int
    partitions_without_leader: int
    partitions_off_preferred_leader: int


@passing_value
class GroupOffsetStatistics:
    """A committed offset. `lag` is the records up to the high watermark, None where this node has no replica to ask."""

    group: str
    topic: str
    partition: int
    committed_offset: int
    lag: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatistics:
    """The groups that this node coordinates. `states`: how many are in each; `loading`: partitions of them being read.

    `members` counts those of all groups. `offsets` are at most GROUP_OFFSETS_MAX of the `committed_offsets` that there are.
    `commits` (of offsets) and `rebalances` start at 0 with the process and only rise.
    """

    states: tuple[tuple[str, int], ...] = ()
    members: int = 0
    offsets: tuple[GroupOffsetStatistics, ...] = ()
    committed_offsets: int = 0
    commits: int = 0
    rebalances: int = 0
    loading: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooKeeperStatistics:
    """Of a node with a ZooKeeper port: requests under way and watches are its own, sessions and the tree the cluster's.

    `data_bytes` and `nodes` are of what is stored; what is rendered from the metadata takes no room.
    """

    outstanding: int
    watches: int
    sessions: int
    nodes: int
    ephemerals: int
    data_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStatistics:
    """Of a node that exports traces: what became of the spans that were sampled. Counts only rise."""

    exported: int
    refused: int
    """By the collector, or because it was not there."""
    overflowed: int
    """They found the queue full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStatistics:
    """The state of one node at one moment; `waiting_requests` are those in purgatory, `time_ms` is its wall clock.

    `cluster` is there on the controller alone.
    """

    node_id: int
    cluster_id: str
    is_fenced: bool
    raft: RaftStatistics
    time_ms: int = 0
    cluster: ClusterStatistics | None = None
    log_directories: tuple[LogDirectoryStatistics, ...] = ()
    partitions: tuple[PartitionStatistics, ...] = ()
    waiting_requests: int = 0
    groups: GroupStatistics = GroupStatistics()
    zookeeper: ZooKeeperStatistics | None = None
    traces: TraceStatistics | None = None


ReadStatistics = Callable[[], BrokerStatistics]
