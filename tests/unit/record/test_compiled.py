"""The compiled codec against the Python one: equal results, and where Python raises, None.

With a compiler this is the only thing that makes the compiled one trustworthy; without one there is nothing to test.
"""

from __future__ import annotations

import gc
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.model.errors import CorruptionError
from raftkafka.record import compiled
from raftkafka.record.build import encode_records, encode_values
from raftkafka.record.header import HEADER_BYTES, LOG_APPEND_TIME, read_header
from raftkafka.record.iterate import Record, decode_records, decode_values
from raftkafka.record.layout import RecordFields, lay_out, lay_out_one_by_one
from raftkafka.record.walk import walk

pytestmark = pytest.mark.skipif(not compiled.IS_COMPILED, reason="no compiler was there")

NOW = 1_700_000_000_000
names = st.text(max_size=8)
contents = (
    st.none() | st.binary(max_size=200) | st.sampled_from([b"", bytes(63), bytes(64), bytes(8_191), bytes(8_192)])
)
times = st.integers(NOW - 10**6, NOW + 10**6) | st.integers(-(1 << 63), (1 << 63) - 1)
headers = st.lists(st.tuples(names, contents), max_size=3)
fields = st.tuples(contents, contents, times, headers.map(tuple) | headers)


@pytest.fixture(autouse=True)
def codec() -> None:
    """Not the one of conftest: here each test calls both."""


INT64 = range(-(1 << 63), 1 << 63)


def both_read(section: bytes | bytearray, count: int, last_delta: int, append_time: int | None = None) -> None:
    header = read_header(encode_values([b"x"], timestamp_ms=0))._replace(
        records_count=count, last_offset_delta=last_delta, base_offset=70
    )
    got = compiled.read_records(memoryview(section), 0, len(section), count, last_delta, 70, NOW, append_time, Record)
    values = compiled.read_values(bytes(section), 0, len(section), count, last_delta)
    try:
        if count > len(section) // 7:
            raise ValueError("as the callers of walk ask first")
        columns = walk(bytes(section), 0, len(section), header)
    except (IndexError, ValueError):
        assert got is None
        assert values is None
        return
    deltas = columns.time_deltas or ()
    stamps = [NOW + delta if append_time is None else append_time for delta in deltas]
    # Numbers of more than 64 bits are left to Python: a varint of ten bytes may hold 70.
    if all(delta in INT64 for delta in deltas):
        assert values == columns.values
    else:
        assert values is None
    if values is None or not all(stamp in INT64 for stamp in stamps):
        assert got is None
        return
    rows = zip(columns.offsets, stamps, columns.keys, columns.values, columns.headers or [()] * count, strict=True)
    assert got == [Record(*row) for row in rows]
    assert all(type(record) is Record for record in got)


@given(st.lists(fields, min_size=1, max_size=40))
@settings(max_examples=300)
def test_records_are_laid_out_alike(records: list[RecordFields]) -> None:
    base = records[0][2]
    got = compiled.lay_out_records(records)
    if any(not -(1 << 63) <= time - base < 1 << 63 for _, _, time, _ in records):
        assert got is None
        return
    assert got == (lay_out_one_by_one(records, base), base, max(time for _, _, time, _ in records))
    assert compiled.lay_out_records(tuple(records)) == got


@given(st.lists(contents.filter(lambda each: each is not None), min_size=1, max_size=300))
def test_values_are_laid_out_alike(values: list[bytes]) -> None:
    assert compiled.lay_out_values(values) == lay_out(None, values, None)


@pytest.mark.parametrize("count", [63, 64, 65, 8_191, 8_192, 8_193])
def test_many_values_are_laid_out_alike(count: int) -> None:
    values = [b"ab"] * count
    assert compiled.lay_out_values(values) == lay_out(None, values, None)
    assert decode_values(encode_values(values, timestamp_ms=NOW)) == values


@given(
    st.lists(st.tuples(contents, contents, st.integers(NOW, NOW + 10**6), headers.map(tuple)), min_size=1, max_size=40),
    st.none() | st.integers(0, NOW),
)
def test_records_are_read_alike(records: list[RecordFields], append_time: int | None) -> None:
    section = encode_records(records)[HEADER_BYTES:]
    both_read(section, len(records), len(records) - 1, append_time)
    assert compiled.read_values(section, 0, len(section), len(records), len(records) - 1) == [r[1] for r in records]


@given(
    st.lists(st.tuples(contents, contents, st.integers(NOW, NOW + 99), headers.map(tuple)), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 3),
)
@settings(max_examples=300)
def test_damaged_records_are_read_alike(records: list[RecordFields], damage: list[tuple[int, int]], cut: int) -> None:
    section = encode_records(records)[HEADER_BYTES:]
    for at, value in damage:
        section[at % len(section)] = value
    both_read(section[: len(section) - cut], len(records), len(records) - 1)


@given(st.binary(max_size=120), st.integers(0, 20), st.integers(0, 40))
@settings(max_examples=300)
def test_garbage_is_read_alike(section: bytes, count: int, last_delta: int) -> None:
    both_read(section, count, last_delta)


