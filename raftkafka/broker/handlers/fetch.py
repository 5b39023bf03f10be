"""Fetch: whole batches as they lie in the log, for consumers below the high watermark and for followers to the log end.

Floor 3. Nothing is decoded; every batch's CRC is checked as it is read, and a partition with damaged bytes goes offline
instead of serving them (I15). A fetch that finds less than `min_bytes` waits for `max_wait_ms`. Only partitions with news are
looked at (see `broker.fetch_sessions`), so that a follower of thousands of idle partitions costs next to nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from raftkafka.broker.fetch_sessions import FetchRow, FetchSession, FetchSessions
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.broker.purgatory import WAIT_MAX_S, DelayedFetch, Turns
from raftkafka.broker.replica_throttle import ReplicaThrottle
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.model.api.fetch import EpochEndOffset, Fetch, FetchPartition, FetchPartitionResponse, FetchResponse
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode, StorageError
from raftkafka.model.ids import NO_NODE, NO_OFFSET, NodeId, TopicPartition
from raftkafka.replica.fetch_session import NO_SESSION
from raftkafka.replica.leader import LeaderState

MIN_BYTES_MAX: Final = 1 << 20
"""A fetch that waits is read again at every wake-up; what it waits for bounds what that costs."""

RESPONSE_MAX_BYTES: Final = 55 << 20
"""Kafka's `fetch.max.bytes` of a broker: no request is answered with more, whatever it asks for."""

LOOK_AT_ALL_S: Final = 0.25
"""How often the partitions of a session that are not spelled out are looked at: for the lag of their follower, and for a log
start that moved."""

SelectsReplica = Callable[[Partition, FetchPartition, str], NodeId]
"""Where a consumer in that rack should read this partition; NO_NODE: from the leader."""


