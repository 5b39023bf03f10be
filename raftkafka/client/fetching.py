"""Keeps fetched batches ready for the application: one long poll per leader, the next one while the last is read. Floor 3.

Bounds: of a partition at most `max_partition_fetch_bytes` are buffered when the next fetch leaves, of all partitions together at most
`fetch_max_bytes` (and a batch that alone is larger, KIP-74). A partition whose reader is slow drops out of the fetches; while
it does, the others are polled shortly, so that it gets back in soon.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from raftkafka.client.backoff import Backoff
from raftkafka.client.buffered import receive
from raftkafka.client.channels import Channel
from raftkafka.client.lookups import Lookups
from raftkafka.client.partition_fetch import PartitionFetch
from raftkafka.client.routing import Router
from raftkafka.client.silence import SILENCE_S, Owed
from raftkafka.client.types import TopicPartition
from raftkafka.model.api import Response
from raftkafka.model.api.fetch import Fetch, FetchPartition, FetchPartitionResponse, FetchResponse
from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode, ProtocolError, RaftKafkaError
from raftkafka.model.ids import NO_NODE, NodeId, Offset, PartitionIndex, TimestampMs
from raftkafka.model.ids import TopicPartition as PartitionId
from raftkafka.replica.fetch_session import AskingSession

_log = logging.getLogger("raftkafka.client")

LANE: Final = "fetch"
SHORT_WAIT_MS: Final = 20
"""`max_wait_ms` of a fetch that leaves a partition out because its buffer is full."""


LEADER_ONLY_S: Final = 1.0
"""After a replica did not serve, how long the leader is not asked for another one."""

_ASK_WHOLE: Final = frozenset({ErrorCode.FETCH_SESSION_ID_NOT_FOUND, ErrorCode.INVALID_FETCH_SESSION_EPOCH})


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """Sizes in bytes; `auto_offset_reset` is LATEST, EARLIEST, or None to raise an error."""

    fetch_min_bytes: int
    fetch_max_bytes: int
    fetch_max_wait_ms: int
    max_partition_fetch_bytes: int
    check_crcs: bool
    auto_offset_reset: TimestampMs | None
    request_timeout_s: float
    lookup_timeout_s: float
    backoff: Backoff
    client_rack: str
    preferred_for_s: float
    isolation_level: int


class _Request:
    """A fetch under way, with the generation of each partition when it was asked."""

    __slots__ = ("asked", "channel", "node", "whole")

    def __init__(
        self, node: NodeId, channel: Channel, asked: dict[PartitionId, tuple[PartitionFetch, int]], *, whole: bool
    ) -> None:
        self.node = node
        self.channel = channel
        self.asked = asked
        self.whole = whole


class Fetcher:
    """All assigned partitions of one consumer. `wake` after anything was changed or read."""

    def __init__(self, *, router: Router, settings: FetchSettings, random: Random) -> None:
        self.states: dict[TopicPartition, PartitionFetch] = {}
        self.arrived = asyncio.Event()
        """Set when there is something to read or to raise."""
        self.also_track: frozenset[str] = frozenset()
        """Topics that are of interest without being read here."""
        self._router = router
        self._settings = settings
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._pumping = False
        self._stopped = False
        self._busy: set[NodeId] = set()
        """Nodes that are being dialled or have a fetch under way."""
        self._sessions: dict[NodeId, AskingSession] = {}
        self._owed: Owed[_Request] = Owed(
            router=router,
            moved=lambda sent: any(self._leader_moved(state) for state, _ in sent.asked.values()),
            abandon=lambda sent: sent.channel.abort(),
            silence_s=SILENCE_S,
        )
        self._lookups = Lookups(
            router=router,
            timeout_s=settings.lookup_timeout_s,
            isolation_level=settings.isolation_level,
            on_found=self.found,
            on_error=self.fail,
        )
        self._timer: asyncio.TimerHandle | None = None
        router.on_update.append(self._on_update)

    def assign(self, partitions: Iterable[TopicPartition], *, positioned: bool = False) -> None:
        """Fetch these and no others; those that were assigned before keep their positions and buffers.

        New ones begin where the reset policy says, or (`positioned`) wait until the caller has set a position.
        """
        wanted = list(dict.fromkeys(partitions))
        for gone in self.states.keys() - set(wanted):
            self.states.pop(gone).generation += 1
        for tp in wanted:
            if tp not in self.states:
                self.states[tp] = state = PartitionFetch(tp)
                if positioned:
                    continue
                self.lose_position(state, "no position is set and auto_offset_reset is 'none'")
        self._router.track_only({tp.topic for tp in wanted} | self.also_track)
        self.wake()

    def wake(self) -> None:
        if not self._pumping and not self._stopped:
            self._pumping = True
            self._loop.call_soon(self._pump)

    async def stop(self) -> None:
        self._stopped = True
        self._router.on_update.remove(self._on_update)
        self._owed.stop()
        if self._timer is not None:
            self._timer.cancel()
        await self._lookups.stop()

    # Asking

    def _pump(self) -> None:
        self._pumping = False
        if self._stopped:
            return
        now = self._loop.time()
        by_node: dict[NodeId, list[PartitionFetch]] = {}
        crowded: set[NodeId] = set()
        to_look_up: list[PartitionFetch] = []
        next_try = None
        buffered_bytes = sum(state.buffered.bytes for state in self.states.values())
        for state in self.states.values():
            if state.error is not None or state.in_flight:
                continue
            if state.reset_to is not None:
                if not state.looking_up:
                    to_look_up.append(state)
                continue
            if state.paused or state.fetch_offset < 0:
                continue
            if state.not_before > now:
                next_try = state.not_before if next_try is None else min(next_try, state.not_before)
                continue
            leadership = self._router.view.leadership(*state.topic_partition)
            if leadership is None or leadership.leader == NO_NODE:
                self._router.request_update()
                continue
            node = state.read_from(leadership.leader, now)
            if state.buffered.bytes >= self._settings.max_partition_fetch_bytes:
                crowded.add(node)
            else:
                by_node.setdefault(node, []).append(state)
        if to_look_up:
            self._lookups.begin(to_look_up)
        if buffered_bytes < self._settings.fetch_max_bytes:
            share = (self._settings.fetch_max_bytes - buffered_bytes) // max(1, len(by_node.keys() | self._busy))
            for node, states in by_node.items():
                if node not in self._busy:
                    self._fetch(node, states, max_bytes=max(1, share), crowded=node in crowded)
        if next_try is not None:
            self._wake_at(next_try)

    def _wake_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self.wake)

    def _fetch(self, node: NodeId, states: list[PartitionFetch], *, max_bytes: int, crowded: bool) -> None:
        self._busy.add(node)
        channel = self._router.live_channel(node, lane=LANE)
        if channel is None:
            self._router.dial(node, lane=LANE, on_done=partial(self._dialled, node, states))
            return
        settings = self._settings
        wait_ms = min(SHORT_WAIT_MS, settings.fetch_max_wait_ms) if crowded else settings.fetch_max_wait_ms
        session = self._sessions.get(node)
        if session is None:
            session = self._sessions[node] = AskingSession()
        asked = {self._key(state): (state, state.generation) for state in states}
        sent = _Request(node, channel, asked, whole=session.is_whole)
        for key in [key for key in session.rows if key not in asked]:
            session.forget(key)
        request = Fetch(
            max_wait_ms=wait_ms,
            min_bytes=settings.fetch_min_bytes,
            max_bytes=max_bytes,
            isolation_level=settings.isolation_level,
            session_id=session.session_id,
            session_epoch=session.epoch,
            partitions=tuple(
                [row for key, state in zip(asked, states, strict=True) if (row := self._row(session, key, state))]
            ),
            forgotten=session.take_forgotten(),
            rack_id=self._rack(node, states),
        )
        self._owed.add(sent, due_s=wait_ms / 1000)
        for state in states:
            state.in_flight = True
        timeout_s = settings.request_timeout_s + wait_ms / 1000
        try:
            channel.ask(request, timeout_s=timeout_s, on_answer=partial(self._answered, sent))
        except RaftKafkaError as error:
            self._answered(sent, error)

    def _key(self, state: PartitionFetch) -> PartitionId:
        name, partition = state.topic_partition
        topic = self._router.view.topic(name)
        assert topic is not None, "a leader was found for it"
        return PartitionId(topic.topic_id, PartitionIndex(partition))

    def _row(self, session: AskingSession, key: PartitionId, state: PartitionFetch) -> FetchPartition | None:
        """What the request has to say of a partition; None where the session knows it."""
        leadership = self._router.view.leadership(*state.topic_partition)
        assert leadership is not None
        epoch = state.tried_epoch = leadership.leader_epoch
        known = session.rows.get(key)
        if known is not None and known.fetch_offset == state.fetch_offset and known.current_leader_epoch == epoch:
            return None
        row = FetchPartition(
            topic_id=key.topic_id,
            partition=key.partition,
            current_leader_epoch=epoch,
            fetch_offset=Offset(state.fetch_offset),
            max_bytes=self._settings.max_partition_fetch_bytes,
        )
        session.ask(key, row)
        return row

    def _rack(self, node: NodeId, states: list[PartitionFetch]) -> str:
        """Given to whoever shall serve, or name, the nearest replica; a leader that shall serve itself is not told."""
        rack = self._settings.client_rack
        if not rack or any(state.preferred == node for state in states):
            return rack
        now = self._loop.time()
        return "" if any(state.leader_only_until > now for state in states) else rack

    def _dialled(self, node: NodeId, states: list[PartitionFetch], error: RaftKafkaError | None) -> None:
        self._busy.discard(node)
        if error is not None:
            for state in states:
                self._turn_away(state, node)
                self._hold_back(state)
        self.wake()

    def _listens_again(self, node: NodeId) -> None:
        self._busy.discard(node)
        if not self._stopped:
            self.wake()

    # Answers

    def _answered(self, sent: _Request, answer: Response | RaftKafkaError) -> None:
        asked = sent.asked
        self._busy.discard(sent.node)
        self._owed.discard(sent)
        for state, _ in asked.values():
            state.in_flight = False
        if self._stopped:
            return
        session = self._sessions[sent.node]
        if isinstance(answer, FetchResponse):
            if answer.throttle_time_ms:
                # It listens to nothing meanwhile (KIP-219): what is asked would only run out of time.
                self._busy.add(sent.node)
                self._loop.call_later(answer.throttle_time_ms / 1000, self._listens_again, sent.node)
            if answer.error_code is not ErrorCode.NONE:
                session.answered(answer)
                if answer.error_code not in _ASK_WHOLE:
                    self._unanswered(sent, ApiError(answer.error_code))
            elif self._fits(sent, answer):
                session.answered(answer)
                self._take_all(sent, answer)
            else:
                self._unanswered(sent, ProtocolError("the answer does not fit the request"))
        elif isinstance(answer, ApiError) and not answer.code.retriable:
            session.lost()
            for state, _ in asked.values():
                self.fail(state, answer)
        elif isinstance(answer, RaftKafkaError):
            self._unanswered(sent, answer)
        else:
            self._unanswered(sent, ProtocolError("the answer does not fit the request"))
        self.wake()

    @staticmethod
    def _fits(sent: _Request, answer: FetchResponse) -> bool:
        """All partitions that were asked for, or some of them in a session."""
        if sent.whole and len(answer.partitions) != len(sent.asked):
            return False
        return all((each.topic_id, each.partition) in sent.asked for each in answer.partitions)

    def _take_all(self, sent: _Request, answer: FetchResponse) -> None:
        silent = dict(sent.asked) if len(answer.partitions) < len(sent.asked) else {}
        for partition in answer.partitions:
            key = PartitionId(partition.topic_id, partition.partition)
            silent.pop(key, None)
            state, generation = sent.asked[key]
            if state.generation == generation:
                self._take(state, partition, sent.node)
        for state, generation in silent.values():
            if state.generation == generation:
                state.failures = 0

    def _unanswered(self, sent: _Request, error: RaftKafkaError) -> None:
        _log.debug("fetch without an answer: %s", error)
        if not isinstance(error, ApiError):
            sent.channel.abort()
        self._sessions[sent.node].lost()
        self._router.request_update()
        for state, _ in sent.asked.values():
            self._turn_away(state, sent.node)
            self._hold_back(state)

    def _leads(self, node: NodeId, state: PartitionFetch) -> bool:
        leadership = self._router.view.leadership(*state.topic_partition)
        return leadership is not None and leadership.leader == node

    def _turn_away(self, state: PartitionFetch, node: NodeId) -> None:
        """When `node` was the preferred replica, the leader is asked from now on."""
        if state.preferred == node:
            state.back_to_leader(until=self._loop.time() + LEADER_ONLY_S)

    def _take(self, state: PartitionFetch, answer: FetchPartitionResponse, node: NodeId) -> None:
        code = answer.error_code
        if code is ErrorCode.NONE and answer.preferred_read_replica not in (NO_NODE, node):
            state.preferred = answer.preferred_read_replica
            state.preferred_until = self._loop.time() + self._settings.preferred_for_s
        elif code is ErrorCode.NONE:
            state.failures = 0
            # A follower hears of the watermark later than its leader, who may have told a higher one before (I7).
            if answer.high_watermark >= state.high_watermark or self._leads(node, state):
                state.high_watermark = answer.high_watermark
            if answer.records:
                self._receive(state, answer.records)
        elif code in (ErrorCode.OFFSET_OUT_OF_RANGE, ErrorCode.OFFSET_NOT_AVAILABLE) and not self._leads(node, state):
            self._turn_away(state, node)  # that replica is behind: its leader knows better, and is asked at once
        elif code is ErrorCode.OFFSET_OUT_OF_RANGE:
            if not state.buffered:  # else what is buffered is read first; the next fetch says it again
                self.lose_position(state, f"offset {state.fetch_offset} of {state.topic_partition} is out of range")
            else:
                self._hold_back(state)
        elif code.retriable:
            self._turn_away(state, node)
            at_once = False
            if code is not ErrorCode.OFFSET_NOT_AVAILABLE:
                at_once = self._router.hint(
                    answer.topic_id, answer.partition, answer.current_leader, answer.current_leader_epoch
                )
            self._hold_back(state, at_once=at_once)
        else:
            self.fail(state, ApiError(code, str(state.topic_partition)))

    def _receive(self, state: PartitionFetch, records: memoryview | bytes) -> None:
        try:
            received = receive(records, state.fetch_offset, check_crcs=self._settings.check_crcs)
        except CorruptionError as error:
            self.fail(state, ApiError(ErrorCode.CORRUPT_MESSAGE, f"{state.topic_partition}: {error}"))
            return
        if received is None:
            self._hold_back(state)
            return
        state.buffered.add(received)
        state.fetch_offset = received.next_offset
        self.arrived.set()

    def fail(self, state: PartitionFetch, error: ApiError) -> None:
        """The application hears of it once it has read what came before."""
        state.error = error
        self.arrived.set()

    def _hold_back(self, state: PartitionFetch, *, at_once: bool = False) -> None:
        state.failures += 1
        delay_s = 0.0 if at_once else self._settings.backoff.delay_s(state.failures, self._random)
        state.not_before = self._loop.time() + delay_s
        leadership = self._router.view.leadership(*state.topic_partition)
        if leadership is not None and not at_once:
            state.tried_epoch = leadership.leader_epoch

    def _leader_moved(self, state: PartitionFetch) -> bool:
        leadership = self._router.view.leadership(*state.topic_partition)
        return leadership is not None and leadership.leader_epoch > state.tried_epoch

    def _on_update(self) -> None:
        """A refresh came in: partitions with a new leader need not wait any longer."""
        for state in self.states.values():
            if self._leader_moved(state):
                state.not_before = 0.0
                state.preferred = NO_NODE
            code = self._router.view.error(state.topic_partition.topic)
            if code is not ErrorCode.NONE and not code.retriable and state.error is None:
                self.fail(state, ApiError(code, f"topic {state.topic_partition.topic!r}"))
        self.wake()

    # Positions

    def lose_position(self, state: PartitionFetch, reason: str) -> None:
        """Nobody knows where to read: the reset policy says it, or that this is an error."""
        reset_to = self._settings.auto_offset_reset
        if reset_to is None:
            self.fail(state, ApiError(ErrorCode.OFFSET_OUT_OF_RANGE, reason))
        else:
            state.reset(reset_to)

    def found(self) -> None:
        """Positions have been set."""
        self.arrived.set()
        self.wake()
