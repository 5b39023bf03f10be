"""Records survive, or are seen not to have survived, whatever happens to their bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.adapters.raft import journal_records as records
from raftkafka.model.errors import CorruptionError

PAYLOADS = [records.base(), records.term_and_vote(3, None), records.complete(), records.entry((b"\x00abc", 7, 3))]


def segment(payloads, *, synced_each=True, number=1):
    content = b""
    for payload in payloads:
        synced = len(content) if synced_each else 0
        content += records.frame(payload, segment=number, position=len(content), synced=synced)
    return content


def payloads_of(content, number=1):
    return [record.payload for record in records.scan(content, segment=number, path="the segment")]


@given(st.lists(st.binary(min_size=1, max_size=50).map(lambda command: records.entry((b"\x00" + command, 9, 2)))))
def test_what_was_written_is_read(payloads):
    assert payloads_of(segment(payloads)) == payloads


@given(st.integers(0, 2**62), st.one_of(st.none(), st.integers(0, 2**31)))
def test_term_and_vote_round_trip(term, vote):
    assert records.parse_term(records.term_and_vote(term, vote)) == (term, vote)


def test_a_tail_torn_at_any_byte_leaves_the_records_before_it():
    content = segment(PAYLOADS)
    ends = [record.end for record in records.scan(content, segment=1, path="")]
    for cut in range(len(content)):
        assert len(payloads_of(content[:cut])) == sum(end <= cut for end in ends)


def test_any_flipped_bit_before_synced_records_is_refused():
    content = segment([*PAYLOADS, records.mark()])
    last = len(segment(PAYLOADS))
    for position in range(last):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            with pytest.raises(CorruptionError, match="is damaged at byte"):
                payloads_of(bytes(damaged))


def test_damage_of_what_was_never_synced_is_a_torn_write():
    content = bytearray(segment(PAYLOADS, synced_each=False))
    content[-30] ^= 1
    assert payloads_of(bytes(content)) == PAYLOADS[:3]


def test_records_of_another_segment_or_position_do_not_count():
    content = segment(PAYLOADS, number=1)
    assert payloads_of(content, number=2) == []
    assert payloads_of(content[records.HEADER_BYTES + 1 :]) == []


def test_a_record_with_an_unknown_type_ends_the_segment():
    content = segment([*PAYLOADS, b"\x63?"])
    assert payloads_of(content) == PAYLOADS
