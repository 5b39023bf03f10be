"""Who asks, who grants, and who makes way before an election."""

from __future__ import annotations

import pytest

from raftkafka.adapters.raft.messages import AppendEntries, PreVoteAnswer, PreVoteRequest
from raftkafka.adapters.raft.prevote import HURRY_MAX_S


def request(*, term=1, last=(1, 0), round_=1):
    return PreVoteRequest(round=round_, term=term, last_index=last[0], last_term=last[1])


def heartbeat(term=1):
    return AppendEntries(term=term, commit_index=1, number=1, previous_index=1, previous_term=0, entries=())


async def ask(voter):
    """Let the election deadline pass; returns the questions."""
    voter.core.set_election_deadline(voter.now - 0.01)
    voter.pre_vote.hold_back(voter.now)
    return voter.network.take(PreVoteRequest)


async def test_a_candidate_asks_everybody_and_raises_no_term(lone_voter):
    voter = await lone_voter().open()
    assert len(await ask(voter)) == 2
    assert (voter.core.term, voter.journal.term) == (0, 0)
    assert voter.core.election_deadline() > voter.now


async def test_a_majority_lets_the_library_elect(lone_voter):
    voter = await lone_voter(others=(2, 3, 4, 5)).open()
    (question, *_) = await ask(voter)
    voter.receive(2, PreVoteAnswer(round=question.round, term=0, granted=True))
    voter.receive(2, PreVoteAnswer(round=question.round, term=0, granted=True))
    assert voter.core.election_deadline() > voter.now, "one voter counts once"
    voter.receive(3, PreVoteAnswer(round=question.round, term=0, granted=True))
    assert voter.core.election_deadline() < voter.now
    voter.pre_vote.hold_back(voter.now)
    voter.core.doTick(0.0)
    assert voter.core.term == 1


@pytest.mark.parametrize("event", ["heartbeat", "old round", "own term moved"])
async def test_an_answer_that_comes_too_late_counts_for_nothing(lone_voter, event):
    voter = await lone_voter().open()
    (question, *_) = await ask(voter)
    round_ = question.round
    if event == "heartbeat":
        voter.receive(3, heartbeat())
    elif event == "old round":
        round_ -= 1
    else:
        voter.core.adopt_term(7)
    voter.receive(2, PreVoteAnswer(round=round_, term=0, granted=True))
    assert voter.core.election_deadline() > voter.now


async def test_a_higher_term_is_learnt_from_a_refusal(lone_voter):
    voter = await lone_voter().open()
    (question, *_) = await ask(voter)
    voter.receive(2, PreVoteAnswer(round=question.round, term=9, granted=False))
    assert voter.core.term == 9


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (request(term=4, last=(3, 2)), True),
        (request(term=3, last=(3, 2)), False),  # no higher than the own term
        (request(term=4, last=(2, 2)), False),  # a shorter log
        (request(term=4, last=(9, 1)), False),  # an older log
        (request(term=4, last=(2, 3)), True),
    ],
)
async def test_who_is_granted(lone_voter, entries, asked, granted):
    voter = await lone_voter().open(entries=entries(2, 3, 2), term=3)
    voter.receive(2, asked)
    assert [answer.granted for answer in voter.network.take(PreVoteAnswer)] == [granted]
    assert voter.core.term == 3


async def test_whoever_hears_from_a_leader_or_leads_grants_nothing(lone_voter):
    voter = await lone_voter().open()
    voter.now = 50.0
    voter.receive(3, heartbeat())
    voter.now = 50.1
    voter.receive(2, request(term=5))
    assert [answer.granted for answer in voter.network.take(PreVoteAnswer)] == [False]
    voter.now = 50.21
    voter.receive(2, request(term=5))
    assert [answer.granted for answer in voter.network.take(PreVoteAnswer)] == [True]
    await voter.lead()
    voter.receive(2, request(term=9, last=(9, 9)))
    assert [answer.granted for answer in voter.network.take(PreVoteAnswer)] == [False]


async def test_a_closed_link_to_the_leader_hurries(lone_voter):
    voter = await lone_voter().open()
    voter.now = 50.0
    voter.receive(3, heartbeat())
    voter.core.set_election_deadline(50.4)
    voter.transport.peer_changed(2, False)
    assert voter.core.election_deadline() == 50.4, "that was not the leader"
    voter.transport.peer_changed(3, False)
    assert 50 <= voter.core.election_deadline() <= 50 + HURRY_MAX_S
    voter.receive(2, request(term=5))
    assert [answer.granted for answer in voter.network.take(PreVoteAnswer)] == [True]


@pytest.mark.parametrize(("other", "makes_way"), [(2, True), (0, False)])
async def test_of_two_candidates_the_lower_id_makes_way(lone_voter, other, makes_way):
    voter = await lone_voter(others=(other, 3)).open()
    (question, *_) = await ask(voter)
    voter.core.set_election_deadline(voter.now + 0.001)
    voter.receive(other, request())
    assert (voter.core.election_deadline() > voter.now + 0.01) is makes_way
    voter.receive(3, PreVoteAnswer(round=question.round, term=0, granted=True))
    assert (voter.core.election_deadline() < voter.now) is not makes_way
