"""Raft, as the rest of the node sees it: propose bytes, get back what applying them gave.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from raftkafka.model.errors import RaftKafkaError
from raftkafka.model.ids import NodeId, RaftIndex, Term


class NotLeaderError(RaftKafkaError):
    """This node does not lead Raft (or its queue is full): nothing was proposed, a retry elsewhere is safe."""


class OutcomeUnknownError(RaftKafkaError):
    """Leadership or patience was lost while the proposal was under way: it may still be applied (I18)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftVoter:
    """A voter, where it listens for Raft, and the 16 bytes that name its disk (KIP-853); none while that is not known."""

    node_id: NodeId
    host: str
    port: int
    directory_id: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoterState:
    """What the Raft leader knows of a voter or an observer; `match_index` is -1 where it is not known."""

    node_id: NodeId
    match_index: RaftIndex
    connected: bool


class StateMachine(Protocol):
    """What Raft replicates. All three run on the event loop and never raise (an exception stops the node)."""

    def apply(self, index: RaftIndex, command: bytes) -> object:
        """Apply one committed command; `index` rises strictly. The result goes to the proposer, if it is here."""
        ...

    def snapshot(self) -> Iterable[bytes]:
        """The whole state at the last applied index, in pieces that cost a few milliseconds each.

        They are taken one per turn of the loop; what is applied meanwhile changes nothing in them.
        """
        ...

    def restore(self, index: RaftIndex, snapshot: bytes) -> None:
        """Replace the whole state by a snapshot taken at `index`."""
        ...


class Consensus(Protocol):
    @property
    def node_id(self) -> NodeId: ...

    @property
    def leader_id(self) -> NodeId | None:
        """Who leads as far as this node knows."""
        ...

    @property
    def is_leader(self) -> bool: ...

    @property
    def term(self) -> Term: ...

    @property
    def commit_index(self) -> RaftIndex: ...

    @property
    def applied_index(self) -> RaftIndex: ...

    @property
    def last_index(self) -> RaftIndex:
        """Of the newest entry in this node's log, committed or not."""
        ...

    @property
    def leader_silence_s(self) -> float | None:
        """Seconds since the leader of the current or a later term was heard; 0 on the leader, None before the first time."""
        ...

    def voters(self) -> tuple[VoterState, ...]: ...

    def observers(self) -> tuple[VoterState, ...]:
        """Nodes that follow the log without a vote, as far as they are connected to this one."""
        ...

    def is_connected(self, node_id: NodeId) -> bool:
        """Whether there is a link to this node, voter or not."""
        ...

    async def propose(self, command: bytes, *, timeout_s: float) -> object:
        """Replicate `command` (at most 1 MiB) and return what `StateMachine.apply` gave on this node.

        Raises:
            NotLeaderError: not proposed.
            OutcomeUnknownError: proposed, fate unknown.
        """
        ...

    async def add_voter(self, voter: RaftVoter, *, timeout_s: float) -> None:
        """Leader only: let an observer vote once it has caught up. Without a directory id it is that of its connection.

        Raises:
            ApiError: DUPLICATE_VOTER, INVALID_VOTER_KEY (another disk), INVALID_REQUEST, REQUEST_TIMED_OUT (not caught up,
                or another change is under way): nothing was changed.
            NotLeaderError, OutcomeUnknownError: as of `propose`.
        """
        ...

    async def remove_voter(self, node_id: NodeId, directory_id: bytes = b"", *, timeout_s: float) -> None:
        """Leader only: from now on the node is an observer. A leader that removes itself steps down once that is committed.

        Raises:
            ApiError: VOTER_NOT_FOUND, INVALID_REQUEST (the voters that are left and connected are no majority),
                REQUEST_TIMED_OUT (another change is under way): nothing was changed.
            NotLeaderError, OutcomeUnknownError: as of `propose`.
        """
        ...

    async def barrier(self, *, timeout_s: float) -> RaftIndex:
        """Leader only: when it returns, everything committed before the call has been applied here, and this node still
        led in its own term.

        Raises:
            NotLeaderError, OutcomeUnknownError: no statement can be made.
        """
        ...

    def on_leader_change(self, callback: Callable[[NodeId | None, Term], None]) -> None:
        """Call back, on the loop, whenever `leader_id` or `term` changes."""
        ...

    def on_peer_change(self, callback: Callable[[NodeId, bool], None]) -> None:
        """Call back, on the loop, when the link to another node comes up (True) or is closed (False)."""
        ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...
