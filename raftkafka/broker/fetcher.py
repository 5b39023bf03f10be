"""Following: one loop per leader broker fetches all partitions that follow it in one request.

Floor 3. What to do with an answer (append, truncate, start elsewhere) is decided in `replica.follower`; this file asks,
carries out, and reports in the next request how far the log and its disk have come. Truncation happens only by leader
epochs, never to the high watermark (KIP-101).

Questions are incremental (KIP-227): only partitions that were touched since the last one are looked at, and all of them every
`LOOK_AT_ALL_S`, so that thousands of idle partitions cost next to nothing. A session grows by `ROWS_MAX` partitions a question,
and a question that waits is called back by the next one of its session: neither a thousand new partitions nor one after the
other costs a question that names them all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Final

from raftkafka.broker import background
from raftkafka.broker.flusher import Flusher
from raftkafka.broker.partition import Partition
from raftkafka.broker.replica_throttle import ReplicaThrottle
from raftkafka.model.api.fetch import EpochEndOffset, Fetch, FetchPartition, FetchPartitionResponse, FetchResponse
from raftkafka.model.errors import ApiError, CorruptionError, DiskFullError, ErrorCode, StorageError
from raftkafka.model.ids import BrokerEpoch, NodeId, TimestampMs, TopicPartition
from raftkafka.model.settings.values import FlushPolicy, ReplicaSettings
from raftkafka.ports.peer import Peers, PeerUnavailableError
from raftkafka.replica import follower
from raftkafka.replica.fetch_session import AskingSession, next_epoch

_log = logging.getLogger("raftkafka.fetcher")

ROWS_MAX: Final = 500
"""Partitions named in one question, as long as the leader keeps a session: some milliseconds' work on either side."""

CALL_BACK_S: Final = 1.0
"""How long a question that was called back may take; then something is wrong with its connection."""

LANES: Final = 8
"""Without a session a changed set of partitions is asked for on another connection, because the answers of one come in order
and the request before may be parked at the leader for `replica.fetch.wait.max.ms`."""

NEW_LEADER_PAUSE_S: Final = 0.02

_ASK_WHOLE: Final = frozenset({ErrorCode.FETCH_SESSION_ID_NOT_FOUND, ErrorCode.INVALID_FETCH_SESSION_EPOCH})

LOOK_AT_ALL_S: Final = 0.25
"""How often partitions that nothing was fetched for are looked at: their log start may have moved, or they went offline."""


