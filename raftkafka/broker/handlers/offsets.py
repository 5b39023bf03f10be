"""ListOffsets and OffsetForLeaderEpoch: where things are in the logs that this broker leads.

Floor 3.
"""

from __future__ import annotations

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.model.api.offsets import (
    EARLIEST,
    LATEST,
    MAX_TIMESTAMP,
    ListOffsets,
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsResponse,
    OffsetForLeaderEpoch,
    OffsetForLeaderEpochPartition,
    OffsetForLeaderEpochPartitionResponse,
    OffsetForLeaderEpochResponse,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode, StorageError
from raftkafka.model.ids import (
    NO_EPOCH,
    NO_NODE,
    NO_OFFSET,
    NO_TIMESTAMP,
    LeaderEpoch,
    PartitionIndex,
    TopicId,
    TopicPartition,
)


class OffsetsHandler:
    def __init__(self, *, replicas: ReplicaTable, store: MetadataStore) -> None:
        self._replicas = replicas
        self._store = store

    def list_offsets(self, context: RequestContext, request: ListOffsets) -> ListOffsetsResponse:
        replica = request.replica_id != NO_NODE and request.replica_id == context.node_id
        return ListOffsetsResponse(
            partitions=tuple(self._list_one(wanted, replica=replica) for wanted in request.partitions)
        )

    def _list_one(self, wanted: ListOffsetsPartition, *, replica: bool) -> ListOffsetsPartitionResponse:
        partition: Partition | None = None
        try:
            partition = self._leading(wanted.topic_id, wanted.partition, wanted.current_leader_epoch)
            return self._find(partition, wanted, replica=replica)
        except ApiError as error:
            code = error.code
        except (CorruptionError, StorageError) as error:
            if partition is not None:
                partition.take_offline(error)
            code = ErrorCode.KAFKA_STORAGE_ERROR
        return ListOffsetsPartitionResponse(topic_id=wanted.topic_id, partition=wanted.partition, error_code=code)

    def _find(
        self, partition: Partition, wanted: ListOffsetsPartition, *, replica: bool
    ) -> ListOffsetsPartitionResponse:
        log = partition.log
        assert partition.leader is not None
        if wanted.timestamp != EARLIEST and not replica and not partition.leader.hw_serves_consumers():
            raise ApiError(ErrorCode.OFFSET_NOT_AVAILABLE)
        end = log.log_end_offset if replica else partition.high_watermark
        timestamp, epoch = NO_TIMESTAMP, NO_EPOCH
        if wanted.timestamp == EARLIEST:
            offset = log.log_start_offset
            epoch = log.epochs.epoch_at(offset)
        elif wanted.timestamp == LATEST:
            offset, epoch = end, partition.leader_epoch
        elif wanted.timestamp == MAX_TIMESTAMP or wanted.timestamp >= 0:
            if wanted.timestamp == MAX_TIMESTAMP:
                found = log.max_timestamp_offset(end)
            else:
                found = log.offset_for_timestamp(wanted.timestamp, end=end)
            timestamp, offset, epoch = found if found is not None else (NO_TIMESTAMP, NO_OFFSET, NO_EPOCH)
        else:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"timestamp {wanted.timestamp} has no meaning")
        return ListOffsetsPartitionResponse(
            topic_id=wanted.topic_id,
            partition=wanted.partition,
            timestamp=timestamp,
            offset=offset,
            leader_epoch=epoch,
        )

    def offset_for_leader_epoch(
        self, context: RequestContext, request: OffsetForLeaderEpoch
    ) -> OffsetForLeaderEpochResponse:
        return OffsetForLeaderEpochResponse(partitions=tuple(self._epoch_end(wanted) for wanted in request.partitions))

    def _epoch_end(self, wanted: OffsetForLeaderEpochPartition) -> OffsetForLeaderEpochPartitionResponse:
        try:
            partition = self._leading(wanted.topic_id, wanted.partition, wanted.current_leader_epoch)
        except ApiError as error:
            return OffsetForLeaderEpochPartitionResponse(
                topic_id=wanted.topic_id, partition=wanted.partition, error_code=error.code
            )
        log = partition.log
        epoch, end_offset = log.epochs.end_offset_for(wanted.leader_epoch, log.log_end_offset)
        return OffsetForLeaderEpochPartitionResponse(
            topic_id=wanted.topic_id, partition=wanted.partition, leader_epoch=epoch, end_offset=end_offset
        )

    def _leading(self, topic_id: TopicId, index: PartitionIndex, epoch: LeaderEpoch) -> Partition:
        key = TopicPartition(topic_id, index)
        partition = self._replicas.get(key)
        if partition is None:
            known = self._store.image.partition(key) is not None
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER if known else ErrorCode.UNKNOWN_TOPIC_ID)
        partition.check_leader(epoch)
        return partition
