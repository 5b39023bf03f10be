"""Who votes, as the log says; what counts as a majority."""

from __future__ import annotations

from typing import Any

import pytest

from raftkafka.adapters.raft.library import COMMAND_VOTERS
from raftkafka.adapters.raft.messages import Answer, Vote
from raftkafka.adapters.raft.voters import Quorum, VoterBook, decode, encode
from raftkafka.model import cbor
from raftkafka.model.errors import CorruptionError
from raftkafka.model.ids import NodeId
from raftkafka.ports.consensus import RaftVoter


def voter(node_id: int, directory: str = "") -> RaftVoter:
    return RaftVoter(node_id=NodeId(node_id), host=f"node{node_id}", port=9093, directory_id=directory.encode() * 16)


def voters(*ids: int) -> tuple[RaftVoter, ...]:
    return tuple(voter(each) for each in ids)


def entry(index: int, *ids: int) -> tuple[bytes, int, int]:
    return bytes([COMMAND_VOTERS]) + encode(voters(*ids)), index, 1


def ids(book: VoterBook) -> list[int]:
    return [each.node_id for each in book.current]


def quorum(book: VoterBook, *, node_id: int = 1, directory: str = "a", peers: dict[int, str] | None = None) -> Quorum:
    return Quorum(
        node_id=NodeId(node_id),
        directory_id=lambda: directory.encode() * 16,
        book=book,
        directory_of=lambda each: (peers or {}).get(each, "").encode() * 16,
    )


def test_the_newest_entry_counts_and_one_that_is_cut_off_counts_no_more():
    changes = []
    book = VoterBook(voters(3, 1, 2), lambda: changes.append(ids(book)))
    assert (ids(book), book.index, book.at(100)) == ([1, 2, 3], 0, None)
    book.appended((b"\x00command", 10, 1))
    book.appended(entry(11, 1, 2, 3, 4))
    book.appended(entry(20, 1, 2, 4))
    assert (ids(book), book.index, ids_of(book.before)) == ([1, 2, 4], 20, [1, 2, 3, 4])
    assert (book.at(10), book.at(19)) == (None, encode(voters(1, 2, 3, 4)))
    book.truncated_from(20)
    assert ids(book) == [1, 2, 3, 4]
    book.truncated_from(5)
    assert ids(book) == [1, 2, 3]
    assert changes == [[1, 2, 3, 4], [1, 2, 4], [1, 2, 3, 4], [1, 2, 3]]


def ids_of(some: tuple[RaftVoter, ...]) -> list[int]:
    return [each.node_id for each in some]


def test_a_snapshot_brings_its_voters_and_entries_behind_it_stay():
    book = VoterBook(voters(1, 2, 3))
    book.appended(entry(5, 1, 2))
    book.appended(entry(30, 1, 2, 7))
    book.restored(20, encode(voters(1, 2)))
    assert ids(book) == [1, 2, 7]
    book.truncated_from(0)
    assert (ids(book), book.index) == ([1, 2], 20)
    book.appended(entry(5, 1, 2, 9))
    assert ids(book) == [1, 2], "the snapshot covers this one"
    fresh = VoterBook(voters(1, 2, 3))
    fresh.restored(20, None)
    assert ids(fresh) == [1, 2, 3]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        cbor.encode([]),
        cbor.encode([[1, "h", 9, b""], [1, "h", 9, b""]]),
        cbor.encode([[2, "h", 9, b""], [1, "h", 9, b""]]),
        cbor.encode([[1, "h", 0, b""]]),
        cbor.encode([[1, "h", 9, b"short"]]),
        cbor.encode([[-1, "h", 9, b""]]),
        cbor.encode([[1, "h", 9]]),
        cbor.encode([["1", "h", 9, b""]]),
        cbor.encode([[each, "h", 9, b""] for each in range(16)]),
        cbor.encode(7),
    ],
)
def test_what_is_no_set_of_voters_is_refused(content):
    with pytest.raises(CorruptionError):
        decode(content)


def test_only_voters_with_the_disk_that_the_set_names_count():
    book = VoterBook((voter(1, "a"), voter(2, "b"), voter(3)))
    of = quorum(book, peers={2: "x", 3: "whatever", 4: "d"})
    assert (of.is_voter, of.own, of.others) == (True, (1,), (2, 3))
    assert [of.counts(NodeId(each)) for each in (2, 3, 4)] == [False, True, False]
    assert of.is_majority({NodeId(1), NodeId(3)})
    assert not of.is_majority({NodeId(1), NodeId(4), NodeId(5)})
    replaced = quorum(book, directory="z")
    assert (replaced.is_voter, replaced.own, replaced.is_replaced) == (False, (), True)
    assert not replaced.may_campaign(0)


