"""What pysyncobj 0.3.17 gets wrong, each mended in one function named after the fault.

Floor 4, no I/O. The numbers are those of docs/adr/0002, which tells how each fault loses data or stands still. Pre-vote
(8) lives in `prevote`, the snapshot's own rules (9, 10) in `serializer`, refused membership changes (11) in `messages`
and `library`, the fallback of a leader without a majority (12) in `consensus`. Tests switch mends off to see the fault.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from raftkafka.adapters.raft.core import RaftCore
from raftkafka.adapters.raft.journal import Journal
from raftkafka.adapters.raft.messages import Answer, AppendEntries
from raftkafka.adapters.raft.snapshot import Snapshot
from raftkafka.model.errors import InvariantViolationError, StartupError
from raftkafka.model.ids import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Mends:
    """Which mends are in force; everywhere but in tests, all."""

    own_commit_during_snapshot: bool = True  # 1
    keep_matching_entries: bool = True  # 2
    answers_of_own_term: bool = True  # 3
    one_vote_per_voter: bool = True  # 4
    numbered_resets: bool = True  # 5
    back_up_by_term: bool = True  # 6
    align_journal: bool = True  # 7
    pre_vote: bool = True  # 8
    refuse_bad_snapshots: bool = True  # 9
    own_sync_counts: bool = True  # durability: no commit before the own sync
    durable_promises: bool = True  # durability: votes and answers wait for the sync


def own_commit_during_snapshot(core: RaftCore, commit_index: int) -> int:
    """1: while a snapshot arrives, the library would commit, and apply, this node's own uncommitted entries."""
    return min(commit_index, core.commit_index)


def keep_matching_entries(core: RaftCore, message: AppendEntries) -> tuple[AppendEntries, int | None]:
    """2: the library deletes everything behind `previous_index`, also what matches and was acknowledged.

    Returns the message without the prefix that is here already, and, where an older message says less than the log
    holds, the index up to which its answer may acknowledge.

    Raises:
        InvariantViolationError: a committed entry differs from the leader's.
    """
    if message.previous_index < core.first_index():
        return message, None
    if core.term_at(message.previous_index) != message.previous_term:
        _check_not_committed(core, message, message.previous_index, message.previous_term)
        return message, None
    known = 0
    for _, index, term in message.entries:
        if core.term_at(index) != term:
            _check_not_committed(core, message, index, term)
            break
        known += 1
    end = message.previous_index + len(message.entries)
    _, last_index, last_term = core.last_entry()
    if known == len(message.entries) and last_index > end:
        # Nothing new: the tail stays, but this message vouches only for what it covers.
        bounded = min(message.commit_index, end)
        kept = replace(message, previous_index=last_index, previous_term=last_term, entries=(), commit_index=bounded)
        return kept, end
    if known == 0:
        return message, None
    _, index, term = message.entries[known - 1]
    return replace(message, previous_index=index, previous_term=term, entries=message.entries[known:]), None


def _check_not_committed(core: RaftCore, message: AppendEntries, index: int, term: int) -> None:
    own_term = core.term_at(index)
    if own_term is not None and index <= core.commit_index:
        raise InvariantViolationError(
            f"the leader of term {message.term} has an entry of term {term} at index {index}, "
            f"which was committed here with term {own_term}"
        )


def answers_of_own_term(core: RaftCore, answer: Answer) -> bool:
    """3: an acknowledgement of an earlier leadership counts for nothing in this one."""
    return answer.term == core.term


class OneVotePerVoter:
    """4: the library counts votes, not voters."""

    def __init__(self) -> None:
        self._term = -1
        self._voters: set[NodeId] = set()

    @property
    def voters(self) -> frozenset[NodeId]:
        """Who has voted in the term last asked about."""
        return frozenset(self._voters)

    def is_first(self, voter: NodeId, term: int) -> bool:
        if term != self._term:
            self._term, self._voters = term, set()
        if voter in self._voters:
            return False
        self._voters.add(voter)
        return True


class NumberedResets:
    """5: of several resets under way only the first counts; the others answer what was sent before it was known."""

    def __init__(self) -> None:
        self.last_number = 0
        self._not_before: dict[NodeId, int] = {}

    def next_number(self) -> int:
        self.last_number += 1
        return self.last_number

    def honours(self, voter: NodeId, answer: Answer) -> bool:
        """Whether a reset may move the follower's next index; if so, later ones must answer later messages."""
        if answer.number < self._not_before.get(voter, 0):
            return False
        self._not_before[voter] = self.last_number + 1
        return True


def back_up_by_term(core: RaftCore, index: int) -> int:
    """6: where to go on after a conflict at `index`: the first entry of its term, never at or below the commit index."""
    term = core.term_at(index)
    lowest = max(core.first_index() + 1, core.commit_index + 1)
    while index > lowest and core.term_at(index - 1) == term:
        index -= 1
    return index


def align_journal(journal: Journal, snapshot: Snapshot) -> None:
    """7: make the journal begin with the snapshot's two entries, as a crash between snapshot and cut leaves it not.

    Raises:
        StartupError: the journal begins behind the snapshot: entries are missing. Or there is no journal: with it this
            node's term and vote are gone, and it could vote twice.
    """
    entries = journal.entries
    if journal.is_new:
        raise StartupError(f"there is a snapshot at entry {snapshot.index} but no Raft journal beside it")
    if entries and entries[0][1] > snapshot.previous[1]:
        raise StartupError(
            f"the Raft journal begins at entry {entries[0][1]}, but the snapshot ends at entry {snapshot.index}: "
            "one of them is not this node's, or is gone"
        )
    position = snapshot.previous[1] - entries[0][1] if entries else 0
    if entries[position : position + 2] == [snapshot.previous, snapshot.last]:
        journal.cut_to(snapshot.previous[1])
        return
    # The log ends before the snapshot, or says something else there: the snapshot holds what was committed.
    journal.truncate_from(0)
    journal.append(snapshot.previous)
    journal.append(snapshot.last)


def check_whole(journal: Journal) -> None:
    """A journal without its beginning and without a snapshot has lost its state.

    Raises:
        StartupError: so it is.
    """
    if journal.entries and journal.entries[0][1] != 1:
        raise StartupError(
            f"the Raft journal begins at entry {journal.entries[0][1]} and there is no snapshot before it"
        )
