"""Fetch: whole batches as they lie in the log, for consumers below the high watermark and for followers to the log end.

Floor 3. Nothing is decoded; every batch's CRC is checked as it is read, and a partition with damaged bytes goes offline
instead of serving them (I15). A fetch that finds less than `min_bytes` waits for `max_wait_ms`.
"""

from __future__ import annotations

import asyncio
from typing import Final

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.broker.purgatory import WAIT_MAX_S, DelayedFetch, Turns
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.model.api.fetch import EpochEndOffset, Fetch, FetchPartition, FetchPartitionResponse, FetchResponse
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode, StorageError
from raftkafka.model.ids import NO_NODE, TopicPartition

MIN_BYTES_MAX: Final = 1 << 20
"""A fetch that waits is read again at every wake-up; what it waits for bounds what that costs."""

RESPONSE_MAX_BYTES: Final = 55 << 20
"""Kafka's `fetch.max.bytes` of a broker: no request is answered with more, whatever it asks for."""


class FetchHandler:
    def __init__(self, *, replicas: ReplicaTable, store: MetadataStore) -> None:
        self._replicas = replicas
        self._store = store
        self.turns = Turns()

    def __call__(self, context: RequestContext, request: Fetch) -> FetchResponse | asyncio.Future[FetchResponse]:
        if request.replica_id != NO_NODE:
            refused = self._why_no_replica(context, request)
            if refused is not ErrorCode.NONE:
                return FetchResponse(error_code=refused, partitions=())
            self._note_progress(request)
        read = _Read(self, request)
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

    def _note_progress(self, request: Fetch) -> None:
        """What the question itself tells: how far the follower has come. Only where the logs agree up to there."""
        for wanted in request.partitions:
            partition = self._replicas.get(TopicPartition(wanted.topic_id, wanted.partition))
            if partition is None or partition.offline is not None or partition.leader is None:
                continue
            if (
                wanted.current_leader_epoch != partition.leader_epoch
                or request.replica_id not in partition.leader.replicas
            ):
                continue
            if wanted.fetch_offset > partition.log.log_end_offset or diverging(partition, wanted) is not None:
                continue
            partition.on_replica_fetch(
                request.replica_id,
                fetch_offset=wanted.fetch_offset,
                flushed_offset=wanted.flushed_offset,
                broker_epoch=request.replica_epoch,
                log_start_offset=wanted.log_start_offset,
            )

    # One partition

    def partition_of(self, wanted: FetchPartition) -> Partition | None:
        return self._replicas.get(TopicPartition(wanted.topic_id, wanted.partition))

    def check(self, wanted: FetchPartition, *, replica: bool) -> Partition:
        """The partition to read, or why not.

        Raises:
            ApiError: with the code that goes into the answer.
        """
        key = TopicPartition(wanted.topic_id, wanted.partition)
        partition = self._replicas.get(key)
        if partition is None:
            known = self._store.image.partition(key) is not None
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER if known else ErrorCode.UNKNOWN_TOPIC_ID)
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
        "_cold",
        "_delayed",
        "_full",
        "_future",
        "_handler",
        "_replica",
        "_request",
        "_responses",
        "_waited_on",
    )

    def __init__(self, handler: FetchHandler, request: Fetch) -> None:
        self._handler = handler
        self._request = request
        self._replica = request.replica_id != NO_NODE
        self._responses: list[FetchPartitionResponse] = []
        self._cold: list[tuple[int, Partition, int]] = []
        self._full = False
        self._waited_on: list[Partition] = []
        self._future: asyncio.Future[FetchResponse] | None = None
        self._delayed: DelayedFetch | None = None

    def attempt(self) -> bool:
        """Read every partition; True when the answer should go out now: enough bytes, an error, or news for a follower."""
        request = self._request
        budget = min(request.max_bytes, RESPONSE_MAX_BYTES)
        self._responses = []
        self._cold = []
        self._full = False
        total = 0
        urgent = False
        for position, wanted in enumerate(request.partitions):
            response, count = self._one(position, wanted, budget, first=total == 0)
            self._responses.append(response)
            total += count
            budget -= count
            urgent = (
                urgent
                or response.error_code is not ErrorCode.NONE
                or response.diverging_epoch is not None
                # A follower takes a new log start over at once: DeleteRecords waits for it.
                or (self._replica and 0 <= wanted.log_start_offset < response.log_start_offset)
            )
        return urgent or self._full or bool(self._cold) or total >= min(request.min_bytes, MIN_BYTES_MAX)

    def _one(
        self, position: int, wanted: FetchPartition, budget: int, *, first: bool
    ) -> tuple[FetchPartitionResponse, int]:
        try:
            partition = self._handler.check(wanted, replica=self._replica)
            if self._replica:
                cut = diverging(partition, wanted)
                if cut is not None:
                    return self._response(partition, wanted, b"", cut), 0
            end = partition.log.log_end_offset if self._replica else partition.high_watermark
            max_bytes = min(wanted.max_bytes, budget)
            # Between the watermark and the log end there is nothing to show yet, but nothing is wrong either.
            if end <= wanted.fetch_offset <= partition.log.log_end_offset or (max_bytes <= 0 and not first):
                return self._response(partition, wanted, b"", None), 0
            read = partition.log.read(wanted.fetch_offset, max_bytes=max_bytes, end=end, min_one=first)
        except ApiError as error:
            return self._handler.refusal(wanted, error.code), 0
        except (CorruptionError, StorageError) as error:
            partition.take_offline(error)
            return self._handler.refusal(wanted, ErrorCode.KAFKA_STORAGE_ERROR), 0
        if read is None:
            self._cold.append((position, partition, max_bytes))
            return self._response(partition, wanted, b"", None), max_bytes
        # More is there than fits: to wait longer would not make this answer any larger.
        self._full = self._full or read.next_offset < end
        return self._response(partition, wanted, read.records, None), len(read.records)

    def _response(
        self, partition: Partition, wanted: FetchPartition, records: bytes | memoryview, cut: EpochEndOffset | None
    ) -> FetchPartitionResponse:
        return FetchPartitionResponse(
            topic_id=wanted.topic_id,
            partition=wanted.partition,
            high_watermark=partition.high_watermark,
            last_stable_offset=partition.high_watermark,
            log_start_offset=partition.log.log_start_offset,
            diverging_epoch=cut,
            records=records,
        )

    # Answering

    def answer(self) -> FetchResponse | asyncio.Future[FetchResponse]:
        if self._cold:
            return asyncio.ensure_future(self._read_cold())
        self._count()
        return FetchResponse(partitions=tuple(self._responses))

    def _count(self) -> None:
        for wanted, response in zip(self._request.partitions, self._responses, strict=True):
            if len(response.records):
                partition = self._handler.partition_of(wanted)
                if partition is not None:
                    partition.counters.bytes_out += len(response.records)

    async def _read_cold(self) -> FetchResponse:
        """Bytes that are not in the page cache are read off the loop, so that the others need not wait for the disk."""
        first = True
        for position, partition, max_bytes in self._cold:
            wanted = self._request.partitions[position]
            end = partition.log.log_end_offset if self._replica else partition.high_watermark
            try:
                read = await partition.log.read_cold(wanted.fetch_offset, max_bytes=max_bytes, end=end, min_one=first)
                self._responses[position] = self._response(partition, wanted, read.records, None)
                first = False
            except ApiError as error:
                self._responses[position] = self._handler.refusal(wanted, error.code)
            except (CorruptionError, StorageError) as error:
                partition.take_offline(error)
                self._responses[position] = self._handler.refusal(wanted, ErrorCode.KAFKA_STORAGE_ERROR)
        self._cold = []
        self._count()
        return FetchResponse(partitions=tuple(self._responses))

    # Waiting

    def wait(self) -> asyncio.Future[FetchResponse]:
        self._future = asyncio.get_running_loop().create_future()
        self._delayed = DelayedFetch(
            attempt=self._again,
            leave=self._leave,
            max_wait_s=min(self._request.max_wait_ms / 1000, WAIT_MAX_S),
            turns=self._handler.turns,
            partitions=len(self._request.partitions),
        )
        for wanted in self._request.partitions:
            partition = self._handler.partition_of(wanted)
            if partition is not None:
                partition.waiting_fetches.join(self._delayed, follower=self._replica)
                self._waited_on.append(partition)
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
        for partition in self._waited_on:
            partition.waiting_fetches.leave(delayed)
        self._waited_on = []