class FetchHandler:
    """`select_replica` is None where consumers read from leaders only (no `replica.selector.class`), `throttle` where no
    `leader.replication.throttled.rate` is set."""

    def __init__(
        self,
        *,
        replicas: ReplicaTable,
        store: MetadataStore,
        sessions: FetchSessions,
        select_replica: SelectsReplica | None = None,
        throttle: ReplicaThrottle | None = None,
    ) -> None:
        self._replicas = replicas
        self._store = store
        self._sessions = sessions
        self._now = asyncio.get_running_loop().time
        self.select_replica = select_replica
        self.throttle = throttle
        self.turns = Turns()

    def __call__(self, context: RequestContext, request: Fetch) -> FetchResponse | asyncio.Future[FetchResponse]:
        if request.replica_id != NO_NODE:
            refused = self._why_no_replica(context, request)
            if refused is not ErrorCode.NONE:
                return FetchResponse(error_code=refused, partitions=())
        now = self._now()
        try:
            session = self._sessions.open(request, now)
        except ApiError as error:
            return FetchResponse(error_code=error.code, partitions=())
        whole = request.session_epoch <= 0
        if request.replica_id != NO_NODE:
            self._note_progress(session, request)
        if not whole and now - session.looked_at >= LOOK_AT_ALL_S:
            session.looked_at = now
            self._look_at_all(session, request)
        read = _Read(self, request, session, whole=whole)
        if read.attempt() or request.max_wait_ms <= 0:
            return read.answer()
        return read.wait()

    def _why_no_replica(self, context: RequestContext, request: Fetch) -> ErrorCode:
        """Only an authenticated node may fetch as a replica, and only as itself in its present incarnation (KIP-903)."""
        if context.node_id != request.replica_id:
            return ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        broker = self._store.image.brokers.get(request.replica_id)
        if broker is not None and request.replica_epoch < broker.epoch:
            return ErrorCode.STALE_BROKER_EPOCH
        return ErrorCode.NONE

    def _note_progress(self, session: FetchSession, request: Fetch) -> None:
        """What the question itself tells: how far the follower has come. Only where the logs agree up to there."""
        for wanted in request.partitions:
            key = TopicPartition(wanted.topic_id, wanted.partition)
            partition = self._replicas.get(key)
            if partition is not None and partition.leader is not None:
                self._note(session.rows[key], partition, partition.leader, request)

    def _note(self, row: FetchRow, partition: Partition, leader: LeaderState, request: Fetch) -> None:
        wanted = row.asked
        if (
            partition.offline is not None
            or wanted.current_leader_epoch != partition.leader_epoch
            or request.replica_id not in leader.replicas
        ):
            return
        if wanted.fetch_offset > partition.log.log_end_offset or diverging(partition, wanted) is not None:
            return
        row.noted_epoch = partition.leader_epoch
        partition.on_replica_fetch(
            request.replica_id,
            fetch_offset=wanted.fetch_offset,
            flushed_offset=wanted.flushed_offset,
            broker_epoch=request.replica_epoch,
            log_start_offset=wanted.log_start_offset,
        )

    def _look_at_all(self, session: FetchSession, request: Fetch) -> None:
        """What a request does not spell out it repeats: the follower is where it was, and alive."""
        for row in session.rows.values():
            partition = row.partition
            if partition is None:
                continue
            if partition.log.log_start_offset != row.sent_log_start:
                session.due[row] = None
            leader = partition.leader
            if leader is None:
                continue
            follower = leader.follower(request.replica_id)
            if follower is not None and follower.fetch_offset >= 0 and row.noted_epoch == partition.leader_epoch:
                partition.on_replica_waits(request.replica_id, broker_epoch=request.replica_epoch)
            else:
                # It may have learned earlier than this node that it is a replica: then what it asked was nobody's progress,
                # and as long as nothing is written it has no reason to say it again.
                self._note(row, partition, leader, request)

    # One partition

    def check(self, row: FetchRow, *, replica: bool, rack_id: str) -> Partition:
        """The partition to read, or why not.

        Raises:
            ApiError: with the code that goes into the answer.
        """
        wanted = row.asked
        partition = self._replicas.get(row.key)
        if partition is None:
            known = self._store.image.partition(row.key) is not None
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER if known else ErrorCode.UNKNOWN_TOPIC_ID)
        if rack_id and not replica and partition.leader is None:
            # KIP-392: a consumer that asked for the nearest replica gets what this one knows to be committed.
            partition.check_follower(wanted.current_leader_epoch)
            if partition.high_watermark < wanted.fetch_offset <= partition.log.log_end_offset:
                raise ApiError(ErrorCode.OFFSET_NOT_AVAILABLE)
            return partition
        leader = partition.check_leader(wanted.current_leader_epoch)
        if replica:
            return partition
        if not leader.hw_serves_consumers():
            # What an earlier leader showed to consumers may lie above our watermark: nothing is said until it is there.
            raise ApiError(ErrorCode.OFFSET_NOT_AVAILABLE)
        return partition

    def refusal(self, wanted: FetchPartition, code: ErrorCode) -> FetchPartitionResponse:
        key = TopicPartition(wanted.topic_id, wanted.partition)
        state = self._store.image.partition(key)
        partition = self._replicas.get(key)
        return FetchPartitionResponse(
            topic_id=wanted.topic_id,
            partition=wanted.partition,
            error_code=code,
            log_start_offset=partition.log.log_start_offset if partition is not None else wanted.log_start_offset,
            current_leader=state.leader if state is not None else NO_NODE,
            current_leader_epoch=state.leader_epoch if state is not None else wanted.current_leader_epoch,
        )

    def told(self, row: FetchRow, node_id: NodeId) -> None:
        """The answer that goes out now tells the follower `row.sent_watermark`."""
        if self.select_replica is not None and row.partition is not None and row.partition.leader is not None:
            follower = row.partition.leader.follower(node_id)
            if follower is not None:
                follower.told_watermark = row.sent_watermark


def diverging(partition: Partition, wanted: FetchPartition) -> EpochEndOffset | None:
    """Where the follower's log leaves the leader's, None where it does not (KIP-595)."""
    if wanted.last_fetched_epoch < 0:
        return None
    log = partition.log
    epoch, end_offset = log.epochs.end_offset_for(wanted.last_fetched_epoch, log.log_end_offset)
    if epoch < wanted.last_fetched_epoch or end_offset < wanted.fetch_offset:
        return EpochEndOffset(epoch=epoch, end_offset=end_offset)
    return None


