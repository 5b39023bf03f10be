"""The round of questions before an election: nobody raises the term who could not win.

Floor 4, no I/O of its own. The eighth mend (docs/adr/0002): without it a node that was cut off comes back with a high term and deposes a
healthy leader. Raft thesis, 9.6. Invariants: asking and answering change nobody's term or vote; a voter that hears from
a leader grants nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Final

from raftkafka.adapters.raft.core import RaftCore
from raftkafka.adapters.raft.messages import Message, PreVoteAnswer, PreVoteRequest
from raftkafka.adapters.raft.voters import Quorum
from raftkafka.model.ids import NodeId

HURRY_MAX_S: Final = 0.05
"""After a closed link to the leader the candidates spread over this time, so that one of them wins at once."""
_NOW: Final = -1.0


class PreVote:
    """Times are seconds of the loop's clock; `silence_s` without a leader make a voter willing."""

    def __init__(
        self,
        *,
        core: RaftCore,
        quorum: Quorum,
        silence_s: float,
        random: Random,
        send: Callable[[NodeId, Message], object],
    ) -> None:
        self._core = core
        self._own_id = core.own_id()
        self._quorum = quorum
        self._silence_s = silence_s
        self._random = random
        self._send = send
        self._heard_at = -math.inf
        self._round = 0
        self._granted: set[NodeId] = set()
        self._asked_term: int | None = None  # None: no round is open
        self._won = False

    def hold_back(self, now: float) -> None:
        """Before a tick of the library: where it would start an election, ask first, unless a round has been won."""
        core = self._core
        if core.is_leader or core.election_deadline() >= now:
            return
        if not self._quorum.may_campaign(core.commit_index):
            # Who has no vote only notes that it hears of no leader.
            self._won = False
            core.set_election_deadline(now + core.next_election_timeout())
            core.forget_leader()
            return
        others = self._quorum.others
        if not others:
            return
        if self._won:
            self._won = False
            return
        core.set_election_deadline(now + core.next_election_timeout())
        core.forget_leader()
        self._round += 1
        self._granted = set()
        self._asked_term = core.term + 1
        _, last_index, last_term = core.last_entry()
        request = PreVoteRequest(round=self._round, term=self._asked_term, last_index=last_index, last_term=last_term)
        for voter in others:
            self._send(voter, request)

    def heard_from_leader(self, now: float) -> None:
        self._heard_at = now
        self._won, self._asked_term = False, None

    def leader_link_closed(self, now: float) -> None:
        """News: do not wait for the silence. The other voters are asked as ever, and know better if it was only us."""
        self._heard_at = -math.inf
        self._hurry(now)

    def link_opened(self, now: float) -> None:
        """A voter that has heard of no leader asks whom it can reach: a cluster that starts need not wait."""
        if self._heard_at == -math.inf and not self._core.is_leader:
            self._hurry(now)

    def _hurry(self, now: float) -> None:
        soon = now + self._random.uniform(0, HURRY_MAX_S)
        self._core.set_election_deadline(min(self._core.election_deadline(), soon))

    def on_request(self, voter: NodeId, request: PreVoteRequest, now: float) -> None:
        core = self._core
        _, last_index, last_term = core.last_entry()
        granted = (
            request.term > core.term
            and (request.last_term, request.last_index) >= (last_term, last_index)
            and not core.is_leader
            and now - self._heard_at >= self._silence_s
        )
        self._send(voter, PreVoteAnswer(round=request.round, term=core.term, granted=granted))
        if granted:
            self._make_way(voter, now)

    def _make_way(self, voter: NodeId, now: float) -> None:
        """Two candidates at once split the votes: whoever was asked first, or has the lower id, waits for the other."""
        if self._won or (self._asked_term is not None and self._own_id > voter):
            return
        self._asked_term = None
        later = now + self._random.uniform(HURRY_MAX_S, 2 * HURRY_MAX_S)
        self._core.set_election_deadline(max(self._core.election_deadline(), later))

    def on_answer(self, voter: NodeId, answer: PreVoteAnswer) -> None:
        core = self._core
        if self._asked_term is None or answer.round != self._round or core.is_leader:
            return
        if answer.term > core.term:
            # Those ahead of us would refuse us for ever; their term is not ours to raise, only to learn.
            core.adopt_term(answer.term)
            self._asked_term = None
        elif answer.granted and self._asked_term == core.term + 1 and self._quorum.counts(voter):
            self._granted.add(voter)
            if self._quorum.is_majority({*self._granted, *self._quorum.own}):
                self._asked_term = None
                self._won = True
                core.set_election_deadline(_NOW)
