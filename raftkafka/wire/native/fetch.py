"""Fetch (1): the response is written out by hand, because every batch that is read passes here.

Floor 2. The records of all partitions follow the response's header in the order of its partitions, as views, never copied.
"""

from __future__ import annotations

import struct
from typing import Final

from raftkafka.model.api.fetch import (
    EpochEndOffset,
    Fetch,
    FetchPartition,
    FetchPartitionResponse,
    FetchResponse,
    ForgottenPartition,
)
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionIndex, TopicId
from raftkafka.wire.native.fields import (
    COUNT,
    ERROR,
    ID,
    INT8,
    INT32_MAX,
    INT64_MAX,
    OFFSET,
    STRING,
    UUID,
    UUID_BYTES,
    Buffer,
    Shape,
    array,
    malformed,
    nullable,
)
from raftkafka.wire.native.rows import Api, split_records

FETCH_PARTITION: Final = Shape(
    FetchPartition,
    topic_id=UUID,
    partition=COUNT,
    current_leader_epoch=ID,
    fetch_offset=OFFSET,
    last_fetched_epoch=ID,
    log_start_offset=OFFSET,
    flushed_offset=OFFSET,
    max_bytes=COUNT,
)
FORGOTTEN: Final = Shape(ForgottenPartition, topic_id=UUID, partition=COUNT)
_FORGOTTEN_ALL: Final = array(FORGOTTEN.field)
FETCH_REQUEST: Final = Shape(
    Fetch,
    replica_id=ID,
    replica_epoch=OFFSET,
    max_wait_ms=COUNT,
    min_bytes=COUNT,
    max_bytes=COUNT,
    isolation_level=INT8,
    session_id=COUNT,
    session_epoch=ID,
    partitions=array(FETCH_PARTITION.field),
    forgotten=_FORGOTTEN_ALL,
    rack_id=STRING,
)
EPOCH_END_OFFSET: Final = Shape(EpochEndOffset, epoch=ID, end_offset=OFFSET)
_DIVERGING: Final = nullable(EPOCH_END_OFFSET.field)

# The frame's header of an answer for one partition that went well; the records follow as a buffer of their own.
_HEADER: Final = struct.Struct(">2sI4s16sBIsBQBQBQ4sBI3sI")
_ONE: Final = struct.Struct(">II" + _HEADER.format[1:])
_HEADER_BYTES: Final = _HEADER.size
_FIXED: Final = (
    b"\x82\x1a",
    b"\x84\x81\x8b\x50",
    0x1A,
    b"\x00",
    0x1B,
    0x1B,
    0x1B,
    b"\xf6\x20\x20\x20",
    0x1A,
    b"\x00\x00\x1a",
)


def encode_fetch(request: Fetch) -> tuple[object, list[Buffer]]:
    """What `FETCH_REQUEST.encode` gives, in a third of the time."""
    body = [
        request.replica_id,
        request.replica_epoch,
        request.max_wait_ms,
        request.min_bytes,
        request.max_bytes,
        request.isolation_level,
        request.session_id,
        request.session_epoch,
        [
            [
                each.topic_id,
                each.partition,
                each.current_leader_epoch,
                each.fetch_offset,
                each.last_fetched_epoch,
                each.log_start_offset,
                each.flushed_offset,
                each.max_bytes,
            ]
            for each in request.partitions
        ],
        [[each.topic_id, each.partition] for each in request.forgotten],
        request.rack_id,
    ]
    return body, []


def decode_fetch(body: object, records: memoryview) -> Fetch:
    if len(records):
        malformed("Fetch carries no records")
    if type(body) is not list or len(body) != 11 or type(body[8]) is not list:
        malformed("expected Fetch")
    replica_id, replica_epoch, wait_ms, min_bytes, max_bytes, isolation, session_id, session_epoch, rows, gone, rack = (
        body
    )
    if (
        type(replica_id) is not int
        or not -1 <= replica_id <= INT32_MAX
        or type(wait_ms) is not int
        or not 0 <= wait_ms <= INT32_MAX
        or type(min_bytes) is not int
        or not 0 <= min_bytes <= INT32_MAX
        or type(max_bytes) is not int
        or not 0 <= max_bytes <= INT32_MAX
        or type(session_id) is not int
        or not 0 <= session_id <= INT32_MAX
        or type(session_epoch) is not int
        or not -1 <= session_epoch <= INT32_MAX
    ):
        malformed("a field of Fetch has the wrong type or range")
    return Fetch(
        replica_id=NodeId(replica_id),
        replica_epoch=BrokerEpoch(OFFSET.decode(replica_epoch)),
        max_wait_ms=wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        isolation_level=INT8.decode(isolation),
        session_id=session_id,
        session_epoch=session_epoch,
        partitions=tuple([_decode_fetch_partition(item) for item in rows]),
        forgotten=() if gone == [] else _FORGOTTEN_ALL.decode(gone),
        rack_id="" if rack == "" else STRING.decode(rack),
    )