class _Read:
    """One request on its way to an answer: read, perhaps wait, read again."""

    __slots__ = (
        "_answers",
        "_cold",
        "_cold_rows",
        "_delayed",
        "_full",
        "_future",
        "_handler",
        "_replica",
        "_request",
        "_session",
        "_whole",
    )

    def __init__(self, handler: FetchHandler, request: Fetch, session: FetchSession, *, whole: bool) -> None:
        self._handler = handler
        self._request = request
        self._session = session
        self._whole = whole
        self._replica = session.is_follower
        self._answers: dict[FetchRow, FetchPartitionResponse] = {}
        self._cold: list[tuple[FetchRow, Partition, int]] = []
        self._cold_rows: set[FetchRow] = set()
        self._full = False
        self._future: asyncio.Future[FetchResponse] | None = None
        self._delayed: DelayedFetch | None = None

    def attempt(self) -> bool:
        """Read what is due; True when the answer should go out now: enough bytes, an error, or news for a follower."""
        session, request = self._session, self._request
        budget = min(request.max_bytes, RESPONSE_MAX_BYTES)
        answers = self._answers = {}
        self._cold = []
        self._full = False
        total = 0
        urgent = False
        for row in list(session.due):
            response, count = self._one(row, budget, first=total == 0)
            if response is None:
                continue
            answers[row] = response
            total += count
            budget -= count
            urgent = (
                urgent
                or response.error_code is not ErrorCode.NONE
                or response.diverging_epoch is not None
                # A follower takes a new log start over at once: DeleteRecords waits for it.
                or (self._replica and 0 <= row.asked.log_start_offset < response.log_start_offset)
                or response.preferred_read_replica != NO_NODE
                or (session.hurries and not self._whole and not count)
            )
        return urgent or self._full or bool(self._cold) or total >= min(request.min_bytes, MIN_BYTES_MAX)

    def _one(self, row: FetchRow, budget: int, *, first: bool) -> tuple[FetchPartitionResponse | None, int]:
        """The answer for one partition, None where there is nothing to tell; how many bytes it has."""
        wanted = row.asked
        rack_id = self._request.rack_id
        try:
            partition = self._handler.check(row, replica=self._replica, rack_id=rack_id)
            if row.partition is not partition or not row.hears:
                row.hear_of(partition)
            if self._replica:
                cut = diverging(partition, wanted)
                if cut is not None:
                    return _response(partition, wanted, b"", cut=cut), 0
                end = partition.log.log_end_offset
            else:
                if rack_id and self._handler.select_replica is not None and partition.leader is not None:
                    nearer = self._handler.select_replica(partition, wanted, rack_id)
                    if nearer != NO_NODE:
                        return _response(partition, wanted, b"", preferred=nearer), 0
                end = partition.high_watermark
            # Between the watermark and the log end there is nothing to show yet, but nothing is wrong either.
            if end <= wanted.fetch_offset <= partition.log.log_end_offset:
                return self._nothing_to_read(row, partition), 0
            max_bytes = min(wanted.max_bytes, budget)
            if (max_bytes <= 0 and not first) or (self._handler.throttle is not None and self._is_held_up(partition)):
                return None, 0
            read = partition.log.read(wanted.fetch_offset, max_bytes=max_bytes, end=end, min_one=first)
        except ApiError as error:
            return self._handler.refusal(wanted, error.code), 0
        except (CorruptionError, StorageError) as error:
            partition.take_offline(error)
            return self._handler.refusal(wanted, ErrorCode.KAFKA_STORAGE_ERROR), 0
        if read is None:
            self._cold.append((row, partition, max_bytes))
            return _response(partition, wanted, b""), max_bytes
        # More is there than fits: to wait longer would not make this answer any larger.
        self._full = self._full or read.next_offset < end
        if not len(read.records) and read.next_offset < end:
            # The next batch is larger than what this place in the answer may have: the row stays on the list, and comes
            # first in the next answer, where it gets one batch of any size.
            return None, 0
        return _response(partition, wanted, read.records), len(read.records)

    def _is_held_up(self, partition: Partition) -> bool:
        """The throttle is exceeded for this follower; it asks again when its wait is over."""
        throttle = self._handler.throttle
        return (
            throttle is not None
            and self._replica
            and partition.leader is not None
            and self._request.replica_id not in partition.leader.isr
            and throttle.holds_up(partition)
        )

    def _nothing_to_read(self, row: FetchRow, partition: Partition) -> FetchPartitionResponse | None:
        """Then a session hears of a watermark or a log start that it does not know yet, and of nothing else."""
        log_start = partition.log.log_start_offset
        if self._whole:
            told = not self._replica or not 0 <= row.asked.log_start_offset < log_start
        else:
            told = (row.sent_watermark, row.sent_log_start) == (partition.high_watermark, log_start)
        if not told:
            return _response(partition, row.asked, b"")
        self._session.due.pop(row, None)
        return None

    # Answering

    def answer(self) -> FetchResponse | asyncio.Future[FetchResponse]:
        """Settles in this turn what each row has told, so that news from now on belong to the next answer."""
        session = self._session
        rows = list(session.rows.values()) if self._whole else list(self._answers)
        self._cold_rows = {row for row, _, _ in self._cold}
        responses = [self._settle(row) for row in rows]
        if session.session_id == NO_SESSION:
            for row in rows:
                row.hear_no_more()
        if self._cold:
            return asyncio.ensure_future(self._read_cold(rows, responses))
        return FetchResponse(partitions=tuple(responses), session_id=session.session_id)

    def _settle(self, row: FetchRow) -> FetchPartitionResponse:
        response = self._answers.get(row)
        due = self._session.due
        if response is None:
            # In a whole answer everybody has a place. Its row is off the list, or did not find room and stays there.
            if row.partition is None:
                return self._handler.refusal(row.asked, ErrorCode.NOT_LEADER_OR_FOLLOWER)
            response = _response(row.partition, row.asked, b"")
        elif response.error_code is not ErrorCode.NONE:
            row.sent_watermark = NO_OFFSET  # the row stays on the list until it is asked for differently
            return response
        elif len(response.records):
            assert row.partition is not None
            row.partition.counters.bytes_out += len(response.records)
            if self._handler.throttle is not None:
                self._count_throttled(row.partition, len(response.records))
            del due[row]
            due[row] = None
        elif (
            response.diverging_epoch is None
            and response.preferred_read_replica == NO_NODE
            and row not in self._cold_rows
        ):
            del due[row]
        row.sent_watermark = response.high_watermark
        row.sent_log_start = response.log_start_offset
        if self._replica:
            self._handler.told(row, self._request.replica_id)
        return response

    def _count_throttled(self, partition: Partition, count: int) -> None:
        if self._handler.throttle is not None and self._replica:
            self._handler.throttle.record(partition, count)

    async def _read_cold(self, rows: list[FetchRow], responses: list[FetchPartitionResponse]) -> FetchResponse:
        """Bytes that are not in the page cache are read off the loop, so that the others need not wait for the disk."""
        first = True
        places = {row: place for place, row in enumerate(rows)}
        for row, partition, max_bytes in self._cold:
            wanted = row.asked
            end = partition.log.log_end_offset if self._replica else partition.high_watermark
            try:
                read = await partition.log.read_cold(wanted.fetch_offset, max_bytes=max_bytes, end=end, min_one=first)
                # The leadership may have gone meanwhile, and the log been cut and continued by another leader: batches
                # of a later epoch would hide from a follower that its own log parts from the new leader's below them.
                self._handler.check(row, replica=self._replica, rack_id=self._request.rack_id)
                responses[places[row]] = _response(partition, wanted, read.records)
                partition.counters.bytes_out += len(read.records)
                self._count_throttled(partition, len(read.records))
                first = False
            except ApiError as error:
                responses[places[row]] = self._handler.refusal(wanted, error.code)
            except (CorruptionError, StorageError) as error:
                partition.take_offline(error)
                responses[places[row]] = self._handler.refusal(wanted, ErrorCode.KAFKA_STORAGE_ERROR)
        self._cold = []
        return FetchResponse(partitions=tuple(responses), session_id=self._session.session_id)

    # Waiting

    def wait(self) -> asyncio.Future[FetchResponse]:
        session = self._session
        self._future = asyncio.get_running_loop().create_future()
        self._delayed = session.delayed = DelayedFetch(
            attempt=self._again,
            leave=self._leave,
            max_wait_s=min(self._request.max_wait_ms / 1000, WAIT_MAX_S),
            turns=self._handler.turns,
            size=session.due.__len__,
        )
        # A connection that is closed cancels the future: then nobody waits any more.
        self._future.add_done_callback(self._abandoned)
        return self._future

    def _again(self, final: bool) -> bool:
        assert self._future is not None
        if self._future.done():
            return True
        try:
            if not self.attempt() and not final:
                return False
            answer = self.answer()
        except BaseException as error:
            # A fault of ours: who waits hears of it now, the loop's exception handler gets it as well.
            self._future.set_exception(error)
            raise
        if isinstance(answer, FetchResponse):
            self._future.set_result(answer)
        else:
            answer.add_done_callback(self._hand_over)
        return True

    def _hand_over(self, done: asyncio.Future[FetchResponse]) -> None:
        assert self._future is not None
        if done.cancelled():
            self._future.cancel()
        if self._future.done():
            return
        error = done.exception()
        if error is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(done.result())

    def _abandoned(self, future: asyncio.Future[FetchResponse]) -> None:
        if future.cancelled() and self._delayed is not None:
            self._delayed.cancel()

    def _leave(self, delayed: DelayedFetch) -> None:
        session = self._session
        if session.delayed is delayed:
            session.delayed = None
        if session.session_id == NO_SESSION:
            for row in session.rows.values():
                row.hear_no_more()


def _response(
    partition: Partition,
    wanted: FetchPartition,
    records: bytes | memoryview,
    *,
    cut: EpochEndOffset | None = None,
    preferred: NodeId = NO_NODE,
) -> FetchPartitionResponse:
    return FetchPartitionResponse(
        topic_id=wanted.topic_id,
        partition=wanted.partition,
        high_watermark=partition.high_watermark,
        last_stable_offset=partition.high_watermark,
        log_start_offset=partition.log.log_start_offset,
        diverging_epoch=cut,
        preferred_read_replica=preferred,
        records=records,
    )
