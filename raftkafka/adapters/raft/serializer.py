"""What the library takes for its serializer: when snapshots are taken, loaded, sent and installed.

Floor 4. Invariants: the library is given only snapshots that are whole and newer than what it has; there is always a
complete one to send once the log has been cut; the log is cut only after the snapshot is durable.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from raftkafka.adapters.raft.core import RaftNode
from raftkafka.adapters.raft.journal import Journal
from raftkafka.adapters.raft.library import SERIALIZER_STATE, Entry
from raftkafka.adapters.raft.snapshot import SNAPSHOT_MAX_BYTES, Snapshot, SnapshotStore, decode
from raftkafka.adapters.raft.voters import VoterBook
from raftkafka.model.errors import CorruptionError, InvariantViolationError, RaftKafkaError, StorageError
from raftkafka.model.ids import RaftIndex
from raftkafka.ports.consensus import StateMachine

_log = logging.getLogger("raftkafka.raft")


class LibraryJournal:
    """The journal under the method names, and with the positions, that the library uses."""

    def __init__(self, journal: Journal, *, book: VoterBook, commit_index: int) -> None:
        self._journal = journal
        self._book = book
        self._commit_index = commit_index

    def add(self, command: bytes, idx: int, term: int) -> None:
        self._journal.append((command, idx, term))
        self._book.appended((command, idx, term))

    def clear(self) -> None:
        self._journal.truncate_from(0)
        self._book.truncated_from(0)

    def deleteEntriesFrom(self, position: int) -> None:  # noqa: N802
        index = self._journal.entries[0][1] + position
        self._journal.truncate_from(index)
        self._book.truncated_from(index)

    def deleteEntriesTo(self, position: int) -> None:  # noqa: N802
        self._journal.cut_to(self._journal.entries[0][1] + position)

    def __getitem__(self, item: Any) -> Any:
        return self._journal.entries[item]

    def __len__(self) -> int:
        return len(self._journal.entries)

    def getRaftCommitIndex(self) -> int:  # noqa: N802
        """Where to start from: what the snapshot covers was committed, the rest the leader tells."""
        return self._commit_index

    def setRaftCommitIndex(self, index: int) -> None:  # noqa: N802
        """The commit index need not be stored (Raft, figure 2)."""

    def getCurrentTerm(self) -> int:  # noqa: N802
        return self._journal.term

    def getVotedForNodeId(self) -> int | None:  # noqa: N802
        return self._journal.vote

    def setCurrentTerm(self, term: int, vote: int | None) -> None:  # noqa: N802
        if (term, vote) != (self._journal.term, self._journal.vote):
            self._journal.set_term(term, vote)

    def onOneSecondTimer(self) -> None: ...  # noqa: N802


class SnapshotSerializer:
    """`applied_index` tells how far the library is; `on_failure` stops the node."""

    def __init__(
        self,
        *,
        store: SnapshotStore,
        machine: StateMachine,
        book: VoterBook,
        applied_index: Callable[[], int],
        on_failure: Callable[[BaseException], None],
        on_written: Callable[[], None],
        refuse_bad: bool = True,
    ) -> None:
        self._store = store
        self._machine = machine
        self._book = book
        self._applied_index = applied_index
        self._on_failure = on_failure
        self._on_written = on_written
        self._refuse_bad = refuse_bad
        self._to_load: Snapshot | None = None
        self._writing: asyncio.Task[None] | None = None
        self._writing_id = 0
        self._finished: int | None = None

    def prepare(self, snapshot: Snapshot) -> None:
        """The next `deserialize` loads this one."""
        self._to_load = snapshot

    async def stop(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])

    # Taking one

    def serialize(self, content: tuple[object, Entry, Entry, object], id_: int) -> None:
        _, last, previous, _ = content
        self._writing_id = id_
        self._writing = asyncio.get_running_loop().create_task(
            self._write(previous, last, self._book.at(last[1]), self._machine.snapshot())
        )

    async def _write(self, previous: Entry, last: Entry, voters: bytes | None, pieces: Iterable[bytes]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            state = await _gathered(pieces)
            snapshot = Snapshot(previous=previous, last=last, voters=voters, state=state)
            await self._store.write(snapshot)
            self._finished = SERIALIZER_STATE.SUCCESS
            took_ms = (loop.time() - began) * 1000
            _log.info("took a snapshot at entry %d, %d bytes of state, %.0f ms", snapshot.index, len(state), took_ms)
        except (StorageError, InvariantViolationError) as error:
            self._finished = SERIALIZER_STATE.FAILED
            self._on_failure(error)
        self._on_written()

    def checkSerializing(self) -> tuple[int, int | None]:  # noqa: N802
        if self._finished is not None:
            state, self._finished, self._writing = self._finished, None, None
            return state, self._writing_id
        if self._writing is not None:
            return SERIALIZER_STATE.SERIALIZING, self._writing_id
        return SERIALIZER_STATE.NOT_SERIALIZING, None

    # Loading one

    def deserialize(self) -> tuple[None, Entry, Entry, None]:
        """Restore the state machine. The library swallows whatever is raised here, so failing means stopping first."""
        snapshot, self._to_load = self._to_load, None
        assert snapshot is not None
        try:
            self._book.restored(snapshot.index, snapshot.voters)
            self._machine.restore(RaftIndex(snapshot.index), snapshot.state)
        except BaseException as error:
            self._on_failure(error)
            raise
        return None, snapshot.last, snapshot.previous, None

    # Sending and receiving; `transfer` cuts the one message into chunks

    def getTransmissionData(self, node: RaftNode) -> tuple[bytes, bool, bool]:  # noqa: N802
        try:
            return self._store.read(), True, True
        except RaftKafkaError as error:
            self._on_failure(error)
            raise

    def setTransmissionData(self, content: bytes) -> bool:  # noqa: N802
        """Make the leader's snapshot ours; False refuses it, and the library then says nothing to the leader."""
        if self._writing is not None:
            # Ours is being renamed over the very file; the leader finds out that we still need its own.
            return False
        try:
            snapshot = decode(content)
        except CorruptionError as error:
            _log.warning("refusing a snapshot from the leader: %s", error)
            return False
        if self._refuse_bad and snapshot.index <= self._applied_index():
            _log.info("refusing a snapshot at entry %d: it is older than this node", snapshot.index)
            return False
        try:
            self._store.install(content, snapshot)
        except StorageError as error:
            self._on_failure(error)
            return False
        _log.info("installing the leader's snapshot at entry %d", snapshot.index)
        self._to_load = snapshot
        return True

    def cancelTransmisstion(self, node: RaftNode) -> None: ...  # noqa: N802


async def _gathered(pieces: Iterable[bytes]) -> bytes:
    """The whole of a state that is handed out piece by piece, with the loop's other work in between.

    Raises:
        InvariantViolationError: it is too large.
    """
    state = bytearray()
    for piece in pieces:
        state += piece
        if len(state) > SNAPSHOT_MAX_BYTES // 2:
            raise InvariantViolationError(f"a snapshot of {len(state)} bytes can never be sent to another voter")
        await asyncio.sleep(0)
    return bytes(state)
