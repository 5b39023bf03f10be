import struct
import zlib

import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode
from raftkafka.record.build import encode_records, encode_values
from raftkafka.record.header import GZIP, HEADER_BYTES, iter_headers, read_header
from raftkafka.record.iterate import decode_pairs, decode_records, decode_values
from raftkafka.record.layout import RecordFields
from raftkafka.record.stride import read_equal
from raftkafka.record.walk import walk

NOW = 1_700_000_000_000
EQUAL = encode_values([b"%04d" % at for at in range(150)], timestamp_ms=NOW)
KEYED = encode_records([(b"k%03d" % at, b"value", NOW + at % 50, ()) for at in range(150)])
MIXED = encode_records(
    [(b"k" * at, b"v" * (3 * at) if at % 7 else None, NOW + 100 * at, (("h", b"c"),) * (at % 3)) for at in range(100)]
)


def rebuilt(section: bytes, count: int, last_delta: int | None = None, attributes: int = 0) -> bytes:
    batch = bytearray(encode_values([b"x"], timestamp_ms=NOW, base_offset=10)[:HEADER_BYTES]) + section
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    struct.pack_into(">h", batch, 21, attributes)
    struct.pack_into(">i", batch, 23, count - 1 if last_delta is None else last_delta)
    struct.pack_into(">i", batch, 57, count)
    struct.pack_into(">I", batch, 17, crc32c(memoryview(batch)[21:]))
    return bytes(batch)


@settings(max_examples=80)
@given(
    count=st.sampled_from([2, 3, 63, 64, 65, 128, 129, 400]),
    key_bytes=st.none() | st.sampled_from([0, 1, 20, 63, 64, 100]),
    value_bytes=st.sampled_from([0, 1, 40, 63, 64, 100, 200]),
    times=st.booleans(),
)
def test_both_ways_of_reading_agree(count: int, key_bytes: int | None, value_bytes: int, times: bool) -> None:
    records: list[RecordFields] = [
        (
            None if key_bytes is None else bytes((at % 256,)) * key_bytes,
            bytes(((at + 1) % 256,)) * value_bytes,
            NOW + (at % 60) * times,
            (),
        )
        for at in range(count)
    ]
    batch = bytes(encode_records(records, base_offset=77))
    header = read_header(batch)
    columns = read_equal(batch, HEADER_BYTES, len(batch), header)
    assert columns is not None
    walked = walk(batch, HEADER_BYTES, len(batch), header)
    assert list(columns.offsets) == walked.offsets
    assert (columns.time_deltas or [0] * count) == walked.time_deltas
    assert (columns.keys or [None] * count) == walked.keys
    assert columns.values == walked.values
    assert [record[1:3] for record in decode_pairs(batch)] == [record[:2] for record in records]
    assert [record.timestamp_ms for record in decode_records(memoryview(batch))] == [record[2] for record in records]


@given(
    batch=st.sampled_from([EQUAL, KEYED, MIXED]),
    position=st.integers(min_value=HEADER_BYTES, max_value=10_000),
    value=st.integers(min_value=0, max_value=255),
)
@settings(max_examples=400)
def test_damage_behind_a_valid_checksum_is_corruption_or_other_records(
    batch: bytearray, position: int, value: int
) -> None:
    damaged = bytearray(batch)
    damaged[HEADER_BYTES + position % (len(batch) - HEADER_BYTES)] = value
    header = read_header(damaged)
    try:
        records = decode_records(damaged, check_crc=False)
    except CorruptionError:
        return
    assert len(records) == header.records_count
    # Whatever the fast way accepts, the careful way reads alike.
    walked = walk(bytes(damaged), HEADER_BYTES, len(damaged), header)
    assert [record.value for record in records] == walked.values
    assert [record.offset for record in records] == walked.offsets


@given(st.binary(max_size=120), st.integers(min_value=0, max_value=40))
@settings(max_examples=300)
def test_garbage_records_are_corruption_or_records(section: bytes, count: int) -> None:
    batch = rebuilt(section, count, last_delta=max(count - 1, 0))
    try:
        records = decode_records(batch)
    except CorruptionError:
        return
    assert len(records) == count


@given(st.sampled_from([EQUAL, KEYED, MIXED]), st.integers(min_value=0))
def test_a_cut_batch_is_corruption(batch: bytearray, keep: int) -> None:
    with pytest.raises(CorruptionError):
        decode_values(batch[: keep % len(batch)])


