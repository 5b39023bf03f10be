"""What happened in a run, as the checkers read it: what clients were told, what nodes did, and what lies on them at the end.

Times are seconds of the simulated clock. A partition is `(topic name, number)` for clients and `(topic id, number)`
for nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

ClientPartition = tuple[str, int]
NodePartition = tuple[bytes, int]


class Acknowledged(NamedTuple):
    """A producer was told that `value` lies at `offset`."""

    at: float
    partition: ClientPartition
    offset: int
    value: bytes


class Keyed(NamedTuple):
    """A producer was told that `value` (None: a tombstone) of `key` lies at `offset` of a compacted topic."""

    at: float
    partition: ClientPartition
    offset: int
    key: bytes
    value: bytes | None


class Unacknowledged(NamedTuple):
    """A producer was told of an error. `unsent` means it was told that nothing was written."""

    at: float
    partition: ClientPartition
    value: bytes
    error: str
    unsent: bool


class Read(NamedTuple):
    """A consumer was handed a record."""

    at: float
    reader: str
    partition: ClientPartition
    offset: int
    value: bytes


class Watermark(NamedTuple):
    """A consumer was told a high watermark."""

    at: float
    reader: str
    partition: ClientPartition
    high_watermark: int


class Assigned(NamedTuple):
    """A member of the group was given these partitions by its coordinator."""

    at: float
    generation: int
    member: str
    partitions: tuple[int, ...]


class CommittedTo(NamedTuple):
    """A member was told that its commit, sent at `sent_at`, is done."""

    sent_at: float
    at: float
    generation: int
    member: str
    partition: int
    offset: int


class FoundCommitted(NamedTuple):
    """A member that owns the partition in this generation asked at `asked_at` how far the group has come, and heard this."""

    asked_at: float
    generation: int
    member: str
    partition: int
    offset: int


class Led(NamedTuple):
    """A node took the leadership of a partition."""

    at: float
    node: str
    partition: NodePartition
    leader_epoch: int


class Applied(NamedTuple):
    """A node applied a Raft entry; `life` numbers the processes of a node."""

    at: float
    node: str
    life: int
    index: int
    command: bytes


class Restored(NamedTuple):
    """A node replaced its image by a snapshot of everything up to `index`."""

    at: float
    node: str
    life: int
    index: int


class Seen(NamedTuple):
    """A replica, looked at from outside in the middle of a run."""

    at: float
    node: str
    life: int
    partition: NodePartition
    is_leader: bool
    log_start: int
    high_watermark: int
    log_end: int
    opening: int = 0
    """Which log of this partition it is in this life: a replica that is taken away and given back begins anew."""


class Counted(NamedTuple):
    """A leader's high watermark moved. `controllers_isr` is the ISR in the newest image that any node has had, empty if
    that has another leader epoch already; `there` the replicas that the leader knows to have everything below the watermark."""

    at: float
    node: str
    partition: NodePartition
    leader_epoch: int
    high_watermark: int
    controllers_isr: tuple[int, ...]
    there: tuple[int, ...]


class Member(NamedTuple):
    """A running member of the ISR, or of the ELR, in the newest image that any node has had, and what has been committed by then."""

    at: float
    node: str
    partition: NodePartition
    role: str
    log_end: int
    committed: int


class Damaged(NamedTuple):
    """Bytes with a wrong checksum got where they must not."""

    at: float
    node: str
    partition: NodePartition
    where: str
    base_offset: int


class Load(NamedTuple):
    """What a process holds at one time; `idle` once the clients have left and everything has come to rest."""

    at: float
    node: str
    idle: bool
    connections: int
    held_bytes: int
    waiting_commits: int
    waiting_fetches: int
    open_files: int
    tasks: int


class Record(NamedTuple):
    offset: int
    leader_epoch: int
    value: bytes
    key: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A replica at the end, read from the log itself."""

    node: str
    partition: ClientPartition
    log_start: int
    high_watermark: int
    log_end: int
    records: tuple[Record, ...]


@dataclass(kw_only=True)
class History:
    """`lossy` names the nodes whose disks lost synced bytes; `deleted` the topics that were deleted at some time."""

    min_insync_replicas: int = 2
    acknowledged: list[Acknowledged] = field(default_factory=list)
    keyed: list[Keyed] = field(default_factory=list)
    compacted: set[str] = field(default_factory=set)
    """Topics in whose logs compaction may leave gaps."""
    perhaps_deleted: set[bytes] = field(default_factory=set)
    """Keys that had a tombstone: a repetition of it may have deleted what was written after it."""
    unacknowledged: list[Unacknowledged] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    watermarks: list[Watermark] = field(default_factory=list)
    assigned: list[Assigned] = field(default_factory=list)
    committed_to: list[CommittedTo] = field(default_factory=list)
    found_committed: list[FoundCommitted] = field(default_factory=list)
    led: list[Led] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    restored: list[Restored] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    damaged: list[Damaged] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    sent: set[bytes] = field(default_factory=set)
    """Every value that a producer was given for a topic that is not in `deleted`; empty where nobody wrote it down."""
    deleted: set[str] = field(default_factory=set)
    idempotent: set[bytes] = field(default_factory=set)
    """The names of the producers whose records may be there once only; see `checkers.one_copy`."""
    lossy: set[str] = field(default_factory=set)
    replicas: list[Replica] = field(default_factory=list)
    stranded: bool = False
    """The only replica that may lead a partition is on a disk that was damaged: an operator has to decide (see
    docs/verification.md). Nothing can be said about the end of such a run."""
    healed: bool = False
    not_healed: str = "the run did not get that far"
    unexpected: list[str] = field(default_factory=list)
    """Processes that stopped of their own, and errors that nobody caught."""
