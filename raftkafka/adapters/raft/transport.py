"""Between the library and the links: every message of Raft passes here, in both directions, and is mended on the way.

Floor 4. Invariants: what promises something leaves by `promises`; a message reaches the library only in the form, and with
the numbers, that the mends allow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raftkafka.adapters.raft import mends
from raftkafka.adapters.raft.core import RaftCore, RaftNode
from raftkafka.adapters.raft.journal import Journal
from raftkafka.adapters.raft.library import Transport
from raftkafka.adapters.raft.mends import Mends, NumberedResets, OneVotePerVoter
from raftkafka.adapters.raft.messages import (
    Answer,
    AppendEntries,
    HigherTerm,
    Message,
    PreVoteAnswer,
    PreVoteRequest,
    SnapshotChunk,
    Vote,
    VoteRequest,
)
from raftkafka.adapters.raft.network import Network
from raftkafka.adapters.raft.prevote import PreVote
from raftkafka.adapters.raft.promises import Promises, Question
from raftkafka.adapters.raft.transfer import CHUNK_BYTES, IncomingTransfer, OutgoingTransfer
from raftkafka.adapters.raft.voters import Quorum
from raftkafka.model.errors import InvariantViolationError
from raftkafka.model.ids import NodeId


class RaftTransport(Transport):
    """`attach` completes it: the library needs its transport first, and the other way round."""

    def __init__(
        self,
        *,
        network: Network,
        journal: Journal,
        quorum: Quorum,
        mends_in_force: Mends,
        now: Callable[[], float],
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        super().__init__(None, None, None)
        self._network = network
        self._journal = journal
        self._quorum = quorum
        self._connected: set[NodeId] = set()
        self.observers: tuple[NodeId, ...] = ()
        """Connected nodes that are no voters, by id."""
        self._mends = mends_in_force
        self._now = now
        self._chunk_bytes = chunk_bytes
        self._core: RaftCore
        self._pre_vote: PreVote
        self._promises: Promises
        self._resets = NumberedResets()
        self._votes = OneVotePerVoter()
        self._outgoing: dict[NodeId, OutgoingTransfer] = {}
        self._incoming = IncomingTransfer()
        self._question: Question | None = None
        self.leader_heard_at: float | None = None
        """When a leader was heard last, in seconds of the loop's clock; for the metrics."""
        self.must_send = False
        """A follower waits for entries that no new entry would bring it: the driver sends at the end of the turn."""

    def attach(self, core: RaftCore, pre_vote: PreVote) -> None:
        self._core = core
        self._pre_vote = pre_vote
        self._promises = Promises(core=core, network=self._network, journal=self._journal, mends_in_force=self._mends)

    # From the library

    def send(self, node: RaftNode, message: dict[str, Any]) -> bool:
        """pysyncobj's Transport.send."""
        voter = NodeId(node.id)
        match message["type"]:
            case "append_entries":
                return self._send_append(voter, message)
            case "next_node_idx":
                assert self._question is not None, "the library answers only what it is asked"
                return self._promises.answer(
                    voter,
                    self._question,
                    next_index=message["next_node_idx"],
                    success=message["success"],
                    reset=message["reset"],
                )
            case "request_vote":
                return self._promises.send_when_durable(
                    voter,
                    VoteRequest(
                        term=message["term"],
                        last_index=message["last_log_index"],
                        last_term=message["last_log_term"],
                    ),
                )
            case "response_vote":
                return self._promises.send_when_durable(voter, Vote(term=message["term"]))
            case "apply_command":
                # Forwarding is the broker's business: it authenticates, and knows what may be retried.
                self._core.refuse_forwarded(message.get("request_id"))
                return False
            case kind:
                raise InvariantViolationError(f"pysyncobj sends a message of type {kind!r}, which has no encoding")

    def _send_append(self, voter: NodeId, message: dict[str, Any]) -> bool:
        transfer = self._outgoing.get(voter)
        if transfer is not None and transfer.term != message["term"]:
            del self._outgoing[voter]
            transfer = None
        if transfer is not None:
            return True  # chunks and their answers are the heartbeat; entries follow when the follower has asked
        if "serialized" in message:
            content, _, _ = message["serialized"]
            transfer = OutgoingTransfer(term=message["term"], content=content, chunk_bytes=self._chunk_bytes)
            self._outgoing[voter] = transfer
            return self._send_chunks(voter, transfer)
        return self._network.send(
            voter,
            AppendEntries(
                term=message["term"],
                commit_index=message["commit_index"],
                number=self._resets.next_number(),
                previous_index=message["prevLogIdx"],
                previous_term=message["prevLogTerm"],
                entries=tuple(message["entries"]),
            ),
        )

    def _send_chunks(self, voter: NodeId, transfer: OutgoingTransfer) -> bool:
        sent = True
        first = self._resets.last_number + 1
        for chunk in transfer.chunks(commit_index=self._core.commit_index, number=first):
            self._resets.last_number = chunk.number
            sent = sent and self._network.send(voter, chunk)
        return sent

    # From the links

    def receive(self, voter: NodeId, message: Message) -> None:
        match message:
            case AppendEntries():
                if self._is_from_a_leader(voter, message.term):
                    self._on_append(voter, message)
            case SnapshotChunk():
                if self._is_from_a_leader(voter, message.term):
                    self._on_chunk(voter, message)
            case Answer():
                self._on_answer(voter, message)
            case VoteRequest():
                request = {
                    "type": "request_vote",
                    "term": message.term,
                    "last_log_index": message.last_index,
                    "last_log_term": message.last_term,
                }
                self._core.receive(voter, request)
            case Vote():
                self._on_vote(voter, message)
            case PreVoteRequest():
                self._pre_vote.on_request(voter, message, self._now())
            case PreVoteAnswer():
                self._pre_vote.on_answer(voter, message)
            case HigherTerm():
                if self._core.is_leader and message.term > self._core.term:
                    self._core.adopt_term(message.term)

    def _on_vote(self, voter: NodeId, vote: Vote) -> None:
        if not self._quorum.counts(voter):
            return
        if not self._mends.one_vote_per_voter:
            self._core.receive(voter, {"type": "response_vote", "term": vote.term})
            return
        if not self._votes.is_first(voter, vote.term):
            return
        # The library counts its own vote in any case: who has none tells it of the others' when they suffice without.
        granted = self._votes.voters
        if self._quorum.is_voter:
            self._core.receive(voter, {"type": "response_vote", "term": vote.term})
        elif self._quorum.is_majority(granted):
            for each in sorted(granted):
                self._core.receive(each, {"type": "response_vote", "term": vote.term})

    def _is_from_a_leader(self, voter: NodeId, term: int) -> bool:
        if term < self._core.term:
            if self._mends.pre_vote:
                self._network.send(voter, HigherTerm(term=self._core.term))
            return False
        self.leader_heard_at = now = self._now()
        self._pre_vote.heard_from_leader(now)
        return True

    def _on_append(self, voter: NodeId, message: AppendEntries) -> None:
        acknowledge_to = None
        if self._mends.keep_matching_entries:
            message, acknowledge_to = mends.keep_matching_entries(self._core, message)
        self._question = Question(
            number=message.number,
            previous_index=message.previous_index,
            acknowledge_to=acknowledge_to,
            is_heartbeat=not message.entries,
        )
        self._core.receive(
            voter,
            {
                "type": "append_entries",
                "term": message.term,
                "commit_index": message.commit_index,
                "entries": message.entries,
                "prevLogIdx": message.previous_index,
                "prevLogTerm": message.previous_term,
            },
        )
        self._question = None

    def _on_chunk(self, voter: NodeId, message: SnapshotChunk) -> None:
        commit_index = message.commit_index
        if self._mends.own_commit_during_snapshot:
            commit_index = mends.own_commit_during_snapshot(self._core, commit_index)
        question = self._question = Question(number=message.number, previous_index=-1)
        received = {
            "type": "append_entries",
            "term": message.term,
            "commit_index": commit_index,
            "serialized": self._incoming.add(message),
        }
        self._core.receive(voter, received)
        # What a snapshot covers was committed.
        self._core.raise_commit_index(self._core.applied_index)
        self._promises.answer_alive(voter, question)
        self._question = None

    def _on_answer(self, voter: NodeId, answer: Answer) -> None:
        core = self._core
        if not core.is_leader or (self._mends.answers_of_own_term and not mends.answers_of_own_term(core, answer)):
            return
        transfer = self._outgoing.get(voter)
        if transfer is not None:
            transfer.answered(answer.number)
            self._send_chunks(voter, transfer)
            if transfer.is_done:
                del self._outgoing[voter]
                self.must_send = True
        # A voter whose disk was replaced is sent everything, and counts for nothing.
        success = answer.success and (voter in self.observers or self._quorum.counts(voter))
        reset = answer.reset
        if reset and self._mends.numbered_resets:
            reset = self._resets.honours(voter, answer)
        # Beyond its own log a leader has nothing to send, and below the first entry nobody has anything.
        next_index = max(2, min(answer.next_index, core.last_entry()[1] + 1))
        before = core.next_index(voter)
        received = {
            "type": "next_node_idx",
            "next_node_idx": next_index,
            "reset": reset,
            "success": success,
        }
        core.receive(voter, received)
        if reset:
            self.must_send = True
        else:
            # The library goes back to what was acknowledged and would send again what is under way.
            core.set_next_index(voter, max(before, core.next_index(voter)))

    def peer_changed(self, voter: NodeId, connected: bool) -> None:
        self._outgoing.pop(voter, None)
        if connected:
            self._core.peer_up(voter)
            self._connected.add(voter)
            self.regroup()
            self._pre_vote.link_opened(self._now())
            return
        self._incoming.drop()
        self._core.peer_down(voter)
        self._connected.discard(voter)
        self.regroup()
        if self._core.leader_id() == voter:
            self._pre_vote.leader_link_closed(self._now())

    def regroup(self) -> None:
        """The set of voters is another one, or a node came or went: tell the library whom to send to."""
        others = self._quorum.others
        self.observers = tuple(sorted(self._connected.difference(others)))
        self._core.use_peers(others, self.observers)
