"""What leaves only when the disk has it: answers to a leader, votes, requests for votes.

Floor 4. Invariants: no success, vote or request for one leaves before the sync that covers everything changed before it; what
was promised in another term, or on another connection, is not sent at all; a heartbeat is answered at once, if need be with an
answer that promises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from raftkafka.adapters.raft import mends
from raftkafka.adapters.raft.core import RaftCore
from raftkafka.adapters.raft.journal import Journal
from raftkafka.adapters.raft.mends import Mends
from raftkafka.adapters.raft.messages import Answer, Vote, VoteRequest
from raftkafka.adapters.raft.network import Network
from raftkafka.model.ids import NodeId


@dataclass(slots=True, kw_only=True)
class Question:
    """The leader's message that the library is being given; `previous_index` -1 for a piece of a snapshot.

    `acknowledge_to`: the answer may vouch for no more than this index; None: for all that the library says.
    """

    number: int
    previous_index: int
    acknowledge_to: int | None = None
    is_heartbeat: bool = False
    answered: bool = False


class Promises:
    def __init__(self, *, core: RaftCore, network: Network, journal: Journal, mends_in_force: Mends) -> None:
        self._core = core
        self._network = network
        self._journal = journal
        self._mends = mends_in_force

    def answer(self, voter: NodeId, question: Question, *, next_index: int, success: bool, reset: bool) -> bool:
        """The library's answer, in the form and at the time that keeps it true."""
        question.answered = True
        if success and question.acknowledge_to is not None:
            next_index = question.acknowledge_to + 1
        if reset and next_index == question.previous_index and self._mends.back_up_by_term:
            next_index = mends.back_up_by_term(self._core, next_index)
        answer = Answer(
            term=self._core.term, number=question.number, next_index=next_index, success=success, reset=reset
        )
        if not success:
            return self._network.send(voter, answer)
        if question.is_heartbeat and not self._journal.is_durable:
            self._network.send(voter, replace(answer, success=False))
        return self.send_when_durable(voter, answer)

    def answer_alive(self, voter: NodeId, question: Question) -> None:
        """Answer what the library has not answered, promising nothing."""
        if not question.answered:
            next_index = self._core.last_entry()[1] + 1
            alive = Answer(
                term=self._core.term, number=question.number, next_index=next_index, success=False, reset=False
            )
            self._network.send(voter, alive)

    def send_when_durable(self, voter: NodeId, message: Answer | Vote | VoteRequest) -> bool:
        link = self._network.link_of(voter)

        def send() -> None:
            if message.term == self._core.term and self._network.link_of(voter) is link:
                self._network.send(voter, message)

        if self._mends.durable_promises:
            self._journal.after_durable(send)
        else:
            send()
        return link is not None
