"""One voter without a network: what it would send is in a list, what it receives the test makes up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from raftkafka.adapters.raft.core import RaftCore
from raftkafka.adapters.raft.journal import Journal
from raftkafka.adapters.raft.library import Entry, SyncObjConf
from raftkafka.adapters.raft.mends import Mends
from raftkafka.adapters.raft.messages import Message, Vote
from raftkafka.adapters.raft.prevote import PreVote
from raftkafka.adapters.raft.serializer import LibraryJournal, SnapshotSerializer
from raftkafka.adapters.raft.snapshot import SnapshotStore
from raftkafka.adapters.raft.transport import RaftTransport
from raftkafka.adapters.raft.voters import Quorum, VoterBook
from raftkafka.model.ids import NodeId, RaftIndex
from raftkafka.ports.consensus import RaftVoter
from raftkafka.ports.probe import NullProbe
from tests.simulation.raft.disk import SimDisk


@dataclass
class FakeNetwork:
    sent: list[tuple[int, Message]] = field(default_factory=list)
    links: dict[int, object] = field(default_factory=dict)

    def send(self, voter: NodeId, message: Message) -> bool:
        self.sent.append((voter, message))
        return True

    def link_of(self, voter: NodeId) -> object:
        return self.links.setdefault(voter, object())

    def take(self, kind: type, *, to: int | None = None) -> list[Message]:
        """What was sent of this kind since the last call, which also forgets everything else."""
        found = [message for voter, message in self.sent if isinstance(message, kind) and to in (None, voter)]
        self.sent.clear()
        return found


@dataclass
class ListMachine:
    applied: list[tuple[int, bytes]] = field(default_factory=list)

    def apply(self, index: RaftIndex, command: bytes) -> object:
        self.applied.append((index, command))
        return index

    def snapshot(self) -> list[bytes]:
        return [b"\n".join(command for _, command in self.applied)]

    def restore(self, index: RaftIndex, snapshot: bytes) -> None:
        self.applied = [(index, snapshot)]


class LoneVoter:
    """Node 1 of a cluster; `open` it in a test's loop, then give it messages and ticks."""

    def __init__(self, *, others: tuple[int, ...] = (2, 3), mends: Mends | None = None, disk: SimDisk | None = None):
        self.others = tuple(NodeId(other) for other in others)
        self.mends = mends or Mends()
        self.disk = disk or SimDisk(Random(1))
        self.disk.sync_s = (0, 0)
        self.network = FakeNetwork()
        self.machine = ListMachine()
        self.failures: list[BaseException] = []
        self.directories: dict[int, bytes] = {}
        self.now = 0.0

    async def open(self, *, entries: tuple[Entry, ...] = (), term: int = 0, restarted: bool = False) -> LoneVoter:
        self.journal = Journal(
            self.disk,  # type: ignore[arg-type]
            "/raft",
            probe=NullProbe(),
            on_durable=lambda: None,
            on_failure=self.failures.append,
        )
        await self.journal.open()
        self.journal.is_new = not restarted
        if entries:
            self.journal.append((b"\x01", 1, 0))
        for entry in entries:
            self.journal.append(entry)
        self.journal.set_term(term, None)
        voters = [RaftVoter(node_id=NodeId(each), host=f"node{each}", port=9093) for each in (1, *self.others)]
        self.book = VoterBook(voters, lambda: self.transport.regroup())
        self.quorum = Quorum(
            node_id=NodeId(1),
            directory_id=lambda: b"1" * 16,
            book=self.book,
            directory_of=lambda node_id: self.directories.get(node_id, b"%d" % node_id * 16),
        )
        self.transport = RaftTransport(
            network=self.network,  # type: ignore[arg-type]
            journal=self.journal,
            quorum=self.quorum,
            mends_in_force=self.mends,
            now=lambda: self.now,
        )
        self.core = RaftCore(
            node_id=NodeId(1),
            others=self.others,
            conf=SyncObjConf(
                journalFile=LibraryJournal(self.journal, book=self.book, commit_index=1),
                autoTick=False,
                raftMinTimeout=0.2,
                raftMaxTimeout=0.4,
                appendEntriesPeriod=0.05,
                commandsWaitLeader=False,
                useFork=False,
            ),
            transport=self.transport,
            random=Random(1),
            apply=lambda index, entry: self.machine.apply(RaftIndex(index), entry),
            durable_index=lambda: (
                self.journal.durable_index if self.mends.own_sync_counts else self.journal.entries[-1][1]
            ),
            is_committable=lambda index: self.quorum.is_majority(
                {
                    *self.quorum.own,
                    *(each for each in self.quorum.others if self.core.match_index(each) >= index),
                }
            ),
        )
        self.store = SnapshotStore(self.disk, "/raft")  # type: ignore[arg-type]
        self.serializer = SnapshotSerializer(
            store=self.store,
            machine=self.machine,
            book=self.book,
            applied_index=lambda: self.core.applied_index,
            on_failure=self.failures.append,
            on_written=lambda: None,
            refuse_bad=self.mends.refuse_bad_snapshots,
        )
        self.core.use_serializer(self.serializer)
        self.pre_vote = PreVote(
            core=self.core,
            quorum=self.quorum,
            silence_s=0.2,
            random=Random(1),
            send=self.network.send,
        )
        self.transport.attach(self.core, self.pre_vote)
        for other in self.others:
            self.transport.peer_changed(other, True)
        await self.settle()
        return self

    def receive(self, voter: int, message: Message) -> None:
        self.transport.receive(NodeId(voter), message)

    async def settle(self) -> None:
        """Let the journal become durable."""
        self.journal.kick()
        if self.journal._sync_task is not None:
            await self.journal._sync_task

    async def lead(self) -> int:
        """Win an election; returns the term."""
        self.core.set_election_deadline(-1)
        self.core.doTick(0.0)
        await self.settle()
        for voter in self.others[: len(self.others) // 2 + 1]:
            self.receive(voter, Vote(term=self.core.term))
        assert self.core.is_leader
        await self.settle()
        self.network.sent.clear()
        return self.core.term


@pytest.fixture
def disk() -> SimDisk:
    """Loses at `power_loss` what was not synced; syncs take no time."""
    disk = SimDisk(Random(3))
    disk.sync_s = (0, 0)
    return disk


@pytest.fixture
def lone_voter() -> Callable[..., LoneVoter]:
    return LoneVoter


def entries(first: int, last: int, term: int) -> tuple[Entry, ...]:
    return tuple((b"\x00%d" % index, index, term) for index in range(first, last + 1))


@pytest.fixture(name="entries")
def entries_fixture() -> Callable[[int, int, int], tuple[Entry, ...]]:
    """Entries `first` to `last`, both included, of one term."""
    return entries
