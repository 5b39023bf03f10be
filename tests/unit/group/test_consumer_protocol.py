"""The consumer protocol's bytes, held against what kio 0.6.5 (generated from Kafka's own schemas) writes, and foreign bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.group.consumer_protocol import (
    Assignment,
    Subscription,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    encode_subscription,
)
from raftkafka.model.errors import ProtocolError

FULL = Subscription(
    topics=("a", "b"),
    user_data=b"\x01\x02",
    owned_partitions=(("a", 0), ("a", 3), ("b", 1)),
    generation_id=7,
    rack_id="rack-1",
)
SUBSCRIPTIONS = {
    0: (Subscription(topics=("a", "b")), "000000000002000161000162ffffffff"),
    1: (
        Subscription(topics=("a", "b"), owned_partitions=(("a", 0),)),
        "000100000002000161000162ffffffff000000010001610000000100000000",
    ),
    3: (
        FULL,
        "0003000000020001610001620000000201020000000200016100000002000000000000000300016200000001000000010000000700067261636b2d31",
    ),
}
ASSIGNMENT = Assignment(partitions=(("b", 1), ("b", 0), ("a", 5)))
ASSIGNMENT_BYTES = "0003000000020001620000000200000001000000000001610000000100000005ffffffff"

_TOPICS = st.text(max_size=5)
_PARTITIONS = st.lists(st.tuples(_TOPICS, st.integers(0, 2**31 - 1)), max_size=5, unique=True)


@pytest.mark.parametrize("version", SUBSCRIPTIONS)
def test_subscriptions_are_kafkas_bytes(version):
    value, written = SUBSCRIPTIONS[version]
    assert encode_subscription(value, version).hex() == written
    assert decode_subscription(bytes.fromhex(written)) == value


def test_assignments_are_kafkas_bytes():
    assert encode_assignment(ASSIGNMENT).hex() == ASSIGNMENT_BYTES
    assert decode_assignment(bytes.fromhex(ASSIGNMENT_BYTES)) == ASSIGNMENT


def test_older_versions_leave_out_what_they_do_not_know():
    assert decode_subscription(encode_subscription(FULL, 2)) == Subscription(
        topics=FULL.topics, user_data=FULL.user_data, owned_partitions=FULL.owned_partitions, generation_id=7
    )
    assert decode_subscription(encode_subscription(FULL, 0)) == Subscription(
        topics=FULL.topics, user_data=FULL.user_data
    )


def test_a_newer_version_is_read_as_the_newest_known():
    raw = bytearray(encode_subscription(FULL))
    raw[1] = 9
    assert decode_subscription(bytes(raw) + b"what version 9 added") == FULL


def test_topics_and_owned_partitions_are_written_in_order():
    shuffled = Subscription(topics=("b", "a"), owned_partitions=(("b", 1), ("a", 3), ("a", 0)))
    assert decode_subscription(encode_subscription(shuffled)) == Subscription(
        topics=("a", "b"), owned_partitions=(("a", 0), ("a", 3), ("b", 1))
    )


@given(
    topics=st.lists(_TOPICS, max_size=4),
    owned=_PARTITIONS,
    data=st.none() | st.binary(max_size=9),
    generation=st.integers(-1, 2**31 - 1),
    rack=st.none() | st.text(max_size=5),
)
def test_subscriptions_survive(topics, owned, data, generation, rack):
    value = Subscription(
        topics=tuple(sorted(topics)),
        user_data=data,
        owned_partitions=tuple(sorted(owned)),
        generation_id=generation,
        rack_id=rack,
    )
    assert decode_subscription(encode_subscription(value)) == value


@given(partitions=_PARTITIONS, data=st.none() | st.binary(max_size=9))
def test_assignments_survive_with_their_order_within_a_topic(partitions, data):
    read = decode_assignment(encode_assignment(Assignment(partitions=tuple(partitions), user_data=data)))
    assert read.user_data == data
    assert sorted(read.partitions) == sorted(partitions)
    for topic in {topic for topic, _ in partitions}:
        assert [p for t, p in read.partitions if t == topic] == [p for t, p in partitions if t == topic]


@given(raw=st.binary(max_size=60))
def test_foreign_bytes_are_refused_and_nothing_else(raw):
    for decode in (decode_subscription, decode_assignment):
        try:
            decode(raw)
        except ProtocolError:
            continue


@pytest.mark.parametrize("size", range(len(encode_subscription(FULL))))
def test_a_truncated_subscription_is_refused(size):
    with pytest.raises(ProtocolError):
        decode_subscription(encode_subscription(FULL)[:size])


@pytest.mark.parametrize(
    "raw",
    [
        bytes.fromhex("ffff00000000ffffffff"),  # version -1
        bytes.fromhex("00007fffffff"),  # two thousand million topics
        bytes.fromhex("0000ffffffff"),  # null topics
        bytes.fromhex("000000000001ffff"),  # a null topic
        bytes.fromhex("0000000000010002fffe"),  # not UTF-8
    ],
)
def test_nonsense_is_refused(raw):
    with pytest.raises(ProtocolError):
        decode_subscription(raw)


def test_what_kafka_cannot_write_is_the_callers_fault():
    with pytest.raises(ValueError, match="versions 0 to 3"):
        encode_subscription(FULL, 4)
    with pytest.raises(ValueError, match="32768 bytes"):
        encode_subscription(Subscription(topics=("t" * 32768,)))
