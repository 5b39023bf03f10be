"""The parts of one voter, loaded from its disk and put together.

Floor 4. Order matters: the snapshot first, the journal second and aligned to it, then the library on both; nothing of it
touches the network before all are there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from raftkafka.adapters.raft import mends as faults
from raftkafka.adapters.raft.core import RaftCore
from raftkafka.adapters.raft.driver import Driver
from raftkafka.adapters.raft.journal import Journal
from raftkafka.adapters.raft.library import COMMAND_REGULAR, SyncObjConf
from raftkafka.adapters.raft.mends import Mends
from raftkafka.adapters.raft.network import Network
from raftkafka.adapters.raft.prevote import PreVote
from raftkafka.adapters.raft.proposals import PROPOSALS_MAX
from raftkafka.adapters.raft.serializer import LibraryJournal, SnapshotSerializer
from raftkafka.adapters.raft.snapshot import SnapshotStore
from raftkafka.adapters.raft.transport import RaftTransport
from raftkafka.adapters.raft.voters import Quorum
from raftkafka.model.errors import StartupError
from raftkafka.model.ids import NodeId, RaftIndex
from raftkafka.model.settings.values import ControllerSettings
from raftkafka.ports.consensus import StateMachine
from raftkafka.ports.disk import Disk
from raftkafka.ports.probe import Probe

LEADER_FALLBACK_S: Final = 0.8
"""A leader that has not heard from a majority for so long leads no more (mend 12; the library's default is 30 s)."""
SNAPSHOT_INTERVAL_S: Final = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a voter is given. `on_failure` stops it; `after_turn` is called whenever the library is at rest."""

    node_id: NodeId
    quorum: Quorum
    settings: ControllerSettings
    directory: str
    disk: Disk
    machine: StateMachine
    probe: Probe
    random: Random
    network: Network
    mends: Mends
    append_batch_bytes: int
    snapshot_chunk_bytes: int
    after_turn: Callable[[], None]
    on_failure: Callable[[BaseException], None]


class Parts:
    """`await Parts.load(...)`; then `driver.start()`."""

    core: RaftCore
    journal: Journal
    transport: RaftTransport
    serializer: SnapshotSerializer
    driver: Driver | None = None

    @classmethod
    async def load(cls, given: Surroundings) -> Parts:
        """Raises StartupError for files that are damaged or do not belong together, StorageError for a failing disk."""
        parts = cls()
        failures: list[BaseException] = []

        def on_failure(error: BaseException) -> None:
            failures.append(error)
            if parts.driver is not None:
                given.on_failure(error)

        store = SnapshotStore(given.disk, given.directory)
        snapshot = store.load()
        parts.journal = Journal(
            given.disk, given.directory, probe=given.probe, on_durable=parts.kick, on_failure=on_failure
        )
        await parts.journal.open()
        if snapshot is None:
            faults.check_whole(parts.journal)
        elif given.mends.align_journal:
            faults.align_journal(parts.journal, snapshot)
        if snapshot is not None:
            given.quorum.book.restored(snapshot.index, snapshot.voters)
        for entry in parts.journal.entries:
            given.quorum.book.appended(entry)
        parts._make_core(given, commit_index=1 if snapshot is None else snapshot.index)
        parts.serializer = SnapshotSerializer(
            store=store,
            machine=given.machine,
            book=given.quorum.book,
            applied_index=lambda: parts.core.applied_index,
            on_failure=on_failure,
            on_written=parts.kick,
            refuse_bad=given.mends.refuse_bad_snapshots,
        )
        parts.core.use_serializer(parts.serializer)
        if snapshot is not None:
            parts.serializer.prepare(snapshot)
            parts.core.load_snapshot()
        if failures:
            raise StartupError(f"Raft cannot start from {given.directory}: {failures[0]}")
        parts._make_driver(given, on_failure)
        return parts

    def _make_core(self, given: Surroundings, *, commit_index: int) -> None:
        loop = asyncio.get_running_loop()
        self.transport = RaftTransport(
            network=given.network,
            journal=self.journal,
            quorum=given.quorum,
            mends_in_force=given.mends,
            now=loop.time,
            chunk_bytes=given.snapshot_chunk_bytes,
        )

        def apply(index: int, entry: bytes) -> object:
            return given.machine.apply(RaftIndex(index), entry[1:]) if entry[0] == COMMAND_REGULAR else index

        def durable_index() -> int:
            return self.journal.durable_index if given.mends.own_sync_counts else self.journal.entries[-1][1]

        def is_committable(index: int) -> bool:
            holders = [each for each in quorum.others if quorum.counts(each) and self.core.match_index(each) >= index]
            return quorum.is_majority({*holders, *quorum.own})

        quorum = given.quorum
        log = LibraryJournal(self.journal, book=quorum.book, commit_index=commit_index)
        self.core = RaftCore(
            node_id=given.node_id,
            others=quorum.others,
            conf=_configuration(given, log),
            transport=self.transport,
            random=given.random,
            apply=apply,
            durable_index=durable_index,
            is_committable=is_committable,
        )
        if quorum.is_voter and not quorum.others:
            # Nobody to wait for.
            self.core.set_election_deadline(loop.time() - 1)

    def _make_driver(self, given: Surroundings, on_failure: Callable[[BaseException], None]) -> None:
        pre_vote = PreVote(
            core=self.core,
            quorum=given.quorum,
            silence_s=given.settings.election_timeout_min_ms / 1000,
            random=given.random,
            send=given.network.send,
        )
        self.transport.attach(self.core, pre_vote)
        self.driver = Driver(
            core=self.core,
            transport=self.transport,
            journal=self.journal,
            pre_vote=pre_vote if given.mends.pre_vote else None,
            after_turn=given.after_turn,
            on_failure=on_failure,
        )

    def kick(self) -> None:
        if self.driver is not None:
            self.driver.kick()


def _configuration(given: Surroundings, journal: LibraryJournal) -> SyncObjConf:
    settings = given.settings
    if not 3 * settings.raft_heartbeat_ms < settings.election_timeout_min_ms < settings.election_timeout_max_ms:
        raise StartupError(
            f"an election timeout of {settings.election_timeout_min_ms} to {settings.election_timeout_max_ms} ms does not "
            f"allow three heartbeats of {settings.raft_heartbeat_ms} ms "
            "(controller.quorum.election.timeout.ms, controller.quorum.heartbeat.interval.ms)"
        )
    election_max_s = settings.election_timeout_max_ms / 1000
    return SyncObjConf(
        journalFile=journal,
        autoTick=False,
        useFork=False,
        dynamicMembershipChange=False,
        commandsWaitLeader=False,
        commandsQueueSize=PROPOSALS_MAX,
        raftMinTimeout=settings.election_timeout_min_ms / 1000,
        raftMaxTimeout=election_max_s,
        connectionTimeout=max(3.5, election_max_s),
        appendEntriesPeriod=settings.raft_heartbeat_ms / 1000,
        appendEntriesBatchSizeBytes=given.append_batch_bytes,
        leaderFallbackTimeout=max(LEADER_FALLBACK_S, 2 * election_max_s),
        logCompactionMinEntries=max(2, settings.snapshot_min_entries),
        logCompactionMinTime=SNAPSHOT_INTERVAL_S,
    )
