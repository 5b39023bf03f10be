"""Metadata (3): the answer is written and read by hand, because it may describe tens of thousands of partitions.

Floor 2. A topic's bytes are kept as long as its description is among the last that were asked for: descriptions are immutable, and
brokers give out the same one until something changes. Within a topic, all that stands behind a partition's number is the
same for many of them.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import replace
from functools import lru_cache
from typing import Final

from raftkafka.model import cbor
from raftkafka.model.api.cluster import BrokerEndpoint, Metadata, MetadataResponse, PartitionMetadata, TopicMetadata
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import LeaderEpoch, NodeId, PartitionIndex
from raftkafka.wire.native.fields import (
    BOOL,
    COUNT,
    ERROR,
    ID,
    INT32_MAX,
    PORT,
    STRING,
    UUID,
    Buffer,
    Field,
    Shape,
    array,
    decode_error,
    malformed,
    nullable,
)
from raftkafka.wire.native.rows import without_records

REMEMBERED_PARTITIONS_MIN: Final = 16
"""Smaller topics are written as fast as they are looked up."""
REMEMBERED_BYTES_MAX: Final = 16 << 20

_FRAME: Final = struct.Struct(">II")
_ARRAY: Final = struct.Struct(">BI")
_PARTITION: Final = struct.Struct(">BBI")
_TAILS_MAX: Final = 16_384

BROKER_ENDPOINT: Final = Shape(BrokerEndpoint, node_id=ID, host=STRING, port=PORT, rack=nullable(STRING))


def _decode_partition(item: object) -> PartitionMetadata:
    """In a third of the time that a `Shape` takes."""
    if type(item) is not list or len(item) != 7:
        malformed("expected PartitionMetadata")
    partition, error, leader, epoch, replicas, isr, offline = item
    if (
        type(partition) is not int
        or not 0 <= partition <= INT32_MAX
        or type(leader) is not int
        or not -1 <= leader <= INT32_MAX
        or type(epoch) is not int
        or not -1 <= epoch <= INT32_MAX
        or type(replicas) is not list
        or type(isr) is not list
        or type(offline) is not list
    ):
        malformed("a field of PartitionMetadata has the wrong type or range")
    for nodes in (replicas, isr, offline):
        for node in nodes:
            if type(node) is not int or not -1 <= node <= INT32_MAX:
                malformed("expected id")
    return PartitionMetadata(
        partition=PartitionIndex(partition),
        error_code=ErrorCode.NONE if error == 0 else decode_error(error),
        leader_id=NodeId(leader),
        leader_epoch=LeaderEpoch(epoch),
        replica_nodes=tuple(replicas),
        isr_nodes=tuple(isr),
        offline_replicas=tuple(offline),
    )


PARTITION_METADATA: Final = Shape(
    PartitionMetadata,
    partition=COUNT,
    error_code=ERROR,
    leader_id=ID,
    leader_epoch=ID,
    replica_nodes=array(ID),
    isr_nodes=array(ID),
    offline_replicas=array(ID),
)
TOPIC_METADATA: Final = Shape(
    TopicMetadata,
    name=STRING,
    topic_id=UUID,
    error_code=ERROR,
    is_internal=BOOL,
    partitions=array(Field(PARTITION_METADATA.name, PARTITION_METADATA.encode, _decode_partition)),
)


class _Remembered:
    """The bytes of topics, by the very value that describes them; who was not asked for longest goes first."""

    def __init__(self) -> None:
        self._topics: OrderedDict[int, tuple[TopicMetadata, bytes]] = OrderedDict()
        self._bytes = 0

    def packed(self, topic: TopicMetadata) -> bytes:
        if len(topic.partitions) < REMEMBERED_PARTITIONS_MIN:
            return _pack_topic(topic)
        known = self._topics.get(id(topic))  # held below, so that nothing else can have its id
        if known is not None:
            self._topics.move_to_end(id(topic))
            return known[1]
        packed = _pack_topic(topic)
        self._topics[id(topic)] = topic, packed
        self._bytes += len(packed)
        while self._bytes > REMEMBERED_BYTES_MAX:
            _, (_, forgotten) = self._topics.popitem(last=False)
            self._bytes -= len(forgotten)
        return packed


_REMEMBERED: Final = _Remembered()


def _array(count: int) -> bytes:
    """CBOR's head of an array of `count` items that follow (RFC 8949, 3: major type 4, a length of four bytes)."""
    return _ARRAY.pack(0x9A, count)


def _pack_topic(topic: TopicMetadata) -> bytes:
    parts = [b"\x85"]
    fields = (topic.name, bytes(topic.topic_id), int(topic.error_code), topic.is_internal)
    parts += map(cbor.encode, fields)
    parts.append(_array(len(topic.partitions)))
    head = _PARTITION.pack
    for each in topic.partitions:
        parts.append(head(0x87, 0x1A, each.partition))
        parts.append(
            _tail(
                each.error_code,
                each.leader_id,
                each.leader_epoch,
                each.replica_nodes,
                each.isr_nodes,
                each.offline_replicas,
            )
        )
    return b"".join(parts)


@lru_cache(_TAILS_MAX)
def _tail(  # noqa: PLR0917 - positional, because it is asked for every partition
    error: ErrorCode,
    leader: NodeId,
    epoch: LeaderEpoch,
    replicas: tuple[NodeId, ...],
    isr: tuple[NodeId, ...],
    offline: tuple[NodeId, ...],
) -> bytes:
    """What stands behind the number of a partition."""
    return b"".join(map(cbor.encode, (int(error), int(leader), int(epoch), replicas, isr, offline)))


def pack_metadata_response(correlation_id: int, response: MetadataResponse) -> list[Buffer]:
    """Header `[correlation id, [brokers, cluster_id, controller_id, topics, throttle_time_ms]]`."""
    brokers = [BROKER_ENDPOINT.encode(each) for each in response.brokers]
    start = (brokers, response.cluster_id, int(response.controller_id))
    header = b"".join(
        (
            b"\x82",
            cbor.encode(correlation_id),
            b"\x85",
            *map(cbor.encode, start),
            _array(len(response.topics)),
            *map(_REMEMBERED.packed, response.topics),
            cbor.encode(response.throttle_time_ms),
        )
    )
    return [_FRAME.pack(4 + len(header), len(header)) + header]


METADATA: Final = replace(
    without_records(
        Shape(Metadata, topics=nullable(array(STRING)), allow_auto_topic_creation=BOOL),
        Shape(
            MetadataResponse,
            brokers=array(BROKER_ENDPOINT.field),
            cluster_id=STRING,
            controller_id=ID,
            topics=array(TOPIC_METADATA.field),
            throttle_time_ms=COUNT,
        ),
    ),
    pack_response=pack_metadata_response,
)
