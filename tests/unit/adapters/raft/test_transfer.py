"""A snapshot in pieces."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from raftkafka.adapters.raft.snapshot import SNAPSHOT_MAX_BYTES
from raftkafka.adapters.raft.transfer import WINDOW_CHUNKS, IncomingTransfer, OutgoingTransfer


@given(st.binary(min_size=1, max_size=200), st.integers(1, 30))
def test_what_is_sent_arrives_with_a_window_under_way(content, chunk_bytes):
    outgoing, incoming = OutgoingTransfer(term=3, content=content, chunk_bytes=chunk_bytes), IncomingTransfer()
    number, arrived = 1, None
    while not outgoing.is_done:
        chunks = list(outgoing.chunks(commit_index=0, number=number))
        number += len(chunks)
        assert 0 < len(outgoing.under_way) <= WINDOW_CHUNKS
        for chunk in chunks:
            assert arrived is None
            arrived = incoming.add(chunk)
        outgoing.answered(outgoing.under_way[0])
    assert arrived == content


def chunks_of(content, chunk_bytes=4, term=1):
    return list(OutgoingTransfer(term=term, content=content, chunk_bytes=chunk_bytes).chunks(commit_index=0, number=1))


def test_a_gap_another_term_or_a_giant_ends_the_transfer():
    first, second, third = chunks_of(b"0123456789")
    incoming = IncomingTransfer()
    assert [incoming.add(chunk) for chunk in (first, third)] == [None, None]
    assert incoming.add(second) is None
    assert incoming.add(third) is None, "what follows a gap is worth nothing"
    assert [incoming.add(chunk) for chunk in (first, replace(second, term=2), third)] == [None, None, None]
    assert incoming.add(replace(first, total=SNAPSHOT_MAX_BYTES + 1)) is None
    assert incoming.add(second) is None
    assert [incoming.add(chunk) for chunk in (first, second, third)][-1] == b"0123456789"


def test_a_new_beginning_replaces_the_old_one():
    incoming = IncomingTransfer()
    incoming.add(chunks_of(b"0123456789")[0])
    assert [incoming.add(chunk) for chunk in chunks_of(b"abcdefgh")][-1] == b"abcdefgh"
