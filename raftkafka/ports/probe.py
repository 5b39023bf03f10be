"""What the running code tells the metrics: `Probe` is told of events, `BrokerStatistics` is read at scrape time.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from raftkafka.model.errors import ErrorCode


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


@dataclass(frozen=True, slots=True, kw_only=True)
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
    bytes_in: int = 0
    records_in: int = 0
    bytes_out: int = 0
    is_offline: bool = False

    @property
    def is_under_replicated(self) -> bool:
        """Only the leader says so, as in Kafka: one missing replica counts once in the cluster."""
        return self.is_leader and self.isr_size < self.replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftStatistics:
    """`leader_id` is -1 while no leader is known."""

    term: int
    is_leader: bool
    leader_id: int
    commit_index: int
    applied_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatistics:
    """The groups that this node coordinates. `states`: how many are in each; `loading`: partitions of them being read.

    `commits` (of offsets) and `rebalances` start at 0 with the process and only rise.
    """

    states: tuple[tuple[str, int], ...] = ()
    commits: int = 0
    rebalances: int = 0
    loading: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStatistics:
    """The state of one node at one moment; `waiting_requests` are those in purgatory."""

    node_id: int
    cluster_id: str
    is_fenced: bool
    raft: RaftStatistics
    partitions: tuple[PartitionStatistics, ...] = ()
    waiting_requests: int = 0
    groups: GroupStatistics = GroupStatistics()


ReadStatistics = Callable[[], BrokerStatistics]
