"""ListOffsets and OffsetForLeaderEpoch: by time, by end, by epoch; with the checks of a fetch."""

from __future__ import annotations

import pytest

from raftkafka.broker.handlers.offsets import OffsetsHandler
from raftkafka.model.api.offsets import (
    EARLIEST,
    LATEST,
    MAX_TIMESTAMP,
    ListOffsets,
    ListOffsetsPartition,
    OffsetForLeaderEpoch,
    OffsetForLeaderEpochPartition,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import CorruptionError, ErrorCode
from raftkafka.model.ids import NO_NODE, NodeId, PartitionIndex, TopicId, TopicPartition
from raftkafka.record.build import encode_values


@pytest.fixture
async def shared(world):
    """Three records of the times 1000, 2000 and 3000, of which the first two are committed."""
    world.start_brokers(1, 2)
    world.run()
    partition = await world.leading("shared", 1, 2)
    for time in (1_000, 2_000, 3_000):
        world.send(partition, acks=1, records=memoryview(encode_values([b"x"], timestamp_ms=time)))
    await world.until(lambda: partition.log.flushed_offset == 3)
    world.ask(partition, 2, follower=2, last_fetched_epoch=0)
    assert partition.high_watermark == 2
    return partition


def listed(world, partition, timestamp: int, *, replica: int = NO_NODE, node: int = NO_NODE, epoch: int = -1):
    key = getattr(partition, "topic_partition", partition)
    answer = OffsetsHandler(replicas=world.replicas, store=world.store).list_offsets(
        RequestContext(listener="PLAINTEXT", client_address="test", node_id=NodeId(node)),
        ListOffsets(
            replica_id=NodeId(replica),
            partitions=(
                ListOffsetsPartition(
                    topic_id=key.topic_id, partition=key.partition, timestamp=timestamp, current_leader_epoch=epoch
                ),
            ),
        ),
    )
    return answer.partitions[0]


@pytest.mark.parametrize(
    ("timestamp", "offset", "found_ms"),
    [(EARLIEST, 0, -1), (LATEST, 2, -1), (MAX_TIMESTAMP, 1, 2_000), (0, 0, 1_000), (1_500, 1, 2_000), (2_500, -1, -1)],
)
async def test_a_consumer_sees_what_is_committed(world, shared, timestamp, offset, found_ms):
    answer = listed(world, shared, timestamp)
    assert (answer.error_code, answer.offset, answer.timestamp) == (ErrorCode.NONE, offset, found_ms)


async def test_a_replica_sees_the_log_end_but_only_an_authenticated_one(world, shared):
    assert listed(world, shared, LATEST, replica=2, node=2).offset == 3
    assert listed(world, shared, LATEST, replica=2, node=NO_NODE).offset == 2
    assert listed(world, shared, LATEST, replica=2, node=3).offset == 2


async def test_refusals(world, shared):
    assert listed(world, shared, -9).error_code is ErrorCode.INVALID_REQUEST
    assert listed(world, shared, LATEST, epoch=5).error_code is ErrorCode.UNKNOWN_LEADER_EPOCH
    unknown = TopicPartition(TopicId(b"x" * 16), PartitionIndex(0))
    assert listed(world, unknown, LATEST).error_code is ErrorCode.UNKNOWN_TOPIC_ID
    world.set_leader(shared.topic_partition, 2)
    assert listed(world, shared, LATEST).error_code is ErrorCode.NOT_LEADER_OR_FOLLOWER


async def test_a_new_leader_does_not_name_an_end_that_may_go_back(world, shared):
    world.set_leader(shared.topic_partition, 2)
    world.set_leader(shared.topic_partition, 1)
    assert listed(world, shared, LATEST).error_code is ErrorCode.OFFSET_NOT_AVAILABLE
    assert listed(world, shared, EARLIEST).error_code is ErrorCode.NONE


async def test_damage_found_by_a_search_takes_the_replica_offline(world, shared, monkeypatch):
    def damaged(*args, **kwargs):
        raise CorruptionError("bad bytes")

    monkeypatch.setattr(shared.log, "offset_for_timestamp", damaged)
    assert listed(world, shared, 5).error_code is ErrorCode.KAFKA_STORAGE_ERROR
    assert shared.offline is not None


async def test_the_end_of_an_epoch(world, shared):
    world.set_leader(shared.topic_partition, 2)
    world.set_leader(shared.topic_partition, 1)
    handler = OffsetsHandler(replicas=world.replicas, store=world.store)

    def end(epoch: int, current: int = -1):
        key = shared.topic_partition
        row = OffsetForLeaderEpochPartition(
            topic_id=key.topic_id, partition=key.partition, leader_epoch=epoch, current_leader_epoch=current
        )
        context = RequestContext(listener="PLAINTEXT", client_address="test")
        (answer,) = handler.offset_for_leader_epoch(context, OffsetForLeaderEpoch(partitions=(row,))).partitions
        return answer

    assert [(end(each).leader_epoch, end(each).end_offset) for each in (0, 1, 2)] == [(0, 3), (0, 3), (2, 3)]
    assert end(0, current=1).error_code is ErrorCode.FENCED_LEADER_EPOCH
