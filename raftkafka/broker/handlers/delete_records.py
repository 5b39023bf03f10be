"""DeleteRecords: raise the log start of partitions that this broker leads (KIP-107).

Floor 3. The new log start is on the leader's disk before anything below it goes and before it is answered. Followers take it
over with their next fetch; the answer waits until the live ones say that they have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.broker.purgatory import WAIT_MAX_S
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.model.api.delete_records import (
    TO_HIGH_WATERMARK,
    DeleteRecords,
    DeleteRecordsPartition,
    DeleteRecordsPartitionResponse,
    DeleteRecordsResponse,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode, StorageError
from raftkafka.model.ids import NO_EPOCH, Offset, TopicPartition
from raftkafka.model.topics import INTERNAL_TOPICS

POLL_S: Final = 0.1
"""A replica that goes down is not waited for; nothing but looking tells."""


class DeleteRecordsHandler:
    """`save` makes the log starts of partitions durable and removes whole segments below."""

    def __init__(
        self,
        *,
        replicas: ReplicaTable,
        store: MetadataStore,
        save: Callable[[Iterable[Partition]], Awaitable[None]],
        has_lease: Callable[[], bool],
    ) -> None:
        self._replicas = replicas
        self._store = store
        self._save = save
        self._has_lease = has_lease

    async def __call__(self, context: RequestContext, request: DeleteRecords) -> DeleteRecordsResponse:
        deadline = asyncio.get_running_loop().time() + min(max(0, request.timeout_ms) / 1000, WAIT_MAX_S)
        answers: list[DeleteRecordsPartitionResponse | None] = [None] * len(request.partitions)
        raised: dict[int, tuple[Partition, Offset]] = {}
        for at, wanted in enumerate(request.partitions):
            try:
                raised[at] = self._raise(wanted)
            except ApiError as error:
                answers[at] = _refusal(wanted, error)
        try:
            await self._save([partition for partition, _ in raised.values()])
        except StorageError as error:
            # Raised, but perhaps not for good: whoever asks again learns.
            for at in raised:
                answers[at] = _refusal(
                    request.partitions[at], ApiError(ErrorCode.KAFKA_STORAGE_ERROR, f"not durable: {error}")
                )
            raised.clear()
        for at, (partition, offset) in raised.items():
            answers[at] = await self._follow_up(request.partitions[at], partition, offset, deadline)
        return DeleteRecordsResponse(partitions=tuple(answer for answer in answers if answer is not None))

    def _raise(self, wanted: DeleteRecordsPartition) -> tuple[Partition, Offset]:
        """Raise the log start in memory.

        Raises:
            ApiError: refused, nothing has changed.
        """
        key = TopicPartition(wanted.topic_id, wanted.partition)
        partition = self._replicas.get(key)
        if partition is None:
            known = self._store.image.partition(key) is not None
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER if known else ErrorCode.UNKNOWN_TOPIC_ID)
        if not self._has_lease():
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "this broker has lost touch with the controller")
        if partition.topic in INTERNAL_TOPICS:
            raise ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{partition.topic} is an internal topic")
        return partition, partition.delete_records_before(None if wanted.offset == TO_HIGH_WATERMARK else wanted.offset)

    async def _follow_up(
        self, wanted: DeleteRecordsPartition, partition: Partition, offset: Offset, deadline: float
    ) -> DeleteRecordsPartitionResponse:
        """Wait until every live replica begins at `offset` or later."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                partition.check_leader(NO_EPOCH)
            except ApiError as error:
                return _refusal(wanted, error)
            low_watermark = partition.low_watermark(self._store.image.is_active)
            if low_watermark >= offset:
                return DeleteRecordsPartitionResponse(
                    topic_id=wanted.topic_id, partition=wanted.partition, low_watermark=low_watermark
                )
            left_s = deadline - loop.time()
            if left_s <= 0:
                return _refusal(wanted, ApiError(ErrorCode.REQUEST_TIMED_OUT, "a replica has not confirmed it yet"))
            await partition.log_starts_moved(timeout_s=min(POLL_S, left_s))


def _refusal(wanted: DeleteRecordsPartition, error: ApiError) -> DeleteRecordsPartitionResponse:
    return DeleteRecordsPartitionResponse(
        topic_id=wanted.topic_id, partition=wanted.partition, error_code=error.code, error_message=error.message
    )
