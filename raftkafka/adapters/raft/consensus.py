"""`ports.consensus.Consensus` on pysyncobj: what the rest of the node sees of Raft.

Floor 4. Puts the parts of this package together and owns their order of life. Invariants: a proposal is answered once,
and never as failed when it may still be applied (I18); a new leader is announced here only after its own no-op has been
applied, so that whoever hears of it may act at once; after a failure of the disk, of apply or of an invariant nothing
leaves this node any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import Random
from typing import Final

from raftkafka.adapters.raft import mends as faults
from raftkafka.adapters.raft.core import RaftCore
from raftkafka.adapters.raft.driver import Driver
from raftkafka.adapters.raft.journal import Journal
from raftkafka.adapters.raft.library import COMMAND_NO_OP, COMMAND_REGULAR, FAIL_REASON, SyncObjConf, check_library
from raftkafka.adapters.raft.mends import Mends
from raftkafka.adapters.raft.messages import COMMAND_MAX_BYTES, Message
from raftkafka.adapters.raft.network import Network
from raftkafka.adapters.raft.prevote import PreVote
from raftkafka.adapters.raft.serializer import LibraryJournal, SnapshotSerializer
from raftkafka.adapters.raft.snapshot import SnapshotStore
from raftkafka.adapters.raft.transfer import CHUNK_BYTES
from raftkafka.adapters.raft.transport import RaftTransport
from raftkafka.model.errors import RaftKafkaError, StartupError
from raftkafka.model.ids import NodeId, RaftIndex, Term
from raftkafka.model.settings.values import ControllerSettings, Listener, Voter
from raftkafka.ports.consensus import NotLeaderError, OutcomeUnknownError, StateMachine, VoterState
from raftkafka.ports.disk import Disk, Lock
from raftkafka.ports.probe import Probe

_log = logging.getLogger("raftkafka.raft")

PROPOSALS_MAX: Final = 10_000
LEADER_FALLBACK_S: Final = 0.8
"""A leader that has not heard from a majority for so long leads no more (mend 12; the library's default is 30 s)."""
APPEND_BATCH_BYTES: Final = 2 << 20
"""More than any command: an entry as large as this would be sent in pickled parts."""
SNAPSHOT_INTERVAL_S: Final = 3_600

_NOT_APPLIED: Final = frozenset(
    {
        FAIL_REASON.QUEUE_FULL,
        FAIL_REASON.MISSING_LEADER,
        FAIL_REASON.NOT_LEADER,
        FAIL_REASON.REQUEST_DENIED,
        FAIL_REASON.DISCARDED,
    }
)


class RaftConsensus:
    """A voter. `voters` names all of them, this node included; none or only this node is a cluster of one.

    `listen` None binds this node's own entry in `voters`. `on_fatal` is called once, on the loop, with what makes going
    on impossible; the node neither sends nor accepts anything from then on. Only tests give `mends`, and make the sizes
    small.
    """

    def __init__(
        self,
        *,
        node_id: NodeId,
        cluster_secret: bytes,
        voters: tuple[Voter, ...],
        listen: Listener | None,
        settings: ControllerSettings,
        directory: str,
        disk: Disk,
        machine: StateMachine,
        probe: Probe,
        random: Random,
        on_fatal: Callable[[BaseException], None] | None = None,
        mends: Mends | None = None,
        append_batch_bytes: int = APPEND_BATCH_BYTES,
        snapshot_chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._node_id = node_id
        self._own = next((voter for voter in voters if voter.node_id == node_id), None)
        self._others = tuple(voter for voter in voters if voter.node_id != node_id)
        self._listen = listen
        self._settings = settings
        self._directory = directory
        self._disk = disk
        self._machine = machine
        self._probe = probe
        self._random = random
        self._on_fatal = on_fatal
        self._append_batch_bytes = append_batch_bytes
        self._snapshot_chunk_bytes = snapshot_chunk_bytes
        self._mends = mends if mends is not None else Mends()
        self._network = Network(
            node_id=node_id,
            cluster_secret=cluster_secret,
            others=self._others,
            random=random,
            on_message=self._message,
            on_peer=self._peer,
        )
        self._leader_callbacks: list[Callable[[NodeId | None, Term], None]] = []
        self._peer_callbacks: list[Callable[[NodeId, bool], None]] = []
        self._announced: tuple[NodeId | None, int] = (None, 0)
        self._waiting: set[asyncio.Future[object]] = set()
        self._core: RaftCore | None = None
        self._driver: Driver | None = None
        self._lock: Lock | None = None
        self._failure: BaseException | None = None

    # Life

    async def start(self) -> None:
        """Bind the controller listener, load what is on the disk, and take part.

        Raises:
            StartupError: the port is in use, the files are damaged or in use, or the library is not the expected one.
        """
        check_library()
        if self._others and self._own is None:
            raise StartupError(f"node {self._node_id} is not one of controller.quorum.voters")
        self._loop = asyncio.get_running_loop()
        self._disk.make_dir(self._directory)
        self._lock = self._disk.lock(f"{self._directory}/lock")
        try:
            if self._others:
                await self._network.listen(self._listener())
            await self._load()
        except RaftKafkaError:
            await self._network.stop()
            self._lock.release()
            raise
        assert self._driver is not None
        self._network.start()
        self._driver.start()

    def _listener(self) -> Listener:
        if self._listen is not None:
            return self._listen
        assert self._own is not None
        return Listener(name="CONTROLLER", host=self._own.host, port=self._own.port)

    async def _load(self) -> None:
        store = SnapshotStore(self._disk, self._directory)
        snapshot = store.load()
        self._journal = Journal(
            self._disk, self._directory, probe=self._probe, on_durable=self._kick, on_failure=self._fail
        )
        await self._journal.open()
        if snapshot is not None and self._mends.align_journal:
            faults.align_journal(self._journal, snapshot)
        elif snapshot is None:
            faults.check_whole(self._journal)
        commit_index = 1 if snapshot is None else snapshot.index
        self._transport = RaftTransport(
            network=self._network,
            journal=self._journal,
            mends_in_force=self._mends,
            now=self._loop.time,
            chunk_bytes=self._snapshot_chunk_bytes,
        )
        others = [voter.node_id for voter in self._others]
        core = RaftCore(
            node_id=self._node_id,
            others=others,
            conf=self._conf(LibraryJournal(self._journal, commit_index=commit_index)),
            transport=self._transport,
            random=self._random,
            apply=self._apply,
            durable_index=self._durable_index,
        )
        self._serializer = SnapshotSerializer(
            store=store,
            machine=self._machine,
            applied_index=lambda: core.applied_index,
            on_failure=self._fail,
            on_written=self._kick,
            refuse_bad=self._mends.refuse_bad_snapshots,
        )
        core.use_serializer(self._serializer)
        if snapshot is not None:
            self._serializer.prepare(snapshot)
            core.load_snapshot()
            if self._failure is not None:
                raise StartupError(f"the snapshot of the metadata cannot be restored: {self._failure}")
        if not others:
            # Nobody to wait for.
            core.set_election_deadline(self._loop.time() - 1)
        pre_vote = PreVote(
            core=core,
            others=others,
            silence_s=self._settings.election_timeout_min_ms / 1000,
            random=self._random,
            send=self._network.send,
        )
        self._transport.attach(core, pre_vote)
        self._core = core
        self._announced = (None, core.term)
        self._driver = Driver(
            core=core,
            transport=self._transport,
            journal=self._journal,
            pre_vote=pre_vote if self._mends.pre_vote else None,
            after_turn=self._after_turn,
            on_failure=self._fail,
        )

    def _conf(self, journal: LibraryJournal) -> SyncObjConf:
        settings = self._settings
        return SyncObjConf(
            journalFile=journal,
            autoTick=False,
            useFork=False,
            dynamicMembershipChange=False,
            commandsWaitLeader=False,
            commandsQueueSize=PROPOSALS_MAX,
            raftMinTimeout=settings.election_timeout_min_ms / 1000,
            raftMaxTimeout=settings.election_timeout_max_ms / 1000,
            connectionTimeout=max(3.5, settings.election_timeout_max_ms / 1000),
            appendEntriesPeriod=settings.raft_heartbeat_ms / 1000,
            appendEntriesBatchSizeBytes=self._append_batch_bytes,
            leaderFallbackTimeout=max(LEADER_FALLBACK_S, 2 * settings.election_timeout_max_ms / 1000),
            logCompactionMinEntries=settings.snapshot_min_entries,
            logCompactionMinTime=SNAPSHOT_INTERVAL_S,
        )

    async def stop(self) -> None:
        """Leave at once; what is proposed and not answered is of unknown outcome."""
        if self._driver is None:
            return
        self._driver.stop()
        self._driver = None
        await self._network.stop()
        self._give_up("this node is stopping")
        await self._serializer.stop()
        await self._journal.close()
        if self._lock is not None:
            self._lock.release()

    def _fail(self, error: BaseException) -> None:
        """Nothing leaves this node any more: what it would say might rest on what it has lost."""
        if self._failure is not None:
            return
        self._failure = error
        _log.critical("Raft stops on node %d: %s", self._node_id, error)
        if self._driver is not None:
            self._driver.stop()
        self._network.halt()
        self._give_up(f"Raft has stopped on this node: {error}")
        if self._on_fatal is not None:
            self._on_fatal(error)
        else:
            self._loop.call_exception_handler({"message": "Raft stops", "exception": error})

    def _give_up(self, reason: str) -> None:
        for future in list(self._waiting):
            if not future.done():
                future.set_exception(OutcomeUnknownError(reason))

    # Proposals

    async def propose(self, command: bytes, *, timeout_s: float) -> object:
        """See `ports.consensus`; a proposal that outlives its leader is answered when its fate is known, if in time."""
        if len(command) > COMMAND_MAX_BYTES:
            raise ValueError(f"a command of {len(command)} bytes exceeds the limit of {COMMAND_MAX_BYTES}")
        return await self._submit(command, COMMAND_REGULAR, timeout_s)

    async def barrier(self, *, timeout_s: float) -> RaftIndex:
        """See `ports.consensus`: an empty entry, committed in the own term."""
        index = await self._submit(b"", COMMAND_NO_OP, timeout_s)
        assert isinstance(index, int)
        return RaftIndex(index)

    async def _submit(self, payload: bytes, kind: int, timeout_s: float) -> object:
        if self._core is None or self._driver is None or self._failure is not None or not self._core.is_leader:
            raise NotLeaderError(f"node {self._node_id} does not lead Raft")
        if len(self._waiting) >= PROPOSALS_MAX:
            raise NotLeaderError(f"{PROPOSALS_MAX} proposals are waiting")
        future: asyncio.Future[object] = self._loop.create_future()
        self._waiting.add(future)
        started = self._loop.time()
        self._core.submit(payload, kind, lambda result, reason: _resolve(future, result, reason))
        self._driver.kick()
        try:
            async with asyncio.timeout(timeout_s):
                result = await future
        except TimeoutError as error:
            raise OutcomeUnknownError(f"not committed within {timeout_s} s") from error
        finally:
            self._waiting.discard(future)
        self._probe.raft_commit(self._loop.time() - started)
        return result

    # From the parts

    def _apply(self, index: int, entry: bytes) -> object:
        if entry[0] != COMMAND_REGULAR:
            return index
        return self._machine.apply(RaftIndex(index), entry[1:])

    def _durable_index(self) -> int:
        if not self._mends.own_sync_counts:
            return self._journal.entries[-1][1]
        return self._journal.durable_index

    def _kick(self) -> None:
        if self._driver is not None:
            self._driver.kick()

    def _message(self, voter: NodeId, message: Message) -> None:
        if self._failure is not None or self._driver is None:
            return
        try:
            self._transport.receive(voter, message)
        except BaseException as error:
            self._fail(error)
            raise
        self._driver.kick()

    def _peer(self, voter: NodeId, connected: bool) -> None:
        if self._driver is None:
            return
        self._transport.peer_changed(voter, connected)
        for callback in self._peer_callbacks:
            callback(voter, connected)
        self._driver.kick()

    def _after_turn(self) -> None:
        core = self._core
        assert core is not None
        for outcome in core.skipped_outcomes():
            outcome(None, FAIL_REASON.UNKNOWN_OUTCOME)
        leader = core.leader_id()
        if leader == self._node_id and not self._has_applied_no_op(core):
            leader = None
        if (leader, core.term) != self._announced:
            self._announced = (leader, core.term)
            _log.info("term %d: %s", core.term, "no leader" if leader is None else f"node {leader} leads")
            for callback in self._leader_callbacks:
                callback(leader, Term(core.term))

    @staticmethod
    def _has_applied_no_op(core: RaftCore) -> bool:
        no_op = core.no_op_index()
        return core.is_leader and no_op is not None and core.applied_index >= no_op

    # What others may know

    @property
    def node_id(self) -> NodeId:
        return self._node_id

    @property
    def port(self) -> int | None:
        """Of the controller listener, also where port 0 was asked for; None where there is none."""
        return self._network.port

    @property
    def leader_id(self) -> NodeId | None:
        return None if self._core is None else self._core.leader_id()

    @property
    def is_leader(self) -> bool:
        return self._core is not None and self._core.is_leader and self._failure is None

    @property
    def term(self) -> Term:
        return Term(0 if self._core is None else self._core.term)

    @property
    def commit_index(self) -> RaftIndex:
        return RaftIndex(0 if self._core is None else self._core.commit_index)

    @property
    def applied_index(self) -> RaftIndex:
        return RaftIndex(0 if self._core is None else self._core.applied_index)

    def voters(self) -> tuple[VoterState, ...]:
        """All voters, by id; other voters' match indexes only while this node leads."""
        connected = self._network.connected
        leads = self.is_leader
        states = [
            VoterState(
                node_id=voter.node_id,
                match_index=RaftIndex(self._core.match_index(voter.node_id) if leads and self._core else -1),
                connected=voter.node_id in connected,
            )
            for voter in self._others
        ]
        own_index = -1 if self._core is None else self._journal.durable_index
        states.append(VoterState(node_id=self._node_id, match_index=RaftIndex(own_index), connected=True))
        return tuple(sorted(states, key=lambda state: state.node_id))

    @property
    def waiting_for(self) -> str | None:
        """What keeps this node from knowing a leader, in words for its operator; None when it knows one."""
        if self._announced[0] is not None:
            return None
        connected = self._network.connected
        if 2 * (len(connected) + 1) > len(self._others) + 1:
            return "waiting for the election of a controller"
        missing = ", ".join(
            f"{voter.node_id}@{voter.host}:{voter.port}" for voter in self._others if voter.node_id not in connected
        )
        return (
            f"waiting for a majority: connected to {len(connected)} of {len(self._others)} other voters "
            f"(missing {missing})"
        )

    def on_leader_change(self, callback: Callable[[NodeId | None, Term], None]) -> None:
        self._leader_callbacks.append(callback)

    def on_peer_change(self, callback: Callable[[NodeId, bool], None]) -> None:
        self._peer_callbacks.append(callback)


def _resolve(future: asyncio.Future[object], result: object, reason: int) -> None:
    """Called by the library while it applies: nothing may be raised here, or it would apply the entry again."""
    if future.done():
        return
    if reason == FAIL_REASON.SUCCESS:
        future.set_result(result)
    elif reason in _NOT_APPLIED:
        future.set_exception(NotLeaderError("another leader took over before this was replicated"))
    else:
        future.set_exception(OutcomeUnknownError("leadership was lost while this was under way"))