@pytest.mark.parametrize(
    ("section", "count", "last_delta"),
    [
        ("18 00 80 00 80 80 00 81 00 82 00 61 00", 1, 0),  # varints with needless bytes
        ("22 00 80 80 80 80 80 80 80 80 80 02 00 01 02 61 00", 1, 0),  # a time of 65 bits
        ("22 00 ff ff ff ff ff ff ff ff ff 01 00 01 02 61 00", 1, 0),  # the least time of 64 bits
        ("0e 00 00 00 01 fe ff ff ff 0f 00", 1, 0),  # a value of 2 GiB
        ("fe ff ff ff 0f 00 00 00 01 02 61 00", 1, 0),  # a record of 2 GiB
        ("10 00 00 00 01 02 61 80 00", 1, 0),  # no headers, in two bytes
        ("0e 00 00 00 01 02 61 fe ff ff ff 0f", 1, 0),  # two billion headers
        ("14 00 00 00 01 02 61 02 02 ff 01", 1, 0),  # a header's name that is not UTF-8
        ("0c 00 00 00 01 01 00", 1, 0),
        ("0a 00 00 00 01 01", 1, 0),
        ("", 0, 0),
        ("0e 00 00 04 01 02 61 00  0e 00 00 0a 01 02 62 00", 2, 9),
    ],
)
def test_odd_records_are_read_alike(section: str, count: int, last_delta: int) -> None:
    both_read(bytes.fromhex(section), count, last_delta)


@pytest.mark.parametrize(
    "arguments",
    [(-1, 8, 1), (0, 9, 1), (8, 0, 1), (0, 8, 2), (0, 8, -1), (5, 4, 0), (0, 1 << 60, 1), (0, 8, 1 << 60)],
)
def test_places_outside_the_section_are_not_read(arguments: tuple[int, int, int]) -> None:
    section = bytes.fromhex("0e 00 00 00 01 02 61 00")
    assert compiled.read_values(section, 0, 8, 1, 0) == [b"a"]
    assert compiled.read_values(section, *arguments, 0) is None
    assert compiled.read_records(section, *arguments, 0, 0, 0, None, Record) is None


def test_offsets_and_times_beyond_64_bits_are_left_to_python() -> None:
    section = bytes.fromhex("0e 00 02 02 01 02 61 00")
    largest = (1 << 63) - 1
    assert compiled.read_records(section, 0, 8, 1, 1, largest - 1, largest - 1, None, Record) is not None
    assert compiled.read_records(section, 0, 8, 1, 1, largest, 0, None, Record) is None
    assert compiled.read_records(section, 0, 8, 1, 1, 0, largest, None, Record) is None
    assert compiled.read_records(section, 0, 8, 1, 1, 0, largest, 1 << 70, Record) == [(1, 1 << 70, None, b"a", ())]


class Odd(bytes):
    """Bytes whose length is not what `len` says."""

    def __len__(self) -> int:
        return 1 << 40


@pytest.mark.parametrize(
    "record",
    [
        (b"k", Odd(b"v"), NOW, ()),
        (bytearray(b"k"), b"v", NOW, ()),
        (b"k", "v", NOW, ()),
        (b"k", b"v", True, ()),
        (b"k", b"v", 1 << 63, ()),
        (b"k", b"v", 1.5, ()),
        (b"k", b"v", NOW, None),
        (b"k", b"v", NOW, ((b"h", b"v"),)),
        (b"k", b"v", NOW, (("h", "v"),)),
        (b"k", b"v", NOW, (["h", b"v"],)),
        (b"k", b"v", NOW, (("h",),)),
        (b"k", b"v", NOW, (("\udc80", b"v"),)),
        (b"k", b"v", NOW),
        [b"k", b"v", NOW, ()],
        None,
    ],
)
def test_what_is_unusual_is_left_to_python(record: object) -> None:
    good = (b"k", b"v", NOW, ())
    assert compiled.lay_out_records([record]) is None  # type: ignore[list-item]
    assert compiled.lay_out_records([good, record]) is None  # type: ignore[list-item]
    assert compiled.lay_out_records(iter([good])) is None  # type: ignore[arg-type]
    assert compiled.lay_out_values([b"a", record]) is None  # type: ignore[list-item]
    assert compiled.lay_out_records([]) is None


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(TypeError):
        compiled.read_values("text", 0, 0, 0, 0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no tuple type"):
        compiled.read_records(b"", 0, 0, 0, 0, 0, 0, None, dict)  # type: ignore[type-var]


def test_nothing_is_kept() -> None:
    """Neither results nor what was made before a section turned out to be malformed."""
    records: list[RecordFields] = [(b"k%d" % at, b"v" * 50, NOW + at, (("h", b"c"),)) for at in range(50)]
    section = bytes(encode_records(records)[HEADER_BYTES:])
    broken = section[:-1] + b"\x07"
    value = b"some value that is counted"
    before = sys.getrefcount(value)

    def once() -> None:
        for given_bytes in (section, broken):
            compiled.read_records(given_bytes, 0, len(section), 50, 49, 0, NOW, None, Record)
            compiled.read_values(given_bytes, 0, len(section), 50, 49)
        compiled.lay_out_records([(value, value, NOW, (("h", value),))] * 20)
        compiled.lay_out_records([(value, value, NOW, (("h", value),)), None])  # type: ignore[list-item]
        compiled.lay_out_values([value] * 20)

    once()
    gc.collect()
    blocks = sys.getallocatedblocks()
    for _ in range(200):
        once()
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 100
    assert sys.getrefcount(value) == before


def test_the_batch_s_own_time_is_every_record_s() -> None:
    batch = encode_records([(b"k", b"v", NOW + at, ()) for at in range(10)])
    header = read_header(batch)
    assert [each.timestamp_ms for each in decode_records(batch)] == [NOW + at for at in range(10)]
    batch[22] |= LOG_APPEND_TIME
    assert {each.timestamp_ms for each in decode_records(batch, check_crc=False)} == {header.max_timestamp}


def test_malformed_records_still_say_what_is_wrong() -> None:
    batch = encode_records([(b"k", b"v", NOW + at, ()) for at in range(10)])
    batch[HEADER_BYTES] = 1
    with pytest.raises(CorruptionError, match="malformed record in the batch at offset 0: a record of"):
        decode_records(batch, check_crc=False)