def _decode_fetch_partition(item: object) -> FetchPartition:
    """What `FETCH_PARTITION.decode` gives, in a third of the time: an idle consumer sends one per partition and poll."""
    if type(item) is not list or len(item) != 8:
        malformed("expected FetchPartition")
    topic_id, partition, leader_epoch, fetch_offset, last_epoch, log_start, flushed, max_bytes = item
    if (
        type(topic_id) is not bytes
        or len(topic_id) != UUID_BYTES
        or type(partition) is not int
        or not 0 <= partition <= INT32_MAX
        or type(leader_epoch) is not int
        or not -1 <= leader_epoch <= INT32_MAX
        or type(fetch_offset) is not int
        or not -1 <= fetch_offset <= INT64_MAX
        or type(last_epoch) is not int
        or not -1 <= last_epoch <= INT32_MAX
        or type(log_start) is not int
        or not -1 <= log_start <= INT64_MAX
        or type(flushed) is not int
        or not -1 <= flushed <= INT64_MAX
        or type(max_bytes) is not int
        or not 0 <= max_bytes <= INT32_MAX
    ):
        malformed("a field of FetchPartition has the wrong type or range")
    return FetchPartition(
        topic_id=TopicId(topic_id),
        partition=PartitionIndex(partition),
        current_leader_epoch=LeaderEpoch(leader_epoch),
        fetch_offset=Offset(fetch_offset),
        last_fetched_epoch=LeaderEpoch(last_epoch),
        log_start_offset=Offset(log_start),
        flushed_offset=Offset(flushed),
        max_bytes=max_bytes,
    )


def encode_fetch_response(response: FetchResponse) -> tuple[object, list[Buffer]]:
    """Body `[partitions, error_code, throttle_time_ms, session_id]`; the last field of a partition is its byte count."""
    partitions = [
        [
            bytes(p.topic_id),
            int(p.partition),
            int(p.error_code),
            int(p.high_watermark),
            int(p.last_stable_offset),
            int(p.log_start_offset),
            _DIVERGING.encode(p.diverging_epoch),
            int(p.current_leader),
            int(p.current_leader_epoch),
            int(p.preferred_read_replica),
            len(p.records),
        ]
        for p in response.partitions
    ]
    body = [partitions, int(response.error_code), response.throttle_time_ms, response.session_id]
    return body, [p.records for p in response.partitions if len(p.records)]


def decode_fetch_response(body: object, records: memoryview) -> FetchResponse:
    if type(body) is not list or len(body) != 4 or type(body[0]) is not list:
        malformed("expected FetchResponse")
    items = body[0]
    for item in items:
        if type(item) is not list or len(item) != 11:
            malformed("expected FetchPartitionResponse")
    views = split_records(records, [COUNT.decode(item[10]) for item in items])
    return FetchResponse(
        partitions=tuple([_decode_partition(item, view) for item, view in zip(items, views, strict=True)]),
        error_code=ERROR.decode(body[1]),
        throttle_time_ms=COUNT.decode(body[2]),
        session_id=COUNT.decode(body[3]),
    )


def _decode_partition(item: list[object], records: memoryview) -> FetchPartitionResponse:
    return FetchPartitionResponse(
        topic_id=TopicId(UUID.decode(item[0])),
        partition=PartitionIndex(COUNT.decode(item[1])),
        error_code=ERROR.decode(item[2]),
        high_watermark=Offset(OFFSET.decode(item[3])),
        last_stable_offset=Offset(OFFSET.decode(item[4])),
        log_start_offset=Offset(OFFSET.decode(item[5])),
        diverging_epoch=_DIVERGING.decode(item[6]),
        current_leader=NodeId(ID.decode(item[7])),
        current_leader_epoch=LeaderEpoch(ID.decode(item[8])),
        preferred_read_replica=NodeId(ID.decode(item[9])),
        records=records,
    )


def pack_fetch_response(correlation_id: int, response: FetchResponse) -> list[Buffer] | None:
    if len(response.partitions) != 1 or response.throttle_time_ms or response.error_code is not ErrorCode.NONE:
        return None
    one = response.partitions[0]
    count = len(one.records)
    if (
        one.error_code is not ErrorCode.NONE
        or one.diverging_epoch is not None
        or one.current_leader != -1
        or one.current_leader_epoch != -1
        or one.preferred_read_replica != -1
        or not 0 <= one.high_watermark <= INT64_MAX
        or not 0 <= one.last_stable_offset <= INT64_MAX
        or not 0 <= one.log_start_offset <= INT64_MAX
        or count > INT32_MAX
    ):
        return None
    header = _ONE.pack(
        _ONE.size - 4 + count,
        _HEADER_BYTES,
        b"\x82\x1a",
        correlation_id,
        b"\x84\x81\x8b\x50",
        one.topic_id,
        0x1A,
        one.partition,
        b"\x00",
        0x1B,
        one.high_watermark,
        0x1B,
        one.last_stable_offset,
        0x1B,
        one.log_start_offset,
        b"\xf6\x20\x20\x20",
        0x1A,
        count,
        b"\x00\x00\x1a",
        response.session_id,
    )
    return [header, one.records] if count else [header]


def unpack_fetch_response(header: memoryview, records: memoryview, correlation_id: int) -> FetchResponse | None:
    if len(header) != _HEADER.size:
        return None
    (
        a,
        correlation,
        b,
        topic_id,
        c,
        partition,
        d,
        e,
        high_watermark,
        f,
        stable,
        g,
        log_start,
        h,
        i,
        count,
        j,
        session,
    ) = _HEADER.unpack(header)
    if (
        (a, b, c, d, e, f, g, h, i, j) != _FIXED
        or correlation != correlation_id
        or count != len(records)
        or max(partition, session) > INT32_MAX
        or max(high_watermark, stable, log_start) > INT64_MAX
    ):
        return None
    one = FetchPartitionResponse(
        topic_id=topic_id,
        partition=partition,
        high_watermark=high_watermark,
        last_stable_offset=stable,
        log_start_offset=log_start,
        records=records,
    )
    return FetchResponse(partitions=(one,), session_id=session)


FETCH: Final = Api(
    decode_request=decode_fetch,
    encode_response=encode_fetch_response,
    encode_request=encode_fetch,
    decode_response=decode_fetch_response,
    pack_response=pack_fetch_response,
    unpack_response=unpack_fetch_response,
)
