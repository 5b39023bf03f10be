"""Segments looked at from outside: what is sound is told as sound, and every kind of damage where it is."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.record.build import encode_values
from raftkafka.record.header import stamp
from raftkafka.storage import inspection
from raftkafka.storage.inspection import Damage, Seen

BASE = 100


def segment(*sizes: int, base: int = BASE) -> bytearray:
    """Batches of so many records, back to back; timestamps rise by one from batch to batch."""
    content, offset = bytearray(), base
    for number, size in enumerate(sizes):
        batch = bytearray(encode_values([b"value"] * size, timestamp_ms=1_000 + number))
        stamp(batch, 0, offset, 3)
        content += batch
        offset += size
    return content


def look(content: bytes, base: int = BASE) -> list[Seen | Damage]:
    return list(inspection.batches(bytes(content), base_offset=base))


def test_sound_batches_are_seen_with_their_places():
    content = segment(2, 1, 3)
    seen = look(content)
    assert [each.problem for each in seen] == [None] * 3
    assert [each.header.base_offset for each in seen] == [100, 102, 103]
    assert [content[each.position + 16] for each in seen] == [2, 2, 2]
    assert all(inspection.records_problem(bytes(content), each) is None for each in seen)
    assert look(b"") == []


def test_a_wrong_checksum_is_told_and_what_follows_is_seen():
    content = segment(2, 1, 3)
    second = look(content)[1].position
    content[second + 65] ^= 1
    assert [each.problem for each in look(content)] == [None, "the checksum is wrong", None]


def test_a_torn_end_a_hole_and_zeros_are_told_apart():
    content = segment(2, 1)
    torn = look(content[:-4])
    assert torn[-1] == Damage(look(content)[1].position, "the file ends 4 bytes before the batch of offset 102 does")
    zeros = look(content + bytes(500))
    assert zeros[-1] == Damage(len(content), "500 bytes of zeros")
    hole = look(content + b"\xff" * 70 + segment(1, base=103))
    assert f"the next sound one is that of offset 103 at {len(content) + 70}" in hole[-1].problem


def test_offsets_may_leave_gaps_and_never_go_back():
    assert [each.problem for each in look(segment(1) + segment(1, base=200))] == [None, None]
    assert look(segment(1, base=99))[0].problem == "offset 99 where 100 or a later one is due"
    assert look(segment(3) + segment(1, base=101))[1].problem == "offset 101 where 103 or a later one is due"


def entries(seen) -> bytes:
    return b"".join(pack(">II", each.header.last_offset - BASE, each.position) for each in seen)


def times(seen) -> bytes:
    return b"".join(pack(">qI", each.header.max_timestamp, each.header.last_offset - BASE) for each in seen)


@pytest.mark.parametrize("room", [0, 80])
def test_indexes_that_lead_to_their_batches_are_sound(room):
    seen = look(segment(2, 1, 3))
    assert list(inspection.offset_index_problems(entries(seen) + bytes(8 * room), seen, base_offset=BASE)) == []
    assert list(inspection.time_index_problems(times(seen) + bytes(12 * room), seen, base_offset=BASE)) == []


def test_an_index_that_leads_elsewhere_is_told():
    seen = look(segment(2, 1, 3))
    at = seen[1].position

    def problems(content: bytes) -> list[str]:
        return list(inspection.offset_index_problems(content, seen, base_offset=BASE))

    assert problems(pack(">II", 2, at + 1)) == [f"entry 0: no batch begins at position {at + 1}"]
    assert problems(pack(">II", 3, at)) == [f"entry 0: the batch at position {at} ends with offset 102, not with 103"]
    assert "does not rise" in problems(entries([seen[1], seen[0]]))[0]
    assert problems(b"123") == ["3 bytes are no whole number of entries"]


def test_a_time_index_that_says_another_time_is_told():
    seen = look(segment(2, 1, 3))

    def problems(content: bytes) -> list[str]:
        return list(inspection.time_index_problems(content, seen, base_offset=BASE))

    assert problems(pack(">qI", 7, 1)) == ["entry 0: the largest timestamp up to offset 101 is 1000, not 7"]
    assert problems(pack(">qI", 7, 50)) == ["entry 0: no batch has offset 150"]
    assert "does not rise" in problems(times([seen[1], seen[0]]))[0]
    assert problems(b"123") == ["3 bytes are no whole number of entries"]


def test_records_that_do_not_fit_their_header_are_told():
    content = segment(2)
    (seen,) = look(content)
    content[70:75] = b"\xff" * 5
    assert inspection.records_problem(bytes(content), seen) is not None


@given(data=st.binary(max_size=300), cut=st.integers(0, 200), flips=st.lists(st.integers(0, 10_000), max_size=5))
def test_no_bytes_raise_anything(data, cut, flips):
    content = segment(2, 1, 3)[: 300 - cut] + data
    for at in flips:
        content[at % len(content)] ^= 0x55 if content else 0
    seen = [each for each in look(content) if isinstance(each, Seen)]
    for each in seen:
        if each.problem is None:
            inspection.records_problem(bytes(content), each)
    list(inspection.offset_index_problems(data, seen, base_offset=BASE))
    list(inspection.time_index_problems(data, seen, base_offset=BASE))