class LeaderFetcher:
    """Follows one leader broker."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        leader_id: NodeId,
        broker_epoch: Callable[[], BrokerEpoch],
        peers: Peers,
        settings: ReplicaSettings,
        flush_policy: FlushPolicy,
        flusher_of: Callable[[Partition], Flusher],
        now_ms: Callable[[], TimestampMs],
        throttle: ReplicaThrottle | None = None,
    ) -> None:
        self.throttle = throttle
        self._node_id = node_id
        self._leader_id = leader_id
        self._broker_epoch = broker_epoch
        self._peers = peers
        self._settings = settings
        self._group = flush_policy is FlushPolicy.GROUP
        self._flusher_of = flusher_of
        self._now_ms = now_ms
        self._partitions: dict[TopicPartition, Partition] = {}
        self._pausing: dict[TopicPartition, float] = {}
        self._refusals: dict[TopicPartition, int] = {}  # in a row, of each partition
        self._session = AskingSession()
        self._touched: dict[TopicPartition, None] = {}
        """Partitions that the next question has to look at; it looks at all of them when the last such look is too old."""
        self._looked_at = float("-inf")
        self._rows: list[FetchPartition] = []
        self._has_more = False
        """Whether there were more partitions to name than one question may."""
        self._changed = asyncio.Event()
        self._lane = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def empty(self) -> bool:
        return not self._partitions

    def add(self, partition: Partition) -> None:
        """Follow `partition` from its log end, at once."""
        self._partitions[partition.topic_partition] = partition
        self._pausing.pop(partition.topic_partition, None)
        self._refusals.pop(partition.topic_partition, None)
        self._touched[partition.topic_partition] = None
        self._changed.set()
        if self._task is None:
            self._task = background.start(self._run(), name=f"fetcher of node {self._leader_id}")

    def remove(self, key: TopicPartition) -> None:
        self._partitions.pop(key, None)
        self._pausing.pop(key, None)
        self._refusals.pop(key, None)
        self._touched[key] = None

    def stop(self) -> None:
        self._partitions.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    # The loop

    async def _run(self) -> None:
        backoff_s = self._settings.fetch_backoff_ms / 1000
        while True:
            self._changed.clear()
            unsynced = self._look()
            if not self._session.rows:
                await self._sleep(self._until_due(backoff_s))
                continue
            # The leader has yet to hear that what we hold is synced, or of further partitions, or to give us a session, in
            # which a question can be called back: such a question must not be parked.
            begins = self._session.is_whole and not self._session.refused
            question = self._question(wait=not (unsynced or self._has_more or begins))
            rows = self._session.rows
            answers = await self._ask(question)
            if not answers:
                await self._sleep(backoff_s)
                continue
            appended = 0
            for answer in answers:
                if not self._session.answered(answer):
                    _log.debug("node %d: %s, asking whole", self._leader_id, answer.error_code.name)
                    break
                appended += self._take(rows, answer)
            # A large answer says that more is waiting: then the next fetch goes out at once and the sync runs beside it.
            if appended < self._settings.fetch_max_bytes // 2 and (appended or unsynced) and not self._has_more:
                await self._synced()

    async def _sleep(self, seconds: float) -> None:
        """Rest, unless the set of partitions changes."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def _look(self) -> bool:
        """Bring the session up to date with the partitions; True when something is not synced yet.

        What is not synced stays touched, because the leader has to hear when it is.
        """
        session, now = self._session, asyncio.get_running_loop().time()
        if self._pausing:
            for key in [key for key, until in self._pausing.items() if until <= now]:
                del self._pausing[key]
                self._touched[key] = None
        if session.is_whole or now - self._looked_at >= LOOK_AT_ALL_S:
            self._looked_at = now
            for key in self._partitions:
                self._touched[key] = None
        touched, self._touched = self._touched, {}
        self._rows, self._has_more = [], False
        rows_max = len(touched) if session.refused else ROWS_MAX
        left: dict[TopicPartition, None] = {}
        for key in touched:
            if len(self._rows) >= rows_max:
                left[key] = None
                continue
            partition = self._partitions.get(key)
            if partition is None or partition.offline is not None or key in self._pausing:
                session.forget(key)
                continue
            if self.throttle is not None and (pause_s := self._held_up_s(partition)) > 0:
                self._pausing[key] = now + pause_s
                session.forget(key)
                continue
            log, row = partition.log, session.rows.get(key)
            if self._group and log.flushed_offset < log.log_end_offset:
                self._touched[key] = None
            if (
                row is None
                or row.fetch_offset != log.log_end_offset
                or row.flushed_offset != log.flushed_offset
                or row.log_start_offset != log.log_start_offset
                or row.current_leader_epoch != partition.leader_epoch
                or row.last_fetched_epoch != log.epochs.latest
            ):
                changed = self._position(partition)
                session.ask(key, changed)
                self._rows.append(changed)
        unsynced = bool(self._touched)
        if left:
            self._has_more = True
            self._touched = {**left, **self._touched}
        return unsynced

    def _held_up_s(self, partition: Partition) -> float:
        """Seconds that the throttle holds this replica up; members of the ISR are never held up (KIP-73)."""
        assert self.throttle is not None
        state = partition.state
        if state is None or self._node_id in state.isr:
            return 0.0
        return self.throttle.pause_s(partition)

    def _until_due(self, longest_s: float) -> float:
        """Seconds until the first paused partition may be asked for again."""
        now = asyncio.get_running_loop().time()
        return max(0.0, min([longest_s, *(until - now for until in self._pausing.values())]))

    def _question(self, *, wait: bool) -> Fetch:
        settings = self._settings
        wait_ms = settings.fetch_wait_max_ms if wait else 0
        if self._pausing:
            # A paused partition must not wait for the long poll of the others.
            wait_ms = min(wait_ms, ceil(1000 * self._until_due(settings.fetch_backoff_ms / 1000)))
        return Fetch(
            replica_id=self._node_id,
            replica_epoch=self._broker_epoch(),
            max_wait_ms=wait_ms,
            min_bytes=settings.fetch_min_bytes,
            max_bytes=settings.fetch_response_max_bytes,
            session_id=self._session.session_id,
            session_epoch=self._session.epoch,
            partitions=tuple(self._rows),
            forgotten=self._session.take_forgotten(),
        )

    async def _ask(self, question: Fetch) -> list[FetchResponse]:
        """The leader's answers; none when there is none.

        When the set of partitions changes meanwhile, what waits at the leader is called back, which is a question with an
        answer, too. Without a session it is given up."""
        settings = self._settings
        timeout_s = settings.fetch_wait_max_ms / 1000 + settings.lag_time_max_ms / 2000
        asked = [self._send(question, timeout_s)]
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({asked[0], changed}, return_when=asyncio.FIRST_COMPLETED)
            if not asked[0].done() and not (self._session.is_whole and question.max_wait_ms):
                if question.max_wait_ms:
                    asked.append(self._send(self._call_back(question), timeout_s))
                await asyncio.wait(asked, timeout=CALL_BACK_S)
            if not all(each.done() for each in asked):
                self._lane += 1
                self._session.lost()
                return []
            answers = [each.result() for each in asked]
        except (PeerUnavailableError, ApiError) as error:
            _log.debug("fetch from node %d: %s", self._leader_id, error)
            self._session.lost()
            return []
        finally:
            changed.cancel()
            for each in asked:
                each.cancel()
        for answer in answers:
            if answer.error_code not in _ASK_WHOLE and answer.error_code is not ErrorCode.NONE:
                _log.info("node %d refuses our fetch: %s", self._leader_id, answer.error_code.name)
                self._session.lost()
                return []
        return answers

    def _send(self, question: Fetch, timeout_s: float) -> asyncio.Task[FetchResponse]:
        async def ask() -> FetchResponse:
            answer = await self._peers.request(
                self._leader_id, question, timeout_s=timeout_s, lane=f"fetch-{self._lane % LANES}"
            )
            assert isinstance(answer, FetchResponse)
            return answer

        task = asyncio.ensure_future(ask())
        # Retrieved in any case: when this loop is cancelled in the turn in which the question failed, nobody asks for it.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    def _call_back(self, question: Fetch) -> Fetch:
        """The next question of the session, about nothing: the one that waits is answered before it."""
        return replace(
            question,
            max_wait_ms=0,
            max_bytes=0,
            session_epoch=next_epoch(question.session_epoch),
            partitions=(),
            forgotten=(),
        )

    def _position(self, partition: Partition) -> FetchPartition:
        log = partition.log
        return FetchPartition(
            topic_id=partition.topic_partition.topic_id,
            partition=partition.topic_partition.partition,
            current_leader_epoch=partition.leader_epoch,
            fetch_offset=log.log_end_offset,
            last_fetched_epoch=log.epochs.latest,
            log_start_offset=log.log_start_offset,
            flushed_offset=log.flushed_offset,
            max_bytes=self._settings.fetch_max_bytes,
        )

    # Answers

    def _take(self, rows: dict[TopicPartition, FetchPartition], answer: FetchResponse) -> int:
        """Carry out the answer; `rows` is what was asked for, in all. How many bytes were appended."""
        appended = 0
        for response in answer.partitions:
            key = TopicPartition(response.topic_id, response.partition)
            partition, wanted = self._partitions.get(key), rows.get(key)
            # Removed, or moved to another leader, while the answer was under way.
            if partition is None or wanted is None or partition.is_leader or partition.offline is not None:
                continue
            self._touched[key] = None
            try:
                count = self._take_partition(partition, wanted, response)
            except CorruptionError as error:
                partition.take_offline(error)
                continue
            except StorageError as error:
                if not isinstance(error, DiskFullError) or partition.log.offline is not None:
                    partition.device_failed(error)
                    continue
                # Nothing was changed and nothing is lost: the follower falls behind until there is space again.
                # Told once: on a full disk the program's own log needs space as well.
                if key not in self._refusals:
                    _log.warning("%s: cannot follow: %s", partition, error)
                self._pause(partition, ErrorCode.KAFKA_STORAGE_ERROR)
                continue
            if count:
                # Whole questions are answered in their order: who was served goes behind those who were not.
                self._partitions[key] = self._partitions.pop(key)
            appended += count
        return appended

    def _take_partition(self, partition: Partition, wanted: FetchPartition, response: FetchPartitionResponse) -> int:
        log = partition.log
        if (wanted.current_leader_epoch, wanted.fetch_offset) != (partition.leader_epoch, log.log_end_offset):
            # A new leader, or a log end that has moved, since the question: this answers another one.
            return 0
        if response.error_code is ErrorCode.OFFSET_OUT_OF_RANGE:
            self._start_again(partition, response)
        elif response.error_code is not ErrorCode.NONE:
            self._pause(partition, response.error_code)
        elif response.diverging_epoch is not None:
            self._truncate(partition, response.diverging_epoch)
        else:
            return self._append(partition, response)
        return 0

    def _append(self, partition: Partition, response: FetchPartitionResponse) -> int:
        appended = 0
        if len(response.records):
            try:
                appended = partition.log.append_as_follower(response.records, now_ms=self._now_ms()).bytes
            except ApiError as error:
                # What came does not continue this log: ask again from the log end.
                _log.warning("%s: the leader's answer does not fit: %s", partition, error)
                self._pause(partition, error.code)
                return 0
            if self.throttle is not None:
                self.throttle.record(partition, appended)
            if self._group or partition.log.wants_sync:
                self._flusher_of(partition).request(partition)
        if self._refusals:
            self._refusals.pop(partition.topic_partition, None)
        partition.set_follower_watermark(response.high_watermark)
        partition.log.advance_log_start(response.log_start_offset)
        return appended

    def _truncate(self, partition: Partition, diverging: EpochEndOffset) -> None:
        log = partition.log
        cut = follower.truncation_offset(epochs=log.epochs, log_end_offset=log.log_end_offset, diverging=diverging)
        _log.info("%s: diverges from the leader, truncating from offset %d to %d", partition, log.log_end_offset, cut)
        if cut < log.log_start_offset:
            log.truncate_fully_and_start_at(cut)
        else:
            log.truncate_to(cut)
        partition.truncated()

    def _start_again(self, partition: Partition, response: FetchPartitionResponse) -> None:
        log = partition.log
        start = follower.restart_offset(
            log_start_offset=log.log_start_offset,
            log_end_offset=log.log_end_offset,
            leader_log_start_offset=response.log_start_offset,
        )
        if start is None:
            self._pause(partition, ErrorCode.OFFSET_OUT_OF_RANGE)
            return
        _log.warning(
            "%s: the leader no longer has offset %d, starting again at %d", partition, log.log_end_offset, start
        )
        log.truncate_fully_and_start_at(start)
        partition.truncated()

    def _pause(self, partition: Partition, code: ErrorCode) -> None:
        _log.debug("%s: fetch answered %s", partition, code.name)
        key = partition.topic_partition
        # It is named again when the pause is over: what is not named the leader takes for a repetition of what it has refused.
        self._session.forget(key)
        refusals = self._refusals[key] = self._refusals.get(key, 0) + 1
        pause_s = self._settings.fetch_backoff_ms / 1000
        if code in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.UNKNOWN_LEADER_EPOCH):
            # The new leader learns of its election within a Raft round: ask again soon, fail-over waits for it. One that
            # starts with a thousand logs needs longer to open them, and all the longer the more often it is asked.
            pause_s = min(pause_s, NEW_LEADER_PAUSE_S * 2 ** min(refusals - 1, 10))
        self._pausing[key] = asyncio.get_running_loop().time() + pause_s

    async def _synced(self) -> None:
        """Wait until what was appended is durable, so that the next fetch tells the leader so."""
        if self._group:
            # A partition that was deleted while the answer was under way has no flusher any more.
            touched = [each for key in self._touched if (each := self._partitions.get(key)) is not None]
            for flusher in dict.fromkeys(map(self._flusher_of, touched)):
                await flusher.next_sync()