@given(st.sampled_from([EQUAL, KEYED, MIXED]), st.integers(min_value=0))
def test_a_flipped_bit_is_corruption(batch: bytearray, at: int) -> None:
    bit = 16 * 8 + at % (8 * (len(batch) - 16))
    damaged = bytearray(batch)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptionError):
        decode_values(damaged)


def test_batches_at_positions() -> None:
    buffer = EQUAL + KEYED
    assert [len(decode_values(buffer, position)) for position, _ in iter_headers(buffer)] == [150, 150]


def test_offsets_that_compaction_left() -> None:
    section = bytes.fromhex("0e 00 00 04 01 02 61 00  0e 00 00 0a 01 02 62 00")
    assert decode_pairs(rebuilt(section, 2, last_delta=9)) == [(12, None, b"a"), (15, None, b"b")]


def test_a_batch_that_compaction_emptied() -> None:
    assert decode_records(rebuilt(b"", 0, last_delta=4)) == []


def test_a_first_time_delta_of_two_bytes() -> None:
    record = bytes.fromhex("10 00 80 7d 00 01 02 61 00")
    batch = rebuilt(record + bytes.fromhex("10 00 80 7d 02 01 02 62 00"), 2)
    assert [record.timestamp_ms - NOW for record in decode_records(batch)] == [8000, 8000]


def test_varints_with_needless_bytes_are_read() -> None:
    section = bytes.fromhex("18 00 80 00 80 80 00 81 00 82 00 61 00")
    assert decode_pairs(rebuilt(section, 1)) == [(10, None, b"a")]


@pytest.mark.parametrize(
    ("section", "count", "last_delta"),
    [
        ("0e 00 00 02 01 02 61 00  0e 00 00 02 01 02 62 00", 2, 1),  # the same offset twice
        ("0e 00 00 06 01 02 61 00", 1, 2),  # an offset beyond the last
        ("0e 00 00 01 01 02 61 00", 1, 0),  # a negative offset delta
        ("0e 00 00 00 01 02 61 00 00", 1, 0),  # a byte after the last record
        ("10 00 00 00 01 02 61 00 00", 1, 0),  # a byte after the last field
        ("0e 00 00 00 01 04 61 00", 1, 0),  # a value over the end of its record
        ("0e 00 00 00 03 02 61 00", 1, 0),  # a key of -2 bytes
        ("0e 00 00 00 01 03 61 00", 1, 0),  # a value of -2 bytes
        ("0f 00 00 00 01 02 61 00", 1, 0),  # a negative record
        ("ff ff ff ff ff 0f 00 00", 1, 0),  # a varint of six bytes
        ("0e 00 00 00 01 02 61 02", 1, 0),  # a header that is not there
        ("12 00 00 00 01 02 61 02 01 01", 1, 0),  # a header without a name
        ("14 00 00 00 01 02 61 02 02 ff 01", 1, 0),  # a header's name that is not UTF-8
    ],
)
def test_malformed_records(section: str, count: int, last_delta: int) -> None:
    with pytest.raises(CorruptionError):
        decode_records(rebuilt(bytes.fromhex(section), count, last_delta))


def test_a_count_that_cannot_be_is_refused_before_anything_is_made() -> None:
    with pytest.raises(CorruptionError, match="records in"):
        decode_values(rebuilt(b"", 1 << 30))


def test_a_bomb_is_bounded() -> None:
    batch = encode_values([bytes(1 << 20)], timestamp_ms=NOW, compression=GZIP)
    assert len(batch) < 8000
    with pytest.raises(ApiError) as refused:
        decode_values(batch, max_bytes=100_000)
    assert refused.value.code == ErrorCode.RECORD_LIST_TOO_LARGE
    assert decode_values(batch, max_bytes=1 << 21) == [bytes(1 << 20)]


@pytest.mark.parametrize("codec", [5, 7])
def test_codecs_that_are_not_here_are_named(codec: int) -> None:
    with pytest.raises(ApiError) as refused:
        decode_values(rebuilt(b"whatever it is", 1, attributes=codec))
    assert refused.value.code == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE


def test_damaged_gzip_is_corruption() -> None:
    press = zlib.compressobj(1, zlib.DEFLATED, 31)
    whole = press.compress(bytes(EQUAL[HEADER_BYTES:])) + press.flush()
    for damaged in (whole[:-1], whole[:40], b"\0" + whole[1:], whole + b"more", whole[:-8] + bytes(8)):
        with pytest.raises(CorruptionError):
            decode_values(rebuilt(damaged, 150, attributes=GZIP))
    assert len(decode_values(rebuilt(whole, 150, attributes=GZIP))) == 150