def test_who_is_being_removed_may_campaign_until_that_is_committed():
    book = VoterBook(voters(1, 2))
    of = quorum(book)
    assert of.may_campaign(0)
    book.appended(entry(8, 2))
    assert (of.is_voter, of.may_campaign(7), of.may_campaign(8)) == (False, True, False)
    assert of.is_majority({NodeId(2)})
    assert not of.is_majority({NodeId(1)})
    assert not quorum(book, node_id=9).may_campaign(7)


def named(*ids: int) -> tuple[RaftVoter, ...]:
    """Voters with the disks that a lone voter's network has."""
    return tuple(RaftVoter(node_id=NodeId(n), host=f"node{n}", port=9093, directory_id=b"%d" % n * 16) for n in ids)


def change(lone: Any, *ids: int) -> None:
    lone.core.append_own(bytes([COMMAND_VOTERS]) + encode(named(*ids)), lambda result, reason: None)


def acknowledge(lone: Any, voter_id: int) -> None:
    index = lone.core.last_entry()[1]
    answer = Answer(
        term=lone.core.term,
        number=lone.transport._resets.last_number,
        next_index=index + 1,
        success=True,
        reset=False,
    )
    lone.receive(voter_id, answer)


async def test_a_leader_counts_by_the_set_in_its_log_as_soon_as_it_is_there(lone_voter):
    lone = await lone_voter().open()
    await lone.lead()
    lone.transport.peer_changed(NodeId(4), True)
    lone.transport.peer_changed(NodeId(5), True)
    change(lone, 1, 2, 3, 4)
    await lone.settle()
    index = lone.core.last_entry()[1]
    acknowledge(lone, 2)
    acknowledge(lone, 5)
    lone.core.doTick(0.0)
    assert lone.core.commit_index < index, "two of four voters, and one that is none"
    acknowledge(lone, 4)
    lone.core.doTick(0.0)
    assert lone.core.commit_index == index
    assert lone.transport.observers == (5,)


async def test_a_leader_that_removes_itself_does_not_count_its_own_copy(lone_voter):
    lone = await lone_voter().open()
    await lone.lead()
    change(lone, 2, 3)
    await lone.settle()
    index = lone.core.last_entry()[1]
    acknowledge(lone, 2)
    lone.core.doTick(0.0)
    assert lone.core.commit_index < index
    acknowledge(lone, 3)
    lone.core.doTick(0.0)
    assert lone.core.commit_index == index


async def test_another_disk_neither_votes_nor_acknowledges(lone_voter):
    lone = await lone_voter().open()
    term = await lone.lead()
    change(lone, 1, 2, 3)
    await lone.settle()
    index = lone.core.last_entry()[1]
    lone.directories[2] = b"another disk of " * 1
    acknowledge(lone, 2)
    lone.core.doTick(0.0)
    assert lone.core.commit_index < index
    assert lone.core.match_index(NodeId(2)) < index
    lone.core.adopt_term(term + 1)
    lone.core.set_election_deadline(-1)
    lone.core.doTick(0.0)
    await lone.settle()
    lone.receive(2, Vote(term=lone.core.term))
    assert not lone.core.is_leader
    lone.receive(3, Vote(term=lone.core.term))
    assert lone.core.is_leader


async def test_what_was_acknowledged_is_forgotten_with_the_link(lone_voter):
    """The node may come back with another disk, be removed and added with it: its old word must not count for the new one."""
    lone = await lone_voter().open()
    await lone.lead()
    acknowledge(lone, 2)
    assert lone.core.match_index(NodeId(2)) == lone.core.last_entry()[1]
    lone.transport.peer_changed(NodeId(2), False)
    lone.transport.peer_changed(NodeId(2), True)
    assert lone.core.match_index(NodeId(2)) == 0


async def test_a_removed_candidate_needs_a_majority_of_the_others(lone_voter):
    lone = await lone_voter().open(entries=((bytes([COMMAND_VOTERS]) + encode(named(2, 3)), 2, 1),), term=1)
    lone.book.appended((bytes([COMMAND_VOTERS]) + encode(named(2, 3)), 2, 1))
    assert lone.quorum.may_campaign(lone.core.commit_index)
    lone.core.set_election_deadline(-1)
    lone.core.doTick(0.0)
    await lone.settle()
    lone.receive(2, Vote(term=lone.core.term))
    assert not lone.core.is_leader
    lone.receive(3, Vote(term=lone.core.term))
    assert lone.core.is_leader
