import struct

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode
from raftkafka.record.build import encode_values
from raftkafka.record.header import (
    HEADER_BYTES,
    crc_ok,
    iter_headers,
    read_header,
    set_log_append_time,
    stamp,
    validate_produced,
)
from raftkafka.record.iterate import decode_records

LIMIT = 1 << 20


def batch(count: int = 3, **fields: int) -> bytearray:
    return encode_values([b"value %d" % at for at in range(count)], timestamp_ms=1_700_000_000_000, **fields)


def resealed(content: bytearray) -> bytearray:
    struct.pack_into(">I", content, 17, crc32c(memoryview(content)[21:]))
    return content


def patched(layout: str, position: int, value: int, count: int = 3) -> bytearray:
    content = batch(count)
    struct.pack_into(layout, content, position, value)
    return resealed(content)


def refusal(content: bytes | bytearray, limit: int = LIMIT) -> ErrorCode:
    with pytest.raises(ApiError) as refused:
        validate_produced(memoryview(content), message_max_bytes=limit)
    return refused.value.code


def test_header_of_a_built_batch() -> None:
    content = batch(5, base_offset=100, producer_id=7, producer_epoch=2, base_sequence=40)
    header = read_header(content)
    assert header.batch_size == len(content)
    assert (header.base_offset, header.last_offset, header.next_offset) == (100, 104, 105)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 2, 40)
    assert (header.records_count, header.compression) == (5, 0)
    assert not header.is_control
    assert not header.is_transactional
    assert not header.has_log_append_time
    assert crc_ok(content, 0, len(content))


def test_stamping_leaves_the_checksum_valid() -> None:
    content = bytearray(7) + batch()
    stamp(memoryview(content), 7, 1 << 40, 12)
    header = read_header(content, 7)
    assert (header.base_offset, header.partition_leader_epoch) == (1 << 40, 12)
    assert crc_ok(content, 7, len(content) - 7)


def test_log_append_time_reaches_every_record_and_the_checksum() -> None:
    content = bytearray(5) + batch()
    set_log_append_time(content, 5, 99)
    assert read_header(content, 5).has_log_append_time
    assert [record.timestamp_ms for record in decode_records(content, 5)] == [99, 99, 99]


def test_log_append_time_refuses_a_batch_that_is_not_whole() -> None:
    with pytest.raises(CorruptionError):
        set_log_append_time(batch()[:-1], 0, 99)


def test_walking_back_to_back_batches() -> None:
    first, second = batch(2), batch(4, base_offset=2)
    seen = [(position, header.base_offset, header.records_count) for position, header in iter_headers(first + second)]
    assert seen == [(0, 0, 2), (len(first), 2, 4)]
    assert list(iter_headers(b"")) == []


def test_walking_stops_at_a_batch_that_is_not_whole() -> None:
    walk = iter_headers(batch() + batch()[:-1])
    next(walk)
    with pytest.raises(CorruptionError):
        next(walk)


@pytest.mark.parametrize(
    ("layout", "position", "value"),
    [(">b", 16, 1), (">i", 8, 48), (">i", 8, -1), (">q", 0, -1), (">i", 23, -1), (">i", 57, -1), (">i", 57, 4)],
)
def test_implausible_headers_are_corruption(layout: str, position: int, value: int) -> None:
    with pytest.raises(CorruptionError):
        read_header(patched(layout, position, value))


@given(st.binary(max_size=200))
def test_garbage_is_corruption_or_a_plausible_header(garbage: bytes) -> None:
    try:
        header = read_header(garbage)
    except CorruptionError:
        return
    assert header.magic == 2
    assert not crc_ok(garbage, 0, header.batch_size) or header.batch_size <= len(garbage)


def test_a_producer_may_send_several_batches() -> None:
    content = batch(1) + batch(2) + batch(3)
    headers = validate_produced(memoryview(content), message_max_bytes=LIMIT)
    assert [header.records_count for header in headers] == [1, 2, 3]


@given(bit=st.integers(min_value=16 * 8, max_value=len(batch(40)) * 8 - 1))
def test_every_flipped_bit_behind_the_epoch_is_noticed(bit: int) -> None:
    content = batch(40)
    content[bit // 8] ^= 1 << bit % 8
    assert refusal(content) == ErrorCode.CORRUPT_MESSAGE


@given(keep=st.integers(min_value=0, max_value=len(batch()) - 1))
def test_a_cut_batch_is_refused(keep: int) -> None:
    content = batch()
    assert refusal(content[:keep]) == (ErrorCode.CORRUPT_MESSAGE if keep else ErrorCode.INVALID_RECORD)
    assert refusal(content + content[:keep]) == ErrorCode.CORRUPT_MESSAGE if keep else True


@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage: bytes) -> None:
    assert refusal(garbage) in {ErrorCode.CORRUPT_MESSAGE, ErrorCode.INVALID_RECORD, ErrorCode.MESSAGE_TOO_LARGE}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (patched(">h", 21, 5), ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
        (patched(">h", 21, 0x20), ErrorCode.INVALID_RECORD),  # control batch
        (patched(">h", 21, 0x08), ErrorCode.INVALID_RECORD),  # the append time is the broker's to set
        (patched(">h", 21, 0x40), ErrorCode.INVALID_RECORD),  # the delete horizon is the cleaner's
        (patched(">i", 57, 4), ErrorCode.INVALID_RECORD),
        (patched(">i", 57, 0), ErrorCode.INVALID_RECORD),
        (patched(">i", 23, 5), ErrorCode.INVALID_RECORD),
        (patched(">q", 43, 1), ErrorCode.INVALID_RECORD),  # a producer id without a sequence
        (patched(">b", 16, 1), ErrorCode.CORRUPT_MESSAGE),
        (patched(">i", 8, -5), ErrorCode.CORRUPT_MESSAGE),
    ],
)
def test_what_a_producer_must_not_send(content: bytearray, code: ErrorCode) -> None:
    assert refusal(content) == code


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_known_codecs_pass_opaquely(codec: int) -> None:
    validate_produced(memoryview(patched(">h", 21, codec)), message_max_bytes=LIMIT)


def test_the_size_limit_is_per_batch() -> None:
    content = batch()
    twice = content + content
    assert len(validate_produced(memoryview(twice), message_max_bytes=len(content))) == 2
    assert refusal(content, len(content) - 1) == ErrorCode.MESSAGE_TOO_LARGE


def test_base_offset_and_epoch_of_the_producer_are_ignored() -> None:
    content = batch()
    content[:16] = b"\xff" * 8 + content[8:12] + b"\xff" * 4
    validate_produced(memoryview(content), message_max_bytes=LIMIT)


def test_a_checksum_needs_the_whole_batch() -> None:
    content = batch()
    assert not crc_ok(content, 0, len(content) + 1)
    assert not crc_ok(content, 0, HEADER_BYTES - 1)
    assert not crc_ok(content, -1, len(content))