class Fetchers:
    """All leaders that this broker follows."""

    def __init__(self, make: Callable[[NodeId], LeaderFetcher]) -> None:
        self._make = make
        self._by_leader: dict[NodeId, LeaderFetcher] = {}
        self._leader_of: dict[TopicPartition, NodeId] = {}

    def set_throttle(self, throttle: ReplicaThrottle | None) -> None:
        """Let all of them share `throttle`, None for no limit; those that begin later get theirs where they are made."""
        for fetcher in self._by_leader.values():
            fetcher.throttle = throttle

    def follow(self, partition: Partition, leader_id: NodeId) -> None:
        """Fetch `partition` from `leader_id`, and from nobody else any more."""
        if self._leader_of.get(partition.topic_partition) != leader_id:
            self.forget(partition.topic_partition)
        self._leader_of[partition.topic_partition] = leader_id
        fetcher = self._by_leader.get(leader_id)
        if fetcher is None:
            fetcher = self._by_leader[leader_id] = self._make(leader_id)
        fetcher.add(partition)

    def forget(self, key: TopicPartition) -> None:
        """Stop fetching this partition."""
        leader_id = self._leader_of.pop(key, None)
        if leader_id is None:
            return
        fetcher = self._by_leader[leader_id]
        fetcher.remove(key)
        if fetcher.empty:
            fetcher.stop()
            del self._by_leader[leader_id]

    def stop(self) -> None:
        for fetcher in self._by_leader.values():
            fetcher.stop()
        self._by_leader.clear()
        self._leader_of.clear()
