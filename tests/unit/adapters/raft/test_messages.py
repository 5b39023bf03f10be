"""Whatever bytes arrive: a well-formed message, or ProtocolError."""

from __future__ import annotations

import pickle

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.adapters.raft.messages import (
    ENTRY_MAX_BYTES,
    FRAME_MAX_BYTES,
    Answer,
    AppendEntries,
    HigherTerm,
    PreVoteAnswer,
    PreVoteRequest,
    SnapshotChunk,
    Vote,
    VoteRequest,
    decode,
    encode,
)
from raftkafka.model.errors import ProtocolError

NUMBERS = st.integers(0, 2**62 - 1)


@st.composite
def appends(draw):
    index, term = draw(st.integers(0, 2**50)), draw(st.integers(0, 2**40))
    new = []
    last_term = term
    for number, (grow, command) in enumerate(
        draw(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=20)), max_size=5)), start=1
    ):
        last_term += grow
        new.append((b"\x00" + command, index + number, last_term))
    return AppendEntries(
        term=last_term + draw(st.integers(0, 3)),
        commit_index=draw(NUMBERS),
        number=draw(NUMBERS),
        previous_index=index,
        previous_term=term,
        entries=tuple(new),
    )


@st.composite
def chunks(draw):
    chunk = draw(st.binary(min_size=1, max_size=50))
    position = draw(st.integers(0, 100))
    total = position + len(chunk) + draw(st.integers(0, 100))
    return SnapshotChunk(
        term=draw(NUMBERS),
        commit_index=draw(NUMBERS),
        number=draw(NUMBERS),
        position=position,
        total=total,
        chunk=chunk,
    )


MESSAGES = st.one_of(
    appends(),
    chunks(),
    st.builds(
        Answer,
        term=NUMBERS,
        number=NUMBERS,
        next_index=st.integers(1, 2**60),
        success=st.booleans(),
        reset=st.booleans(),
    ),
    st.builds(VoteRequest, term=NUMBERS, last_index=NUMBERS, last_term=NUMBERS),
    st.builds(Vote, term=NUMBERS),
    st.builds(PreVoteRequest, round=NUMBERS, term=NUMBERS, last_index=NUMBERS, last_term=NUMBERS),
    st.builds(PreVoteAnswer, round=NUMBERS, term=NUMBERS, granted=st.booleans()),
    st.builds(HigherTerm, term=NUMBERS),
)


@given(MESSAGES)
def test_round_trip(message):
    assert decode(encode(message)) == message


@given(st.binary(max_size=200))
def test_garbage_is_a_protocol_error(frame):
    try:
        decode(frame)
    except ProtocolError:
        return
    # By chance it may be a message; then it is one in every respect.
    assert encode(decode(frame))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.binary(max_size=5), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=8),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=8), st.integers(0, 8))
def test_well_formed_cbor_of_the_wrong_shape_is_a_protocol_error(fields, kind):
    frame = cbor2.dumps([kind, *fields])
    try:
        message = decode(frame)
    except ProtocolError:
        return
    assert encode(message)


@pytest.mark.parametrize(
    "fields",
    [
        [0, 5, 0, 0, 1, 9, [[1, b"\x00"]]],  # the term falls
        [0, 5, 0, 0, 1, 1, [[6, b"\x00"]]],  # an entry from the future of its sender
        [0, 5, 0, 0, 1, 1, [[1, b""]]],
        [0, 5, 0, 0, 1, 1, [[1, b"\x03x"]]],  # the library's version switch, which it would unpickle
        [0, 5, 0, 0, 1, 1, [[1, bytes(ENTRY_MAX_BYTES + 1)]]],
        [0, 5, 0, 0, 1, 1, [[True, b"\x00"]]],
        [1, 5, 0, 0, 3, 4, b"ab"],  # beyond the end
        [1, 5, 0, 0, 0, 4, b""],
        [2, 5, 0, 0, True, False],  # below the first entry
        [2, 5, -1, 2, True, False],
        [2, 5, 1, 2, 1, 0],
        [4, 2**62],
        [99],
        [],
        {},
    ],
)
def test_what_is_out_of_bounds_is_refused(fields):
    with pytest.raises(ProtocolError):
        decode(cbor2.dumps(fields))


def test_a_pickle_is_only_garbage():
    with pytest.raises(ProtocolError):
        decode(pickle.dumps({"type": "append_entries"}))


def test_a_frame_above_the_limit_is_not_decoded():
    with pytest.raises(ProtocolError, match="exceeds the limit"):
        decode(bytes(FRAME_MAX_BYTES + 1))
