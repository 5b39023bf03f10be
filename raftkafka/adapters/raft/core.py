"""The library's Raft as one object: what it asks itself answered differently, what it hides given names.

Floor 4. Beside the list in `library`, nothing else in the repository names a private attribute of pysyncobj. Invariant: this
node commits no entry before it is durable here (the library counts its own copy at once).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from random import Random
from typing import Any

from raftkafka.adapters.raft.library import (
    ENTRIES_MAX,
    FAIL_REASON,
    FOLLOWER,
    Entry,
    Node,
    SyncObj,
    SyncObjConf,
    Transport,
    monotonic,
)
from raftkafka.model.ids import NodeId

Outcome = Callable[[object, int], None]
"""Told the result of apply and a FAIL_REASON."""


class RaftNode(Node):
    """A voter in the library's books; the hash is stable, so that sets of nodes iterate alike in every run."""

    def __init__(self, node_id: NodeId) -> None:
        super().__init__(node_id)

    def __hash__(self) -> int:
        return hash(int(self._id))


class RaftCore(SyncObj):
    """The library's Raft with its clock, chance, log, snapshots and state machine injected.

    `apply` gets (index, entry bytes with the type byte) and returns the result; `durable_index` says how far the local
    log is on the disk, `is_committable` whether a majority of the voters in force holds an entry. The library's constructor reads every attribute of its object: what is not set before it runs is
    a method here, not a property.
    """

    def __init__(
        self,
        *,
        node_id: NodeId,
        others: Iterable[NodeId],
        conf: SyncObjConf,
        transport: Transport,
        random: Random,
        apply: Callable[[int, bytes], object],
        durable_index: Callable[[], int],
        is_committable: Callable[[int], bool],
    ) -> None:
        self._core_random = random
        self._core_apply = apply
        self._core_durable_index = durable_index
        self._core_is_committable = is_committable
        self._core_counting = False
        nodes = [RaftNode(other) for other in others]
        super().__init__(RaftNode(node_id), nodes, conf, transport=transport, nodeClass=RaftNode)
        # The library looks for a dump with os.path; ours is loaded by `load_snapshot`.
        self._SyncObj__needLoadDumpFile = False

    # What the library asks itself, answered differently

    def _SyncObj__generateRaftTimeout(self) -> float:  # noqa: N802
        conf = self.conf
        return float(self._core_random.uniform(conf.raftMinTimeout, conf.raftMaxTimeout))

    def _SyncObj__parseChangeClusterRequest(self, command: bytes) -> None:  # noqa: N802
        """Entries that change the voters are ours; `use_peers` tells the library."""

    def _SyncObj__doApplyCommand(self, command: bytes) -> object:  # noqa: N802
        return self._core_apply(self.applied_index + 1, command)

    def _onTick(self, timeToWait: float = 0.0) -> None:  # noqa: N802, N803
        self._core_counting = True
        super()._onTick(timeToWait)

    def _SyncObj__applyLogEntries(self) -> bool:  # noqa: N802
        self._core_counting = False
        return bool(super()._SyncObj__applyLogEntries())

    def _SyncObj__getEntries(  # noqa: N802
        self,
        fromIDx: int,  # noqa: N803
        count: int | None = None,
        maxSizeBytes: int | None = None,  # noqa: N803
    ) -> list[Entry]:
        # Between the start of a tick and apply, only the count of replicas asks for a single entry: without the entry
        # it does not commit it. So a leader never commits what is not durable on its own disk, and what the library counts,
        # itself in any case, is counted again by the voters in force.
        counted = self._core_counting and count == 1
        if counted and (fromIDx > self._core_durable_index() or not self._core_is_committable(fromIDx)):
            return []
        if maxSizeBytes is not None:
            count = ENTRIES_MAX  # a message; without a count the library would copy the whole rest of the log for it
        entries: list[Entry] = super()._SyncObj__getEntries(fromIDx, count, maxSizeBytes)
        return entries

    # Names for what the mends read and set

    @property
    def term(self) -> int:
        return int(self._SyncObj__raftCurrentTerm)

    @property
    def commit_index(self) -> int:
        return int(self.raftCommitIndex)

    @property
    def applied_index(self) -> int:
        return int(self.raftLastApplied)

    @property
    def is_leader(self) -> bool:
        return bool(self._isLeader())

    def own_id(self) -> NodeId:
        return NodeId(self.selfNode.id)

    def leader_id(self) -> NodeId | None:
        node = self._getLeader()
        return None if node is None else NodeId(node.id)

    def log(self) -> Any:
        """The journal, as a sequence of entries."""
        return self._SyncObj__raftLog

    def last_entry(self) -> Entry:
        entry: Entry = self._SyncObj__raftLog[-1]
        return entry

    def first_index(self) -> int:
        return int(self._SyncObj__raftLog[0][1])

    def term_at(self, index: int) -> int | None:
        """The term of the entry at `index`, None where the log does not have it."""
        log = self._SyncObj__raftLog
        position = index - log[0][1]
        return int(log[position][2]) if 0 <= position < len(log) else None

    def no_op_index(self) -> int | None:
        """Where this node's no-op stands since it was last elected."""
        index = self._SyncObj__noopIDx
        return None if index is None else int(index)

    def match_index(self, node_id: NodeId) -> int:
        return int(self._SyncObj__raftMatchIndex.get(RaftNode(node_id), -1))

    def peer_up(self, node_id: NodeId) -> None:
        """What this peer had acknowledged before may lie on a disk that it has no more: it says it again."""
        self._SyncObj__connectedNodes.add(RaftNode(node_id))
        if RaftNode(node_id) in self._SyncObj__raftMatchIndex:
            self._SyncObj__raftMatchIndex[RaftNode(node_id)] = 0

    def peer_down(self, node_id: NodeId) -> None:
        self._SyncObj__connectedNodes.discard(RaftNode(node_id))

    def use_peers(self, voters: Collection[NodeId], observers: Collection[NodeId]) -> None:
        """Whom a leader sends entries to: the other voters, and connected nodes that only follow (the library's word for
        them is "readonly"). What is known of those that stay is kept."""
        self._SyncObj__otherNodes = {RaftNode(each) for each in voters}
        self._SyncObj__readonlyNodes = {RaftNode(each) for each in observers}
        peers = [RaftNode(each) for each in (*voters, *observers)]
        for book in (self._SyncObj__raftNextIndex, self._SyncObj__raftMatchIndex, self._SyncObj__lastResponseTime):
            for gone in [node for node in book if node not in peers]:
                del book[gone]
        for node in peers:
            if node not in self._SyncObj__raftNextIndex:
                self._SyncObj__raftNextIndex[node] = self.last_entry()[1] + 1
                self._SyncObj__raftMatchIndex[node] = 0
            if node not in self._SyncObj__lastResponseTime:
                self._SyncObj__lastResponseTime[node] = monotonic()

    def append_own(self, command: bytes, outcome: Outcome) -> int:
        """As leader, append an entry now, in the turn in which its conditions were found to hold; its index."""
        index = self.last_entry()[1] + 1
        self._SyncObj__raftLog.add(command, index, self.term)
        self._SyncObj__commandsWaitingCommit[index].append((self.term, outcome))
        return index

    def step_down(self) -> None:
        """Lead no more, in the same term."""
        self._SyncObj__setState(FOLLOWER)
        self._SyncObj__raftLeader = None

    def next_index(self, node_id: NodeId) -> int:
        return int(self._SyncObj__raftNextIndex[RaftNode(node_id)])

    def set_next_index(self, node_id: NodeId, index: int) -> None:
        self._SyncObj__raftNextIndex[RaftNode(node_id)] = index

    def raise_commit_index(self, index: int) -> None:
        self._SyncObj__raftCommitIndex = max(self.commit_index, index)

    def next_due(self) -> float:
        """When the next heartbeat, or the election of a node that hears of no leader, is due by the loop's clock."""
        due = self._SyncObj__newAppendEntriesTime if self._isLeader() else self._SyncObj__raftElectionDeadline
        return float(due)

    def election_deadline(self) -> float:
        return float(self._SyncObj__raftElectionDeadline)

    def set_election_deadline(self, deadline: float) -> None:
        """In seconds of the loop's clock."""
        self._SyncObj__raftElectionDeadline = deadline

    def next_election_timeout(self) -> float:
        return self._SyncObj__generateRaftTimeout()

    def forget_leader(self) -> None:
        self._SyncObj__raftLeader = None

    def adopt_term(self, term: int) -> None:
        """Follow nobody in a term above the own."""
        self._SyncObj__setCurrentTerm(term, None)
        self._SyncObj__setState(FOLLOWER)
        self._SyncObj__raftLeader = None

    # What the driver and the node ask it to do

    def submit(self, payload: bytes, kind: int, outcome: Outcome) -> None:
        self._applyCommand(payload, outcome, kind)

    def receive(self, node_id: NodeId, message: dict[str, object]) -> None:
        self._SyncObj__onMessageReceived(RaftNode(node_id), message)

    def send_append_entries(self) -> None:
        self._SyncObj__sendAppendEntries()

    def use_serializer(self, serializer: object) -> None:
        self._SyncObj__serializer = serializer

    def load_snapshot(self) -> None:
        self._SyncObj__loadDumpFile(clearJournal=False)

    def request_snapshot(self) -> None:
        self._SyncObj__forceLogCompaction = True

    def refuse_forwarded(self, request_id: int | None) -> None:
        """A command the library wanted to forward to the leader was not sent."""
        outcome = self._SyncObj__commandsWaitingReply.pop(request_id, None)
        if outcome is not None:
            outcome(None, FAIL_REASON.NOT_LEADER)

    def skipped_outcomes(self) -> list[Outcome]:
        """Take out the callbacks of entries that a snapshot has skipped: the library will never call them."""
        waiting = self._SyncObj__commandsWaitingCommit
        skipped = [index for index in waiting if index <= self.applied_index]
        return [outcome for index in sorted(skipped) for _, outcome in waiting.pop(index)]
