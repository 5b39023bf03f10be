"""Each mend beside the fault it mends: the same events, with the mend and without it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from raftkafka.adapters.raft.journal import Journal
from raftkafka.adapters.raft.library import FAIL_REASON
from raftkafka.adapters.raft.mends import Mends, align_journal, back_up_by_term, check_whole
from raftkafka.adapters.raft.messages import (
    Answer,
    AppendEntries,
    HigherTerm,
    SnapshotChunk,
    Vote,
    VoteRequest,
    decode,
    encode,
)
from raftkafka.adapters.raft.snapshot import Snapshot
from raftkafka.adapters.raft.snapshot import encode as encode_snapshot
from raftkafka.model.errors import InvariantViolationError, ProtocolError, StartupError
from raftkafka.ports.probe import NullProbe

ALL = Mends()


def append(term, previous, new=(), *, commit=1, number=1):
    index, previous_term = previous
    return AppendEntries(
        term=term,
        commit_index=commit,
        number=number,
        previous_index=index,
        previous_term=previous_term,
        entries=tuple(new),
    )


@pytest.mark.parametrize("mended", [True, False])
async def test_1_own_entries_are_not_committed_while_a_snapshot_arrives(lone_voter, entries, mended):
    voter = await lone_voter(mends=replace(ALL, own_commit_during_snapshot=mended)).open(
        entries=entries(2, 6, 1), term=1
    )
    chunk = SnapshotChunk(term=2, commit_index=100, number=1, position=0, total=10, chunk=b"12345")
    voter.receive(2, chunk)
    voter.core.doTick(0.0)
    applied_own = [command for _, command in voter.machine.applied]
    assert applied_own == ([] if mended else [b"\x002", b"\x003", b"\x004", b"\x005", b"\x006"])


@pytest.mark.parametrize("mended", [True, False])
async def test_2_entries_that_match_are_kept(lone_voter, entries, mended):
    voter = await lone_voter(mends=replace(ALL, keep_matching_entries=mended)).open(entries=entries(2, 6, 1), term=1)
    voter.receive(2, append(1, (2, 1), entries(3, 3, 1), commit=6))
    await voter.settle()
    assert voter.core.last_entry()[1] == (6 if mended else 3)
    (answer,) = voter.network.take(Answer)
    assert answer.success
    assert answer.next_index == 4, "the message vouched for no more"
    assert voter.core.commit_index == 3


async def test_2_only_what_is_new_is_appended(lone_voter, entries):
    voter = await lone_voter().open(entries=entries(2, 6, 1), term=1)
    voter.receive(2, append(2, (4, 1), [*entries(5, 6, 1), *entries(7, 8, 2)]))
    assert [entry[1:] for entry in voter.journal.entries[-3:]] == [(6, 1), (7, 2), (8, 2)]
    voter.receive(2, append(3, (5, 1), entries(6, 6, 3)))
    assert [entry[1:] for entry in voter.journal.entries[-2:]] == [(5, 1), (6, 3)], "a conflict is cut as ever"


@pytest.mark.parametrize("previous", [(3, 9), (2, 1)])
async def test_2_a_leader_that_contradicts_a_committed_entry_stops_the_node(lone_voter, entries, previous):
    voter = await lone_voter().open(entries=entries(2, 6, 1), term=1)
    voter.receive(2, append(1, (6, 1), commit=4))
    with pytest.raises(InvariantViolationError, match="committed here with term 1"):
        voter.receive(2, append(9, previous, entries(previous[0] + 1, 5, 9)))


@pytest.mark.parametrize("mended", [True, False])
async def test_3_answers_of_an_earlier_term_do_not_count(lone_voter, entries, mended):
    voter = await lone_voter(mends=replace(ALL, answers_of_own_term=mended)).open(entries=entries(2, 4, 1), term=1)
    term = await voter.lead()
    last = voter.core.last_entry()[1]
    voter.receive(3, Answer(term=term - 1, number=1, next_index=last + 1, success=True, reset=False))
    voter.core.doTick(0.0)
    assert voter.core.commit_index == (1 if mended else last)


@pytest.mark.parametrize("mended", [True, False])
async def test_4_one_voter_has_one_vote(lone_voter, mended):
    voter = await lone_voter(others=(2, 3, 4, 5), mends=replace(ALL, one_vote_per_voter=mended)).open()
    voter.core.set_election_deadline(-1)
    voter.core.doTick(0.0)
    voter.receive(2, Vote(term=1))
    voter.receive(2, Vote(term=1))
    assert voter.core.is_leader is not mended
    voter.receive(3, Vote(term=1))
    assert voter.core.is_leader


@pytest.mark.parametrize("mended", [True, False])
async def test_5_a_reset_that_answers_an_old_message_is_passed_over(lone_voter, entries, mended):
    voter = await lone_voter(mends=replace(ALL, numbered_resets=mended)).open(entries=entries(2, 9, 1), term=1)
    term = await voter.lead()
    for _ in range(2):
        voter.core.send_append_entries()
    first, second = (message.number for message in voter.network.take(AppendEntries, to=2))

    def reset(number):
        return Answer(term=term, number=number, next_index=5, success=False, reset=True)

    voter.receive(2, reset(first))
    assert voter.core.next_index(2) == 5
    voter.core.send_append_entries()
    after = voter.core.next_index(2)
    assert after == voter.core.last_entry()[1] + 1
    voter.receive(2, reset(second))
    assert voter.core.next_index(2) == (after if mended else 5)
    (resent,) = voter.network.take(AppendEntries, to=2)
    voter.receive(2, reset(resent.number))
    assert voter.core.next_index(2) == 5, "a reset of what was sent since counts"


@pytest.mark.parametrize("mended", [True, False])
async def test_6_a_conflict_is_backed_up_by_its_whole_term(lone_voter, entries, mended):
    voter = await lone_voter(mends=replace(ALL, back_up_by_term=mended)).open(
        entries=(*entries(2, 4, 1), *entries(5, 50, 2)), term=2
    )
    voter.receive(2, append(3, (50, 3)))
    (answer,) = voter.network.take(Answer)
    assert answer.reset
    assert answer.next_index == (5 if mended else 50)


async def test_6_never_below_what_is_committed(lone_voter, entries):
    voter = await lone_voter().open(entries=entries(2, 50, 2), term=2)
    voter.receive(2, append(2, (50, 2), commit=30))
    assert back_up_by_term(voter.core, 50) == 31


def journal_of(disk):
    failures = []
    return Journal(disk, "/raft", probe=NullProbe(), on_durable=lambda: None, on_failure=failures.append)


async def test_7_the_journal_is_cut_to_the_snapshot_and_keeps_its_tail(lone_voter, entries):
    voter = await lone_voter().open(entries=entries(2, 40, 1), term=1, restarted=True)
    tail = voter.journal.entries[28:]
    align_journal(voter.journal, Snapshot(previous=entries(29, 29, 1)[0], last=entries(30, 30, 1)[0], state=b""))
    assert voter.journal.entries == tail
    await voter.journal.close()
    reopened = journal_of(voter.disk)
    await reopened.open()
    assert reopened.entries == tail
    await reopened.close()


async def test_7_a_snapshot_without_a_journal_refuses_to_start(disk, entries):
    journal = journal_of(disk)
    await journal.open()
    with pytest.raises(StartupError, match="no Raft journal beside it"):
        align_journal(journal, Snapshot(previous=entries(2, 2, 1)[0], last=entries(3, 3, 1)[0], state=b""))


@pytest.mark.parametrize("last_term", [1, 2])
async def test_7_a_snapshot_replaces_a_journal_that_ends_before_it_or_disagrees(lone_voter, entries, last_term):
    voter = await lone_voter().open(entries=entries(2, 20 if last_term == 1 else 40, 1), term=1, restarted=True)
    snapshot = Snapshot(previous=entries(29, 29, 1)[0], last=entries(30, 30, last_term)[0], state=b"")
    align_journal(voter.journal, snapshot)
    assert voter.journal.entries == [snapshot.previous, snapshot.last]


async def test_7_a_gap_between_snapshot_and_journal_refuses_to_start(lone_voter, entries):
    voter = await lone_voter().open(entries=entries(2, 60, 1), term=1, restarted=True)
    voter.journal.cut_to(50)
    snapshot = Snapshot(previous=entries(29, 29, 1)[0], last=entries(30, 30, 1)[0], state=b"")
    with pytest.raises(StartupError, match=r"begins at entry 50.*ends at entry 30"):
        align_journal(voter.journal, snapshot)
    with pytest.raises(StartupError, match="no snapshot before it"):
        check_whole(voter.journal)


@pytest.mark.parametrize("mended", [True, False])
async def test_8_a_stale_leader_is_told_the_higher_term(lone_voter, entries, mended):
    voter = await lone_voter(mends=replace(ALL, pre_vote=mended)).open(entries=entries(2, 3, 1), term=7)
    voter.receive(2, append(6, (3, 1)))
    assert voter.network.take(HigherTerm) == ([HigherTerm(term=7)] if mended else [])


async def test_8_only_a_leader_lets_itself_be_told(lone_voter):
    voter = await lone_voter().open()
    voter.receive(2, HigherTerm(term=9))
    assert voter.core.term == 0
    await voter.lead()
    voter.receive(2, HigherTerm(term=9))
    assert (voter.core.term, voter.core.is_leader) == (9, False)


def snapshot_chunk(snapshot, *, damage=False):
    content = bytearray(encode_snapshot(snapshot))
    if damage:
        content[-1] ^= 1
    return SnapshotChunk(term=1, commit_index=50, number=1, position=0, total=len(content), chunk=bytes(content))


async def test_9_a_damaged_snapshot_is_refused_and_not_acknowledged(lone_voter, entries):
    voter = await lone_voter().open(term=1)
    snapshot = Snapshot(previous=entries(29, 29, 1)[0], last=entries(30, 30, 1)[0], state=b"the state")
    voter.receive(2, snapshot_chunk(snapshot, damage=True))
    await voter.settle()
    assert [answer.success for answer in voter.network.take(Answer)] == [False]
    assert voter.machine.applied == []
    voter.receive(2, snapshot_chunk(snapshot))
    assert voter.network.take(Answer) == [], "no success before the journal is durable"
    await voter.settle()
    assert [(a.success, a.next_index) for a in voter.network.take(Answer)] == [(True, 31)]
    assert voter.machine.applied == [(30, b"the state")]
    assert (voter.core.applied_index, voter.core.commit_index) == (30, 30)


@pytest.mark.parametrize("mended", [True, False])
async def test_9_an_older_snapshot_does_not_set_the_state_back(lone_voter, entries, mended):
    voter = await lone_voter(mends=replace(ALL, refuse_bad_snapshots=mended)).open(entries=entries(2, 40, 1), term=1)
    voter.receive(2, append(1, (40, 1), commit=40))
    voter.core.doTick(0.0)
    snapshot = Snapshot(previous=entries(29, 29, 1)[0], last=entries(30, 30, 1)[0], state=b"old")
    voter.receive(2, snapshot_chunk(snapshot))
    assert voter.core.applied_index == (40 if mended else 30)


async def test_10_the_last_complete_snapshot_is_served_while_the_next_is_written(lone_voter, entries):
    voter = await lone_voter().open(entries=entries(2, 4, 1), term=1)
    first = Snapshot(previous=entries(2, 2, 1)[0], last=entries(3, 3, 1)[0], state=b"first")
    await voter.store.write(first)
    voter.serializer.serialize((None, entries(4, 4, 1)[0], entries(3, 3, 1)[0], None), 3)
    content, _, _ = voter.serializer.getTransmissionData(None)
    assert content == encode_snapshot(first)
    later = Snapshot(previous=entries(29, 29, 1)[0], last=entries(30, 30, 1)[0], state=b"")
    assert not voter.serializer.setTransmissionData(encode_snapshot(later)), "two may not write the same file"
    await voter.serializer.stop()
    assert voter.store.index == 4
    voter.serializer.checkSerializing()
    assert voter.serializer.setTransmissionData(encode_snapshot(later))


async def test_11_membership_changes_are_refused_everywhere(lone_voter):
    exploit = b"\x02cos\nsystem\n(S'touch /tmp/pwned'\ntR."
    with pytest.raises(ProtocolError, match="malformed command"):
        decode(encode(append(1, (1, 0), [(exploit, 2, 1)])))
    voter = await lone_voter().open()
    before = voter.core.otherNodes
    voter.core._SyncObj__doApplyCommand(exploit)
    assert voter.core.otherNodes == before


@pytest.mark.parametrize("mended", [True, False])
async def test_a_leader_does_not_count_itself_before_its_own_sync(lone_voter, entries, mended):
    voter = await lone_voter(mends=replace(ALL, own_sync_counts=mended)).open(entries=entries(2, 4, 1), term=1)
    term = await voter.lead()
    voter.core.submit(b"new", 0, lambda result, reason: None)
    voter.core.doTick(0.0)
    last = voter.core.last_entry()[1]
    voter.receive(2, Answer(term=term, number=1, next_index=last + 1, success=True, reset=False))
    voter.core.doTick(0.0)
    assert voter.core.commit_index == (last - 1 if mended else last)
    await voter.settle()
    voter.core.doTick(0.0)
    assert voter.core.commit_index == last


@pytest.mark.parametrize("mended", [True, False])
async def test_votes_and_acknowledgements_wait_for_the_sync(lone_voter, entries, mended):
    voter = await lone_voter(mends=replace(ALL, durable_promises=mended)).open()
    voter.receive(2, VoteRequest(term=1, last_index=1, last_term=0))
    assert len(voter.network.take(Vote)) == (0 if mended else 1)
    await voter.settle()
    assert len(voter.network.take(Vote)) == (1 if mended else 0)
    voter.receive(2, append(1, (1, 0), entries(2, 2, 1)))
    assert len(voter.network.take(Answer)) == (0 if mended else 1)
    voter.receive(2, append(1, (2, 1), number=2))
    alive = voter.network.take(Answer)
    assert [answer.success for answer in alive] == ([False] if mended else [False, True]), "heartbeats do not wait"
    await voter.settle()
    successes = [answer.next_index for answer in voter.network.take(Answer) if answer.success]
    assert successes == ([3, 3] if mended else [])


async def test_a_promise_of_another_term_or_connection_is_not_sent(lone_voter, entries):
    voter = await lone_voter().open()
    voter.receive(2, VoteRequest(term=1, last_index=1, last_term=0))
    voter.receive(2, VoteRequest(term=2, last_index=1, last_term=0))
    await voter.settle()
    assert [vote.term for vote in voter.network.take(Vote)] == [2]
    voter.receive(3, append(2, (1, 0), entries(2, 2, 2)))
    voter.network.links[3] = object()
    await voter.settle()
    assert voter.network.take(Answer) == []


async def test_a_proposal_that_the_library_would_forward_is_refused(lone_voter, entries):
    voter = await lone_voter().open()
    voter.receive(2, append(1, (1, 0)))
    outcomes = []
    voter.core.submit(b"command", 0, lambda result, reason: outcomes.append(reason))
    voter.core.doTick(0.0)
    assert outcomes == [FAIL_REASON.NOT_LEADER]


async def test_callbacks_that_a_snapshot_skips_are_handed_out(lone_voter, entries):
    voter = await lone_voter().open(term=1)
    term = await voter.lead()
    outcomes = []
    voter.core.submit(b"command", 0, lambda result, reason: outcomes.append(reason))
    voter.core.doTick(0.0)
    snapshot = Snapshot(previous=entries(29, 29, 1)[0], last=entries(30, 30, 1)[0], state=b"later")
    voter.receive(2, replace(snapshot_chunk(snapshot), term=term + 1))
    (outcome,) = voter.core.skipped_outcomes()
    outcome(None, FAIL_REASON.UNKNOWN_OUTCOME)
    assert outcomes == [FAIL_REASON.UNKNOWN_OUTCOME]
    assert voter.core.skipped_outcomes() == []
    await asyncio.sleep(0)
