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

from raftkafka.adapters.raft.core import RaftCore
from raftkafka.adapters.raft.directory import load_directory_id
from raftkafka.adapters.raft.library import COMMAND_NO_OP, COMMAND_REGULAR, check_library
from raftkafka.adapters.raft.mends import Mends
from raftkafka.adapters.raft.messages import COMMAND_MAX_BYTES, Message, VotersHint
from raftkafka.adapters.raft.network import Network
from raftkafka.adapters.raft.parts import Parts, Surroundings
from raftkafka.adapters.raft.proposals import Proposals
from raftkafka.adapters.raft.transfer import CHUNK_BYTES
from raftkafka.adapters.raft.voter_changes import VoterChanges
from raftkafka.adapters.raft.voters import Quorum, VoterBook, VoterSet, decode, encode
from raftkafka.model.errors import (
    CorruptionError,
    InvariantViolationError,
    ProtocolError,
    RaftKafkaError,
    StorageError,
)
from raftkafka.model.ids import NodeId, RaftIndex, Term
from raftkafka.model.settings.values import ControllerSettings, Listener, Voter
from raftkafka.ports.consensus import NotLeaderError, RaftVoter, StateMachine, VoterState
from raftkafka.ports.disk import Disk, Lock
from raftkafka.ports.probe import Probe
from raftkafka.wire.node_auth import NodeIdentity

_log = logging.getLogger("raftkafka.raft")

APPEND_BATCH_BYTES: Final = 2 << 20
"""More than any command: an entry as large as this would be sent in pickled parts."""


