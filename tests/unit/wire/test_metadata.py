"""Metadata written by hand: what it means, what is remembered of it, and what is refused."""

from __future__ import annotations

import pytest

from raftkafka.model import cbor
from raftkafka.model.api.cluster import BrokerEndpoint, Metadata, MetadataResponse, PartitionMetadata, TopicMetadata
from raftkafka.model.errors import ErrorCode, ProtocolError
from raftkafka.model.ids import LeaderEpoch, NodeId, PartitionIndex, TopicId
from raftkafka.wire.native import metadata
from raftkafka.wire.native.metadata import METADATA
from raftkafka.wire.session import PREFACE, ClientSession, ServerSession


def topic(partitions: int, *, name: str = "orders") -> TopicMetadata:
    return TopicMetadata(
        name=name,
        topic_id=TopicId(name.encode().ljust(16, b".")),
        partitions=tuple(
            PartitionMetadata(
                partition=PartitionIndex(number),
                error_code=ErrorCode.NONE if number % 3 else ErrorCode.LEADER_NOT_AVAILABLE,
                leader_id=NodeId(number % 3 - 1),
                leader_epoch=LeaderEpoch(number),
                replica_nodes=(NodeId(1), NodeId(70_000)),
                isr_nodes=(NodeId(1),),
                offline_replicas=(NodeId(70_000),) if number % 2 else (),
            )
            for number in range(partitions)
        ),
    )


def response(*topics: TopicMetadata) -> MetadataResponse:
    brokers = (BrokerEndpoint(node_id=NodeId(1), host="h", port=9, rack=None),)
    return MetadataResponse(brokers=brokers, cluster_id="c", controller_id=NodeId(-1), topics=topics)


def over_the_wire(answer: MetadataResponse) -> tuple[MetadataResponse, bytes]:
    client, server = ClientSession(response_max_bytes=1 << 22), ServerSession(request_max_bytes=1 << 20)
    question = b"".join([PREFACE, *client.encode_request(7, "me", Metadata(topics=None))])
    (incoming,) = server.receive(memoryview(question)).requests
    frame = b"".join(server.encode_response(incoming, answer))
    (came,), consumed, _ = client.receive(memoryview(frame), stable=True)
    assert consumed == len(frame)
    return came.response, frame


@pytest.mark.parametrize("count", [0, 1, metadata.REMEMBERED_PARTITIONS_MIN, 1_000])
def test_written_by_hand_it_reads_as_what_it_says(count):
    answer = response(topic(count), TopicMetadata(name="gone", error_code=ErrorCode.INVALID_TOPIC_EXCEPTION))
    came, frame = over_the_wire(answer)
    assert came == answer
    plain, records = METADATA.encode_response(answer)
    assert cbor.decode(frame[8:], size_max=1 << 22) == [7, plain]
    assert records == []


def test_a_topic_that_is_described_by_the_same_value_is_written_once(monkeypatch):
    written = []
    monkeypatch.setattr(metadata, "_pack_topic", lambda each: written.append(each) or b"\x80")
    remembered = metadata._Remembered()
    large, equal, small = topic(100), topic(100), topic(1)
    for _ in range(3):
        remembered.packed(large)
        remembered.packed(small)
    assert [each is large for each in written] == [True, False, False, False]
    remembered.packed(equal)
    assert written[-1] is equal


def test_what_is_remembered_is_bounded_and_the_least_recently_asked_for_goes(monkeypatch):
    a, b, c = topic(100, name="a"), topic(100, name="b"), topic(100, name="c")
    size = len(metadata._pack_topic(a))
    monkeypatch.setattr(metadata, "REMEMBERED_BYTES_MAX", 2 * size)
    remembered = metadata._Remembered()
    first = remembered.packed(a)
    remembered.packed(b)
    assert remembered.packed(a) is first
    remembered.packed(c)
    assert remembered.packed(a) is first
    assert remembered._topics.keys() == {id(c), id(a)}
    assert remembered._bytes == 2 * size


@pytest.mark.parametrize(
    "partition",
    [
        [],
        [0, 0, 1, 1, [1], [1]],
        [-1, 0, 1, 1, [1], [1], []],
        [0, "no", 1, 1, [1], [1], []],
        [0, 0, -2, 1, [1], [1], []],
        [0, 0, 1, 1 << 31, [1], [1], []],
        [0, 0, 1, 1, 1, [1], []],
        [0, 0, 1, 1, [1], [True], []],
        [0, 0, 1, 1, [1], [1], [-2]],
        "partition",
    ],
)
def test_what_is_no_partition_is_refused(partition):
    body = [[], "c", 1, [["t", bytes(16), 0, False, [partition]]], 0]
    with pytest.raises(ProtocolError):
        METADATA.decode_response(body, memoryview(b""))
