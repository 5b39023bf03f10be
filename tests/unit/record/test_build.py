import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.record.build import encode_records, encode_values, estimated_size
from raftkafka.record.header import GZIP, HEADER_BYTES, read_header, set_producer
from raftkafka.record.iterate import decode_records, decode_values
from raftkafka.record.layout import RecordFields, lay_out, lay_out_equal, lay_out_one_by_one

NOW = 1_700_000_000_000
names = st.text(max_size=8)
contents = st.none() | st.binary(max_size=200)
fields = st.tuples(
    contents,
    contents,
    st.integers(min_value=-(10**6), max_value=10**6).map(NOW.__add__),
    st.lists(st.tuples(names, contents), max_size=3).map(tuple),
)
same_sort = st.tuples(  # what the columns take: no nulls, no headers, times close together
    st.binary(max_size=100), st.binary(max_size=300), st.integers(min_value=NOW, max_value=NOW + 60), st.just(())
)


@given(st.lists(fields, min_size=1, max_size=150))
def test_any_records_come_back(records: list[RecordFields]) -> None:
    batch = encode_records(records, base_offset=5)
    back = decode_records(batch)
    assert [(record.key, record.value, record.timestamp_ms, record.headers) for record in back] == records
    assert [record.offset for record in back] == list(range(5, 5 + len(records)))
    assert read_header(batch).max_timestamp == max(time for _, _, time, _ in records)


@given(st.lists(same_sort, min_size=1, max_size=150))
def test_columns_write_what_the_loop_writes(records: list[RecordFields]) -> None:
    base = records[0][2]
    keys, values, times, _ = zip(*records, strict=True)
    deltas = [time - base for time in times]
    assert lay_out(keys, values, deltas) == lay_out_one_by_one(records, base)
    without_keys: list[RecordFields] = [(None, value, time, ()) for value, time in zip(values, times, strict=True)]
    assert lay_out(None, values, deltas) == lay_out_one_by_one(without_keys, base)
    at_once: list[RecordFields] = [(key, value, base, ()) for key, value in zip(keys, values, strict=True)]
    assert lay_out(keys, values, None) == lay_out_one_by_one(at_once, base)


@settings(max_examples=60)
@given(
    count=st.sampled_from([1, 2, 63, 64, 65, 66, 127, 128, 129, 1000]),
    size=st.integers(min_value=0, max_value=70) | st.sampled_from([8180, 8184, 8185, 8192, 8193]),
)
def test_equal_values_are_written_as_by_the_loop(count: int, size: int) -> None:
    values = [bytes((at % 251,)) * size for at in range(count)]
    assert lay_out_equal(values, size) == lay_out_one_by_one([(None, value, NOW, ()) for value in values], NOW)


@pytest.mark.parametrize("count", [8191, 8192, 8193])
def test_offset_deltas_of_three_bytes(count: int) -> None:
    values = [b"ab"] * count
    batch = encode_values(values, timestamp_ms=NOW)
    assert batch[HEADER_BYTES:] == lay_out_one_by_one([(None, b"ab", NOW, ())] * count, NOW)[HEADER_BYTES:]
    assert decode_values(batch) == values
    keyed: list[RecordFields] = [(b"k%d" % at, b"v", NOW, ()) for at in range(count)]
    back = decode_records(encode_records(keyed))
    assert [(record.key, record.offset) for record in back] == [(b"k%d" % at, at) for at in range(count)]


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=200), st.sampled_from([0, GZIP, 2, 3, 4]))
def test_values_come_back(values: list[bytes], compression: int) -> None:
    batch = encode_values(values, timestamp_ms=NOW, compression=compression)
    assert decode_values(batch) == values
    assert read_header(batch).compression == compression
    assert read_header(batch).batch_size == len(batch)


@given(fields)
def test_the_estimate_is_an_upper_bound(record: RecordFields) -> None:
    key, value, _, headers = record
    assert len(encode_records([record])) - HEADER_BYTES <= estimated_size(key, value, headers)


def test_an_empty_batch_is_not_built() -> None:
    with pytest.raises(ValueError, match="at least one"):
        encode_values([], timestamp_ms=NOW)
    with pytest.raises(ValueError, match="at least one"):
        encode_records([])


def test_a_codec_that_is_not_here_is_refused() -> None:
    with pytest.raises(ApiError) as refused:
        encode_values([b"a"], timestamp_ms=NOW, compression=5)
    assert refused.value.code == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE


def test_a_batch_gets_its_producer_after_it_was_built():
    values = [b"a", b"bc"]
    whole = encode_values(values, timestamp_ms=5, producer_id=7, producer_epoch=3, base_sequence=11)
    for checksum in (True, False):
        later = encode_values(values, timestamp_ms=5, checksum=checksum)
        set_producer(later, 0, producer_id=7, producer_epoch=3, base_sequence=11)
        assert later == whole
