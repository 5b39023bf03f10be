"""Produce (0): written out by hand, because every batch passes here.

Floor 2. Request body `[acks, timeout_ms, partitions]`, a partition being `[topic_id, partition, leader_epoch, bytes]`.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

from raftkafka.model import cbor
from raftkafka.model.api.keys import ApiKey
from raftkafka.model.api.produce import Produce, ProducePartition, ProducePartitionResponse, ProduceResponse
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import LeaderEpoch, NodeId, Offset, PartitionIndex, TimestampMs, TopicId
from raftkafka.wire.native.fields import (
    COUNT,
    ERROR,
    ID,
    INT32_MAX,
    INT64_MAX,
    OFFSET,
    STRING,
    UUID,
    UUID_BYTES,
    Buffer,
    Shape,
    array,
    decode_error,
    malformed,
    nullable,
)
from raftkafka.wire.native.rows import Api, split_records

_NONE: Final = ErrorCode.NONE
_MESSAGE: Final = nullable(STRING)
PRODUCE_PARTITION_RESPONSE: Final = Shape(
    ProducePartitionResponse,
    topic_id=UUID,
    partition=COUNT,
    error_code=ERROR,
    base_offset=OFFSET,
    log_append_time_ms=OFFSET,
    log_start_offset=OFFSET,
    current_leader=ID,
    current_leader_epoch=ID,
    error_message=_MESSAGE,
)
PRODUCE_RESPONSE: Final = Shape(
    ProduceResponse, partitions=array(PRODUCE_PARTITION_RESPONSE.field), throttle_time_ms=COUNT
)

# Requests and answers for one partition are written and read by one `struct` call: fixed-width integers are valid CBOR.
# The frame of an answer that went well:
_HEADER: Final = struct.Struct(">2sI4s16sBIsBQsBQ4s")
_ONE: Final = struct.Struct(">II" + _HEADER.format[1:])
_HEADER_BYTES: Final = _HEADER.size
_FIXED: Final = (b"\x82\x1a", b"\x82\x81\x89\x50", 0x1A, b"\x00", 0x1B, b"\x20", 0x1B, b"\x20\x20\xf6\x00")
# A request: up to the correlation id, and the byte count at its end. What stands between is the same again and again.
_REQUEST_HEAD: Final = struct.Struct(">II4sI")
_REQUEST_START: Final = bytes((0x85, ApiKey.PRODUCE, 0, 0x1A))
_REQUEST_END: Final = struct.Struct(">BI")
_TARGETS_MAX: Final = 1024


def encode_produce(request: Produce) -> tuple[object, list[Buffer]]:
    partitions = [
        [bytes(p.topic_id), int(p.partition), int(p.leader_epoch), len(p.records)] for p in request.partitions
    ]
    return [int(request.acks), request.timeout_ms, partitions], [p.records for p in request.partitions]


def pack_produce(correlation_id: int, client_id: str, request: Produce) -> list[Buffer] | None:
    if len(request.partitions) != 1:
        return None
    one = request.partitions[0]
    count = len(one.records)
    target = _target(client_id, request.acks, request.timeout_ms, one.topic_id, one.partition, one.leader_epoch)
    header_bytes = _REQUEST_HEAD.size - 8 + len(target) + _REQUEST_END.size
    if count > INT32_MAX:
        return None
    head = _REQUEST_HEAD.pack(4 + header_bytes + count, header_bytes, _REQUEST_START, correlation_id)
    return [head + target + _REQUEST_END.pack(0x1A, count), one.records]


@lru_cache(maxsize=_TARGETS_MAX)
def _target(  # noqa: PLR0917 - positional, as the cache wants it
    client_id: str, acks: int, timeout_ms: int, topic_id: bytes, partition: int, leader_epoch: int
) -> bytes:
    """What stands between correlation id and byte count; the count itself, encoded as 0, is cut off."""
    body = [int(acks), timeout_ms, [[bytes(topic_id), int(partition), int(leader_epoch), 0]]]
    return cbor.encode(client_id) + cbor.encode(body)[:-1]


def repeat_produce(before: Produce, records: memoryview) -> Produce:
    one = before.partitions[0]
    return Produce(
        acks=before.acks,
        timeout_ms=before.timeout_ms,
        partitions=(
            ProducePartition(
                topic_id=one.topic_id, partition=one.partition, leader_epoch=one.leader_epoch, records=records
            ),
        ),
    )


def decode_produce(body: object, records: memoryview) -> Produce:
    if type(body) is not list or len(body) != 3:
        malformed("expected Produce")
    acks, timeout_ms, items = body
    if type(acks) is not int or not -1 <= acks <= 1:
        malformed("acks of Produce is -1, 0 or 1")
    if type(timeout_ms) is not int or not 0 <= timeout_ms <= INT32_MAX or type(items) is not list:
        malformed("expected Produce")
    counts = [_check_partition(item) for item in items]
    views = (records,) if len(counts) == 1 and counts[0] == len(records) else split_records(records, counts)
    return Produce(
        acks=acks,
        timeout_ms=timeout_ms,
        partitions=tuple(
            [
                ProducePartition(
                    topic_id=TopicId(item[0]),
                    partition=PartitionIndex(item[1]),
                    leader_epoch=LeaderEpoch(item[2]),
                    records=view,
                )
                for item, view in zip(items, views, strict=True)
            ]
        ),
    )


def _check_partition(item: object) -> int:
    if type(item) is not list or len(item) != 4:
        malformed("expected ProducePartition")
    topic_id, partition, epoch, count = item
    if (
        type(topic_id) is not bytes
        or len(topic_id) != UUID_BYTES
        or type(partition) is not int
        or not 0 <= partition <= INT32_MAX
        or type(epoch) is not int
        or not -1 <= epoch <= INT32_MAX
        or type(count) is not int
        or not 0 <= count <= INT32_MAX
    ):
        malformed("a field of ProducePartition has the wrong type or range")
    return count


def encode_produce_response(response: ProduceResponse) -> tuple[object, list[Buffer]]:
    return PRODUCE_RESPONSE.encode(response), []


def decode_produce_response(body: object, records: memoryview) -> ProduceResponse:
    if len(records):
        malformed("ProduceResponse carries no records")
    if type(body) is not list or len(body) != 2 or type(body[0]) is not list:
        malformed("expected ProduceResponse")
    partitions = tuple([_decode_partition_response(item) for item in body[0]])
    return ProduceResponse(partitions=partitions, throttle_time_ms=COUNT.decode(body[1]))


def _decode_partition_response(item: object) -> ProducePartitionResponse:
    if type(item) is not list or len(item) != 9:
        malformed("expected ProducePartitionResponse")
    topic_id, partition, error, base_offset, append_time, log_start, leader, leader_epoch, message = item
    if (
        type(topic_id) is not bytes
        or len(topic_id) != UUID_BYTES
        or type(partition) is not int
        or not 0 <= partition <= INT32_MAX
        or type(base_offset) is not int
        or not -1 <= base_offset <= INT64_MAX
        or type(append_time) is not int
        or not -1 <= append_time <= INT64_MAX
        or type(log_start) is not int
        or not -1 <= log_start <= INT64_MAX
        or type(leader) is not int
        or not -1 <= leader <= INT32_MAX
        or type(leader_epoch) is not int
        or not -1 <= leader_epoch <= INT32_MAX
    ):
        malformed("a field of ProducePartitionResponse has the wrong type or range")
    return ProducePartitionResponse(
        topic_id=TopicId(topic_id),
        partition=PartitionIndex(partition),
        error_code=decode_error(error),
        base_offset=Offset(base_offset),
        log_append_time_ms=TimestampMs(append_time),
        log_start_offset=Offset(log_start),
        current_leader=NodeId(leader),
        current_leader_epoch=LeaderEpoch(leader_epoch),
        error_message=_MESSAGE.decode(message),
    )


def pack_produce_response(correlation_id: int, response: ProduceResponse) -> list[Buffer] | None:
    if len(response.partitions) != 1 or response.throttle_time_ms:
        return None
    one = response.partitions[0]
    if (
        one.error_code is not _NONE
        or one.log_append_time_ms != -1
        or one.current_leader != -1
        or one.current_leader_epoch != -1
        or one.error_message is not None
        or not 0 <= one.base_offset <= INT64_MAX
        or not 0 <= one.log_start_offset <= INT64_MAX
    ):
        return None
    return [
        _ONE.pack(
            _ONE.size - 4,
            _HEADER_BYTES,
            b"\x82\x1a",
            correlation_id,
            b"\x82\x81\x89\x50",
            one.topic_id,
            0x1A,
            one.partition,
            b"\x00",
            0x1B,
            one.base_offset,
            b"\x20",
            0x1B,
            one.log_start_offset,
            b"\x20\x20\xf6\x00",
        )
    ]


def unpack_produce_response(header: memoryview, records: memoryview, correlation_id: int) -> ProduceResponse | None:
    if len(header) != _HEADER.size or len(records):
        return None
    (a, correlation, b, topic_id, c, partition, d, e, base_offset, f, g, log_start, h) = _HEADER.unpack(header)
    if (
        (a, b, c, d, e, f, g, h) != _FIXED
        or correlation != correlation_id
        or partition > INT32_MAX
        or base_offset > INT64_MAX
        or log_start > INT64_MAX
    ):
        return None
    one = ProducePartitionResponse(
        topic_id=topic_id, partition=partition, base_offset=base_offset, log_start_offset=log_start
    )
    return ProduceResponse(partitions=(one,))


PRODUCE: Final = Api(
    decode_request=decode_produce,
    encode_response=encode_produce_response,
    encode_request=encode_produce,
    decode_response=decode_produce_response,
    pack_request=pack_produce,
    repeat_request=repeat_produce,
    pack_response=pack_produce_response,
    unpack_response=unpack_produce_response,
)
