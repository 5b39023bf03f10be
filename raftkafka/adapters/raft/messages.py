"""What voters say to each other, as values and as bytes.

Floor 4. A message is a CBOR array: its type, then its fields in the order below. Invariant: whatever `decode` returns has
the right types, non-negative numbers and consecutive entries, so that nothing behind it has to ask again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from raftkafka.adapters.raft.library import COMMAND_NO_OP, COMMAND_REGULAR, COMMAND_VOTERS, ENTRIES_MAX, Entry
from raftkafka.model import cbor
from raftkafka.model.errors import ProtocolError

COMMAND_MAX_BYTES: Final = 1 << 20
ENTRY_MAX_BYTES: Final = COMMAND_MAX_BYTES + 1
"""A command and the byte for its type."""
_COMMANDS: Final = (COMMAND_REGULAR, COMMAND_NO_OP, COMMAND_VOTERS)
FRAME_MAX_BYTES: Final = 8 << 20
NUMBER_MAX: Final = (1 << 62) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendEntries:
    """From the leader; without entries a heartbeat. `number` counts what this leader sent, over all its terms."""

    term: int
    commit_index: int
    number: int
    previous_index: int
    previous_term: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotChunk:
    """A piece of the leader's snapshot of `total` bytes, from byte `position`."""

    term: int
    commit_index: int
    number: int
    position: int
    total: int
    chunk: bytes

    @property
    def is_last(self) -> bool:
        return self.position + len(self.chunk) == self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """To `AppendEntries` or `SnapshotChunk` number `number`.

    `success`: everything below `next_index` matches and is durable; `reset`: go on from `next_index`; neither: alive.
    """

    term: int
    number: int
    next_index: int
    success: bool
    reset: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteRequest:
    term: int
    last_index: int
    last_term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreVoteRequest:
    """Would you vote for me in `term`? Nobody's term or vote changes by it."""

    round: int
    term: int
    last_index: int
    last_term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreVoteAnswer:
    """`term` is the answering voter's own."""

    round: int
    term: int
    granted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HigherTerm:
    """To a leader of an earlier term: it is over."""

    term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VotersHint:
    """The newest set of voters in the sender's log (`voters.encode`) and the index of its entry: whom else to dial, for a node
    that has missed it. Nobody is counted by it."""

    index: int
    voters: bytes


Message = (
    AppendEntries
    | SnapshotChunk
    | Answer
    | VoteRequest
    | Vote
    | PreVoteRequest
    | PreVoteAnswer
    | HigherTerm
    | VotersHint
)


def encode(message: Message) -> bytes:
    match message:
        case AppendEntries():
            entries = [[entry[2], entry[0]] for entry in message.entries]
            fields = [0, message.term, message.commit_index, message.number, message.previous_index]
            return cbor.encode([*fields, message.previous_term, entries])
        case SnapshotChunk():
            fields = [1, message.term, message.commit_index, message.number, message.position]
            return cbor.encode([*fields, message.total, message.chunk])
        case Answer():
            fields = [2, message.term, message.number, message.next_index]
            return cbor.encode([*fields, message.success, message.reset])
        case VoteRequest():
            return cbor.encode([3, message.term, message.last_index, message.last_term])
        case Vote():
            return cbor.encode([4, message.term])
        case PreVoteRequest():
            return cbor.encode([5, message.round, message.term, message.last_index, message.last_term])
        case PreVoteAnswer():
            return cbor.encode([6, message.round, message.term, message.granted])
        case HigherTerm():
            return cbor.encode([7, message.term])
        case VotersHint():
            return cbor.encode([8, message.index, message.voters])


def decode(frame: bytes) -> Message:
    """The message in a frame of at most FRAME_MAX_BYTES.

    Raises:
        ProtocolError: anything but a message with fields of the right types and ranges.
    """
    value = cbor.decode(frame, size_max=FRAME_MAX_BYTES)
    if type(value) is not list or not value or type(value[0]) is not int:
        raise ProtocolError("not a Raft message")
    decoder = _DECODERS.get(value[0])
    if decoder is None:
        raise ProtocolError(f"unknown Raft message type {value[0]}")
    shape, build = decoder
    fields = value[1:]
    if [type(field) for field in fields] != shape:
        raise ProtocolError(f"malformed Raft message of type {value[0]}")
    if any(type(field) is int and not 0 <= field <= NUMBER_MAX for field in fields):
        raise ProtocolError(f"a number out of range in a Raft message of type {value[0]}")
    return build(fields)


def _append_entries(fields: list[Any]) -> Message:
    term, commit_index, number, previous_index, previous_term, pairs = fields
    if len(pairs) > ENTRIES_MAX:
        raise ProtocolError(f"{len(pairs)} entries in one message")
    entries = []
    index, at_least = previous_index, previous_term
    for pair in pairs:
        index += 1
        entry = _entry(pair, index)
        # Terms never fall along a log, and no entry comes from the future of its sender.
        if not at_least <= entry[2] <= term:
            raise ProtocolError(f"entry {index} of term {entry[2]} between terms {at_least} and {term}")
        at_least = entry[2]
        entries.append(entry)
    return AppendEntries(
        term=term,
        commit_index=commit_index,
        number=number,
        previous_index=previous_index,
        previous_term=previous_term,
        entries=tuple(entries),
    )


def _entry(pair: Any, index: int) -> Entry:
    if type(pair) is not list or [type(field) for field in pair] != [int, bytes]:
        raise ProtocolError("malformed entry")
    term, command = pair
    # A membership change or a version switch of the library is not part of this protocol.
    if not 1 <= len(command) <= ENTRY_MAX_BYTES or command[0] not in _COMMANDS:
        raise ProtocolError(f"malformed command in entry {index}")
    return command, index, term


def _snapshot_chunk(fields: list[Any]) -> Message:
    term, commit_index, number, position, total, chunk = fields
    if position + len(chunk) > total or not chunk:
        raise ProtocolError("a snapshot chunk beyond the snapshot's end")
    return SnapshotChunk(
        term=term, commit_index=commit_index, number=number, position=position, total=total, chunk=chunk
    )


def _answer(fields: list[Any]) -> Message:
    term, number, next_index, success, reset = fields
    if next_index < 1:
        raise ProtocolError("an answer below the log's first entry")
    return Answer(term=term, number=number, next_index=next_index, success=success, reset=reset)


_DECODERS: Final[dict[int, tuple[list[type], Callable[[list[Any]], Message]]]] = {
    0: ([int, int, int, int, int, list], _append_entries),
    1: ([int, int, int, int, int, bytes], _snapshot_chunk),
    2: ([int, int, int, bool, bool], _answer),
    3: ([int, int, int], lambda fields: VoteRequest(term=fields[0], last_index=fields[1], last_term=fields[2])),
    4: ([int], lambda fields: Vote(term=fields[0])),
    5: (
        [int, int, int, int],
        lambda fields: PreVoteRequest(round=fields[0], term=fields[1], last_index=fields[2], last_term=fields[3]),
    ),
    6: ([int, int, bool], lambda fields: PreVoteAnswer(round=fields[0], term=fields[1], granted=fields[2])),
    7: ([int], lambda fields: HigherTerm(term=fields[0])),
    8: ([int, bytes], lambda fields: VotersHint(index=fields[0], voters=fields[1])),
}
