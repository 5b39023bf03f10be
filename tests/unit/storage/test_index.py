"""The index formats, and lookups against a plain list."""

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.model.errors import CorruptionError
from raftkafka.storage.index import OffsetIndex, TimeIndex

RISING = st.sets(st.integers(0, 1 << 20), max_size=30).map(sorted)


def offset_index(relatives):
    index = OffsetIndex()
    for at, relative in enumerate(relatives):
        index.add(relative, at * 100)
    return index


@given(RISING, st.integers(0, 1 << 20))
def test_floor_is_the_last_entry_at_or_before(relatives, asked):
    below = [(relative, at * 100) for at, relative in enumerate(relatives) if relative <= asked]
    assert offset_index(relatives).floor(asked) == (below[-1] if below else None)


@given(RISING, st.integers(0, 1 << 20))
def test_truncation_keeps_what_ends_before(relatives, cut):
    index = offset_index(relatives)
    index.truncate(cut)
    assert index.encode() == offset_index([relative for relative in relatives if relative < cut]).encode()


@given(RISING)
def test_the_offset_index_round_trips(relatives):
    index = offset_index(relatives)
    content = index.encode()
    assert content == b"".join(pack(">II", relative, at * 100) for at, relative in enumerate(relatives))
    assert OffsetIndex.decode(content, log_bytes=len(relatives) * 100 + 1).encode() == content


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(0, 60))
def test_before_leads_to_or_before_the_first_larger_timestamp(timestamps, asked):
    index = TimeIndex()
    for relative, timestamp in enumerate(timestamps):
        index.add(timestamp, relative)
    first = next((at for at, timestamp in enumerate(timestamps) if timestamp >= asked), len(timestamps))
    assert index.before(asked) <= first
    assert all(timestamp < asked for timestamp in timestamps[1 : index.before(asked) + 1])
    content = index.encode()
    assert TimeIndex.decode(content).encode() == content


@pytest.mark.parametrize(
    "content",
    [b"\0" * 7, pack(">IIII", 5, 0, 4, 10), pack(">IIII", 4, 10, 5, 9), pack(">II", 1, 99), pack(">II", 1 << 31, 0)],
)
def test_a_damaged_offset_index_is_refused(content):
    with pytest.raises(CorruptionError):
        OffsetIndex.decode(content, log_bytes=99)


@pytest.mark.parametrize("content", [b"\0" * 13, pack(">qIqI", 5, 0, 4, 1), pack(">qIqI", 4, 1, 5, 0)])
def test_a_damaged_time_index_is_refused(content):
    with pytest.raises(CorruptionError):
        TimeIndex.decode(content)
