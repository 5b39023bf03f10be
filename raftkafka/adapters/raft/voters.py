"""Who votes: the bootstrap voters until an entry of the log says otherwise, then what the newest such entry says.

Floor 4, no I/O. Voters are added and removed one at a time (Raft thesis, 4.1; docs/adr/0008): any majority of the old set
shares a voter with any majority of the new one, so a set is in force from the moment that its entry is in the log, also
before it is committed, and falls back to the one before when the entry is cut off again. Invariants: `current` is always that of
the newest entry in this node's log, or of its snapshot; nobody but a voter of `current`, with the disk that it has there, counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from raftkafka.adapters.raft.library import COMMAND_VOTERS, Entry
from raftkafka.model import cbor
from raftkafka.model.errors import CorruptionError, ProtocolError
from raftkafka.model.ids import NodeId
from raftkafka.ports.consensus import RaftVoter

VOTERS_MAX: Final = 15
_BYTES_MAX: Final = 16 << 10
_HOST_CHARS_MAX: Final = 255


VoterSet = tuple[RaftVoter, ...]
"""By rising node id; never empty where a cluster has begun."""


def encode(voters: VoterSet) -> bytes:
    return cbor.encode([[each.node_id, each.host, each.port, each.directory_id] for each in voters])


def decode(content: bytes) -> VoterSet:
    """What `encode` was given.

    Raises:
        CorruptionError: anything else, or ids that do not rise.
    """
    try:
        rows = cbor.decode(content, size_max=_BYTES_MAX)
        voters = tuple([_voter(*row) for row in rows])
    except (ProtocolError, TypeError, ValueError) as error:
        raise CorruptionError(f"a set of voters of {len(content)} bytes is malformed: {error}") from error
    ids = [each.node_id for each in voters]
    if not 0 < len(ids) <= VOTERS_MAX or ids != sorted(set(ids)):
        raise CorruptionError(f"a set of voters with the ids {ids}")
    return voters


def _voter(node_id: Any, host: Any, port: Any, directory_id: Any) -> RaftVoter:
    if [type(each) for each in (node_id, host, port, directory_id)] != [int, str, int, bytes]:
        raise ValueError("a voter is id, host, port, directory id")
    if node_id < 0 or len(host) > _HOST_CHARS_MAX or not 0 < port < 1 << 16 or len(directory_id) not in (0, 16):
        raise ValueError(f"no voter: {node_id} at {host}:{port}")
    return RaftVoter(node_id=NodeId(node_id), host=host, port=port, directory_id=directory_id)


class VoterBook:
    """Follows the log. `on_change` is called whenever `current` is another set than before."""

    def __init__(self, bootstrap: Iterable[RaftVoter], on_change: Callable[[], None] = lambda: None) -> None:
        self._base: tuple[int, VoterSet] = (0, tuple(sorted(bootstrap, key=lambda each: each.node_id)))
        self._changes: list[tuple[int, VoterSet]] = []
        self._on_change = on_change

    @property
    def current(self) -> VoterSet:
        return self._newest[1]

    @property
    def index(self) -> int:
        """Of the entry that gave `current`; 0 for the bootstrap set."""
        return self._newest[0]

    @property
    def before(self) -> VoterSet:
        """The set that `current` replaced, as far as this node knows."""
        known = [self._base, *self._changes]
        return known[-2][1] if len(known) > 1 else known[-1][1]

    @property
    def _newest(self) -> tuple[int, VoterSet]:
        return self._changes[-1] if self._changes else self._base

    def at(self, index: int) -> bytes | None:
        """For a snapshot at `index`: the set in force there, encoded; None while it is the bootstrap set."""
        known = [each for each in (self._base, *self._changes) if each[0] <= index]
        found = known[-1] if known else self._base
        return encode(found[1]) if found[0] else None

    # What the log tells

    def appended(self, entry: Entry) -> None:
        """Raises CorruptionError for a malformed entry: no node can go on with it."""
        command, index, _ = entry
        if command[0] == COMMAND_VOTERS and index > self.index:
            self._note(lambda: self._changes.append((index, decode(command[1:]))))

    def truncated_from(self, index: int) -> None:
        if self._changes and self._changes[-1][0] >= index:
            kept = [each for each in self._changes if each[0] < index]
            self._note(lambda: setattr(self, "_changes", kept))

    def restored(self, index: int, voters: bytes | None) -> None:
        """A snapshot at `index` takes the place of everything up to there."""
        base = self._base if voters is None else (index, decode(voters))

        def begin() -> None:
            self._base = base
            self._changes = [each for each in self._changes if each[0] > index]

        self._note(begin)

    def _note(self, change: Callable[[], object]) -> None:
        before = self.current
        change()
        if self.current != before:
            self._on_change()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """What this node, and a majority, are by the book. `directory_of` names the disk behind a connected peer."""

    node_id: NodeId
    directory_id: Callable[[], bytes]
    book: VoterBook
    directory_of: Callable[[NodeId], bytes]

    @property
    def others(self) -> tuple[NodeId, ...]:
        return tuple([each.node_id for each in self.book.current if each.node_id != self.node_id])

    @property
    def own(self) -> tuple[NodeId, ...]:
        """This node where its own vote and its own copy count."""
        return (self.node_id,) if self.is_voter else ()

    @property
    def is_voter(self) -> bool:
        return _is_in(self.book.current, self.node_id, self.directory_id())

    @property
    def is_replaced(self) -> bool:
        """The set names this node with another disk: what the old one had promised is gone."""
        return not self.is_voter and any(each.node_id == self.node_id for each in self.book.current)

    def may_campaign(self, commit_index: int) -> bool:
        """A voter may. One that an uncommitted entry removes may as well: perhaps only its log is complete."""
        undecided = self.book.index > commit_index
        return self.is_voter or (undecided and _is_in(self.book.before, self.node_id, self.directory_id()))

    def counts(self, node_id: NodeId) -> bool:
        """Whether this peer's votes and acknowledgements count: a voter, with the disk that the set names."""
        return _is_in(self.book.current, node_id, self.directory_of(node_id))

    def is_majority(self, node_ids: Collection[NodeId]) -> bool:
        """Whether these, of which those that do not count were left out, are more than half of the voters."""
        voters = self.book.current
        return 2 * sum(1 for each in voters if each.node_id in node_ids) > len(voters)


def _is_in(voters: VoterSet, node_id: NodeId, directory_id: bytes) -> bool:
    for each in voters:
        if each.node_id == node_id:
            return not each.directory_id or each.directory_id == directory_id
    return False