class RaftConsensus:
    """A voter, or an observer, which follows the log without a vote. `voters` names those that begin the cluster; none or
    only this node is a cluster of one. Later the log says who votes.

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
        cluster_id: Callable[[], str] = lambda: "",
        on_fatal: Callable[[BaseException], None] | None = None,
        mends: Mends | None = None,
        append_batch_bytes: int = APPEND_BATCH_BYTES,
        snapshot_chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._node_id = node_id
        alone = Voter(node_id=node_id, host="", port=0)
        bootstrap = [RaftVoter(node_id=each.node_id, host=each.host, port=each.port) for each in voters or (alone,)]
        self._own = next((voter for voter in voters if voter.node_id == node_id), None)
        self._book = VoterBook(bootstrap, self._voters_changed)
        self._hint: tuple[int, VoterSet] = (0, ())
        self._cluster_id = cluster_id
        self._directory_id = b""
        self._listen = listen
        self._disk = disk
        self._directory = directory
        self._probe = probe
        self._on_fatal = on_fatal
        self._network = Network(
            node_id=node_id,
            cluster_secret=cluster_secret,
            identity=lambda: NodeIdentity(cluster_id=self._cluster_id(), directory_id=self._directory_id),
            random=random,
            on_message=self._message,
            on_peer=self._peer,
        )
        self._quorum = Quorum(
            node_id=node_id,
            directory_id=lambda: self._directory_id,
            book=self._book,
            directory_of=self._network.directory_of,
        )
        self._new_directory_id = random.getrandbits(128).to_bytes(16)
        self._surroundings = Surroundings(
            node_id=node_id,
            quorum=self._quorum,
            settings=settings,
            directory=directory,
            disk=disk,
            machine=machine,
            probe=probe,
            random=random,
            network=self._network,
            mends=mends if mends is not None else Mends(),
            append_batch_bytes=append_batch_bytes,
            snapshot_chunk_bytes=snapshot_chunk_bytes,
            after_turn=self._after_turn,
            on_failure=self._fail,
        )
        self._proposals = Proposals()
        self._changes = VoterChanges(
            quorum=self._quorum,
            network=self._network,
            core=lambda: self._parts.core if self._running and self._parts is not None else None,
        )
        self._leader_callbacks: list[Callable[[NodeId | None, Term], None]] = []
        self._peer_callbacks: list[Callable[[NodeId, bool], None]] = []
        self._announced: tuple[NodeId | None, int] = (None, 0)
        self._parts: Parts | None = None
        self._running = False
        self._failure: BaseException | None = None

    # Life

    async def start(self) -> None:
        """Bind the controller listener, load what is on the disk, and take part.

        Raises:
            StartupError: the port is in use, the files are damaged or in use, or the library is not the expected one.
        """
        check_library()
        self._loop = asyncio.get_running_loop()
        self._disk.make_dir(self._directory)
        self._lock: Lock = self._disk.lock(f"{self._directory}/lock")
        try:
            self._directory_id = load_directory_id(self._disk, self._directory, self._new_directory_id)
            listener = self._listener()
            if listener is not None:
                await self._network.listen(listener)
            self._parts = await Parts.load(self._surroundings)
        except RaftKafkaError:
            await self._network.stop()
            self._lock.release()
            raise
        assert self._parts.driver is not None
        self._announced = (None, self._parts.core.term)
        self._running = True
        self._dial()
        self._network.start()
        self._parts.driver.start()

    def _listener(self) -> Listener | None:
        """None where nobody can come: a node alone, or an observer without a listener of its own."""
        if self._listen is not None or self._own is None:
            return self._listen
        return Listener(name="CONTROLLER", host=self._own.host, port=self._own.port)

    def _dial(self) -> None:
        others = [each for each in self._book.current if each.node_id != self._node_id]
        votes = len(others) < len(self._book.current)
        if self._hint[0] > self._book.index:
            # All voters that this node knows of may have been replaced while it was away.
            known = {each.node_id for each in (*others, *self._book.current)}
            others += [each for each in self._hint[1] if each.node_id not in known and each.node_id != self._node_id]
        self._network.dial(
            others, patiently=[each.node_id for each in others if votes and each.node_id > self._node_id]
        )

    @property
    def _lacks_directories(self) -> bool:
        return any(not each.directory_id for each in self._book.current)

    def _voters_changed(self) -> None:
        """The log has named another set: from this moment on it is the one in force."""
        if self._parts is None or not self._running:
            return
        _log.info("voters from entry %d on: %s", self._book.index, [each.node_id for each in self._book.current])
        if self._quorum.is_replaced:
            _log.error(
                "node %d is a voter with another disk than this one: it follows without a vote until it is removed from "
                "the voters and added again",
                self._node_id,
            )
        self._parts.transport.regroup()
        self._dial()
        for node_id in sorted(self._network.connected):
            self._tell_voters(node_id)

    def _tell_voters(self, node_id: NodeId) -> None:
        if self._book.index:
            self._network.send(node_id, VotersHint(index=self._book.index, voters=encode(self._book.current)))

    def _on_hint(self, hint: VotersHint) -> None:
        try:
            voters = decode(hint.voters)
        except CorruptionError as error:
            raise ProtocolError(str(error)) from error
        if hint.index > max(self._hint[0], self._book.index):
            self._hint = hint.index, voters
            self._dial()

    async def stop(self) -> None:
        """Leave at once; what is proposed and not answered is of unknown outcome."""
        parts, self._parts = self._parts, None
        if parts is None:
            return
        self._halt(parts)
        await self._network.stop()
        self._proposals.give_up("this node is stopping")
        await parts.serializer.stop()
        await parts.journal.close()
        self._lock.release()

    def _halt(self, parts: Parts) -> None:
        self._running = False
        if parts.driver is not None:
            parts.driver.stop()

    async def check_disk(self) -> None:
        """Stop when Raft's directory has disappeared: a vote that the next start does not find would be given twice.

        Whatever changes is checked before it leaves this node; this is for one that has nothing to write for long.
        """
        if self._parts is not None:
            try:
                self._parts.journal.check()
            except StorageError as error:
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Nothing leaves this node any more: what it would say might rest on what it has lost."""
        if self._failure is not None:
            return
        self._failure = error
        _log.critical("Raft stops on node %d: %s", self._node_id, error)
        if self._parts is not None:
            self._halt(self._parts)
        self._network.halt()
        self._proposals.give_up(f"Raft has stopped on this node: {error}")
        if self._on_fatal is not None:
            self._on_fatal(error)
        else:
            self._loop.call_exception_handler({"message": "Raft stops", "exception": error})

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
        parts = self._parts
        if parts is None or not self.is_leader:
            raise NotLeaderError(f"node {self._node_id} does not lead Raft")
        started = self._loop.time()
        future = self._proposals.submit(parts.core, payload, kind)
        parts.kick()
        result = await self._proposals.outcome(future, timeout_s=timeout_s)
        self._probe.raft_commit(self._loop.time() - started)
        return result

    # Voters

    async def add_voter(self, voter: RaftVoter, *, timeout_s: float) -> None:
        """See `ports.consensus`."""
        ready = await self._changes.with_voter(voter, timeout_s=timeout_s)
        await self._change(lambda: self._changes.plus(ready), timeout_s)

    async def remove_voter(self, node_id: NodeId, directory_id: bytes = b"", *, timeout_s: float) -> None:
        """See `ports.consensus`."""
        await self._change(lambda: self._changes.without(node_id, directory_id), timeout_s)

    async def _change(self, voters: Callable[[], VoterSet], timeout_s: float) -> None:
        """The barrier shows that this leader commits in its own term; what it shows is looked at again with the append.

        A change that is under way, be it the leader's own note of the disks, is waited for instead of refused.
        """
        deadline = self._loop.time() + timeout_s
        await self.barrier(timeout_s=timeout_s)
        while self._changes.under_way() and (left := deadline - self._loop.time()) > 0:
            await self.barrier(timeout_s=left)
        parts = self._parts
        if parts is None:
            raise NotLeaderError("this node is stopping")
        wanted = voters()
        future = self._proposals.begin(lambda outcome: self._changes.append(wanted, outcome))
        parts.kick()
        await self._proposals.outcome(future, timeout_s=timeout_s)

    # From the parts

    def _message(self, voter: NodeId, message: Message) -> None:
        parts = self._parts
        if parts is None or not self._running:
            return
        if isinstance(message, VotersHint):
            self._on_hint(message)
            return
        try:
            parts.transport.receive(voter, message)
        except BaseException as error:
            self._fail(error)
            if not isinstance(error, RaftKafkaError) or isinstance(error, InvariantViolationError):
                raise
            return
        parts.kick()

    def _peer(self, voter: NodeId, connected: bool) -> None:
        parts = self._parts
        if parts is None or not self._running:
            return
        parts.transport.peer_changed(voter, connected)
        if connected:
            self._tell_voters(voter)
        for callback in self._peer_callbacks:
            callback(voter, connected)
        parts.kick()

    def _after_turn(self) -> None:
        assert self._parts is not None
        core = self._parts.core
        self._proposals.skipped(core)
        if core.is_leader and self._lacks_directories and self._changes.adopt_directories():
            self._parts.kick()
        if core.is_leader and not self._quorum.is_voter and core.commit_index >= self._book.index:
            _log.info("node %d is no voter any more: it leads no longer", self._node_id)
            core.step_down()
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
        return None if self._parts is None else self._parts.core.leader_id()

    @property
    def is_leader(self) -> bool:
        return self._running and self._parts is not None and self._parts.core.is_leader

    @property
    def term(self) -> Term:
        return Term(0 if self._parts is None else self._parts.core.term)

    @property
    def commit_index(self) -> RaftIndex:
        return RaftIndex(0 if self._parts is None else self._parts.core.commit_index)

    @property
    def applied_index(self) -> RaftIndex:
        return RaftIndex(0 if self._parts is None else self._parts.core.applied_index)

    @property
    def last_index(self) -> RaftIndex:
        return RaftIndex(0 if self._parts is None else int(self._parts.core.last_entry()[1]))

    @property
    def leader_silence_s(self) -> float | None:
        if self.is_leader:
            return 0.0
        heard_at = None if self._parts is None else self._parts.transport.leader_heard_at
        return None if heard_at is None else self._loop.time() - heard_at

    def voters(self) -> tuple[VoterState, ...]:
        """All voters, by id; other voters' match indexes only while this node leads."""
        states = [self._state_of(node_id) for node_id in self._quorum.others]
        if any(each.node_id == self._node_id for each in self._book.current):
            own_index = -1 if self._parts is None else self._parts.journal.durable_index
            states.append(VoterState(node_id=self._node_id, match_index=RaftIndex(own_index), connected=True))
        return tuple(sorted(states, key=lambda state: state.node_id))

    def observers(self) -> tuple[VoterState, ...]:
        """Connected nodes without a vote, by id; their match indexes only while this node leads."""
        return () if self._parts is None else tuple([self._state_of(each) for each in self._parts.transport.observers])

    def _state_of(self, node_id: NodeId) -> VoterState:
        known = self._parts is not None and self.is_leader
        match_index = self._parts.core.match_index(node_id) if known and self._parts is not None else -1
        return VoterState(node_id=node_id, match_index=RaftIndex(match_index), connected=self.is_connected(node_id))

    def is_connected(self, node_id: NodeId) -> bool:
        return node_id == self._node_id or node_id in self._network.connected

    @property
    def waiting_for(self) -> str | None:
        """What keeps this node from knowing a leader, in words for its operator; None when it knows one."""
        if self._announced[0] is not None:
            return None
        connected = self._network.connected
        others = [voter for voter in self._book.current if voter.node_id != self._node_id]
        missing = [voter for voter in others if voter.node_id not in connected]
        if self._quorum.is_majority({*connected, *self._quorum.own}):
            return "waiting for the election of a controller"
        named = ", ".join(f"{voter.node_id}@{voter.host}:{voter.port}" for voter in missing)
        return (
            f"waiting for a majority: connected to {len(others) - len(missing)} of {len(others)} other voters "
            f"(missing {named})"
        )

    def on_leader_change(self, callback: Callable[[NodeId | None, Term], None]) -> None:
        self._leader_callbacks.append(callback)

    def on_peer_change(self, callback: Callable[[NodeId, bool], None]) -> None:
        self._peer_callbacks.append(callback)
