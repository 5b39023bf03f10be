"""Produce: append to the partitions that this broker leads, and answer when the acknowledgement that was asked for holds.

Floor 3. acks=0: no answer. acks=1: the leader has appended. acks=all: the high watermark has passed the batch, which under
`log.flush.policy=group` means synced on every in-sync replica (I1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.broker.purgatory import WAIT_MAX_S, CommitWait
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.model.api.produce import Produce, ProducePartition, ProducePartitionResponse, ProduceResponse
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import Offset, TopicPartition
from raftkafka.ports.clock import Clock

ALL: Final = -1
UNKNOWN_OUTCOME: Final = "appended, but not known to be committed: the outcome is unknown"


class ProduceHandler:
    def __init__(
        self,
        *,
        replicas: ReplicaTable,
        store: MetadataStore,
        clock: Clock,
        has_lease: Callable[[], bool],
    ) -> None:
        self._replicas = replicas
        self._store = store
        self._clock = clock
        self._has_lease = has_lease

    def __call__(
        self, context: RequestContext, request: Produce
    ) -> ProduceResponse | asyncio.Future[ProduceResponse] | None:
        """Appends before it returns: the views in `request` are not touched afterwards."""
        acks = request.acks
        if acks not in (ALL, 0, 1):
            return ProduceResponse(
                partitions=tuple(
                    ProducePartitionResponse(
                        topic_id=wanted.topic_id,
                        partition=wanted.partition,
                        error_code=ErrorCode.INVALID_REQUIRED_ACKS,
                        error_message=f"acks must be -1, 0 or 1, not {acks}",
                    )
                    for wanted in request.partitions
                )
            )
        responses: list[ProducePartitionResponse] = []
        uncommitted: list[tuple[int, Partition]] = []
        for position, wanted in enumerate(request.partitions):
            try:
                partition = self._replicas.require(wanted.topic_id, wanted.partition)
                responses.append(self._append(partition, wanted, acks))
            except ApiError as error:
                responses.append(self._refusal(TopicPartition(wanted.topic_id, wanted.partition), error))
                continue
            if acks == ALL and partition.high_watermark < partition.log.log_end_offset:
                uncommitted.append((position, partition))
        if acks == 0:
            return None
        if not uncommitted:
            return ProduceResponse(partitions=tuple(responses))
        pending = PendingProduce(responses, self._has_lease)
        for position, partition in uncommitted:
            pending.await_commit(partition, position)
        return pending.start(max(0, request.timeout_ms) / 1000)

    def _append(self, partition: Partition, wanted: ProducePartition, acks: int) -> ProducePartitionResponse:
        if not self._has_lease():
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "this broker has lost touch with the controller")
        if partition.is_internal:
            # Only the coordinator knows what its groups rely on.
            raise ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Cannot append to internal topic {partition.topic}")
        appended = partition.append(
            wanted.records, epoch=wanted.leader_epoch, needs_isr=acks == ALL, now_ms=self._clock.now_ms()
        )
        return ProducePartitionResponse(
            topic_id=wanted.topic_id,
            partition=wanted.partition,
            base_offset=appended.first_offset,
            log_append_time_ms=appended.log_append_time_ms,
            log_start_offset=partition.log.log_start_offset,
        )

    def _refusal(self, key: TopicPartition, error: ApiError) -> ProducePartitionResponse:
        """The error, with the leader as the image knows it when the client asked the wrong broker (KIP-951)."""
        code = error.code
        state = self._store.image.partition(key)
        if state is None and code is ErrorCode.NOT_LEADER_OR_FOLLOWER:
            code = ErrorCode.UNKNOWN_TOPIC_ID
        response = ProducePartitionResponse(
            topic_id=key.topic_id, partition=key.partition, error_code=code, error_message=error.message
        )
        if state is None or code not in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH):
            return response
        return ProducePartitionResponse(
            topic_id=key.topic_id,
            partition=key.partition,
            error_code=code,
            error_message=error.message,
            current_leader=state.leader,
            current_leader_epoch=state.leader_epoch,
        )


class ProduceAnswer(asyncio.Future[ProduceResponse]):
    """The answer of a request that waits. Who has asked to `hear` of it does so in the turn of the loop in which the last batch is
    committed; a future tells in the next one, which a sync of 0.2 ms feels."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._on_answer: Callable[[ProduceResponse], None] | None = None

    def hear(self, on_answer: Callable[[ProduceResponse], None]) -> None:
        """At most one may; a future that is cancelled tells nothing here."""
        self._on_answer = on_answer

    def end(self, response: ProduceResponse) -> None:
        if self.done():
            return
        self.set_result(response)
        on_answer, self._on_answer = self._on_answer, None
        if on_answer is not None:
            on_answer(response)


class PendingProduce:
    """The answer to one request while some of its batches wait for their commit."""

    __slots__ = ("_future", "_has_lease", "_open", "_responses", "_timer")

    def __init__(self, responses: list[ProducePartitionResponse], has_lease: Callable[[], bool]) -> None:
        self._responses = responses
        self._has_lease = has_lease
        self._open: dict[int, tuple[Partition, CommitWait]] = {}
        self._future: ProduceAnswer | None = None
        self._timer: asyncio.TimerHandle | None = None

    def await_commit(self, partition: Partition, position: int) -> None:
        """Wait until everything appended to `partition` so far lies below the high watermark, which it does not yet."""
        wait = CommitWait(Offset(partition.log.log_end_offset - 1), partial(self._done, position))
        self._open[position] = (partition, wait)
        partition.waiting_commits.add(wait)

    def start(self, timeout_s: float) -> asyncio.Future[ProduceResponse]:
        loop = asyncio.get_running_loop()
        self._future = ProduceAnswer(loop=loop)
        self._timer = loop.call_later(min(timeout_s, WAIT_MAX_S), self._expire)
        return self._future

    def _done(self, position: int, code: ErrorCode) -> None:
        del self._open[position]
        if code is ErrorCode.NONE and not self._has_lease():
            # The lease ran out while the batch waited for a disk: somebody else may lead already (I2).
            code = ErrorCode.NOT_LEADER_OR_FOLLOWER
        if code is not ErrorCode.NONE:
            self._fail(position, code)
        if not self._open and self._future is not None:
            assert self._timer is not None
            self._timer.cancel()
            self._future.end(ProduceResponse(partitions=tuple(self._responses)))

    def _fail(self, position: int, code: ErrorCode) -> None:
        response = self._responses[position]
        self._responses[position] = ProducePartitionResponse(
            topic_id=response.topic_id, partition=response.partition, error_code=code, error_message=UNKNOWN_OUTCOME
        )

    def _expire(self) -> None:
        """The time is up: the batches stay in the log and may still be committed, so the outcome is unknown (I18)."""
        for position, (partition, wait) in self._open.items():
            partition.waiting_commits.discard(wait)
            self._fail(position, ErrorCode.REQUEST_TIMED_OUT)
        self._open.clear()
        if self._future is not None:
            self._future.end(ProduceResponse(partitions=tuple(self._responses)))
