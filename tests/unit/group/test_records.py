"""Records of `__consumer_offsets`: golden bytes, written out by hand after Kafka's schemas, and what is not well-formed."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from raftkafka.group.records import (
    CommittedOffset,
    GroupRecord,
    OffsetRecord,
    StoredGroup,
    StoredMember,
    decode,
    encode,
)
from raftkafka.model.errors import ProtocolError

OFFSET = OffsetRecord(
    group_id="g",
    topic="t",
    partition=3,
    value=CommittedOffset(offset=42, leader_epoch=5, metadata="me", commit_timestamp_ms=1_700_000_000_000),
)
OFFSET_KEY = "000100016700017400000003"
OFFSET_VALUE = "0003000000000000002a0000000500026d650000018bcfe56800"

GROUP = GroupRecord(
    group_id="g",
    value=StoredGroup(
        protocol_type="consumer",
        generation=7,
        protocol="range",
        leader="m-1",
        current_state_timestamp_ms=1_700_000_000_000,
        members=(
            StoredMember(
                member_id="m-1",
                group_instance_id="i",
                client_id="c",
                client_host="/127.0.0.1",
                rebalance_timeout_ms=300_000,
                session_timeout_ms=45_000,
                subscription=b"\x00\x01",
                assignment=b"\x02",
            ),
        ),
    ),
)
GROUP_KEY = "0002000167"
GROUP_VALUE = (
    "0003"
    "0008"
    "636f6e73756d6572"
    "00000007"
    "0005"
    "72616e6765"
    "0003"
    "6d2d31"
    "0000018bcfe56800"
    "00000001"
    "0003"
    "6d2d31"
    "0001"
    "69"
    "0001"
    "63"
    "000a"
    "2f3132372e302e302e31"
    "000493e0"
    "0000afc8"
    "00000002"
    "0001"
    "00000001"
    "02"
)
EMPTY = GroupRecord(
    group_id="g", value=StoredGroup(protocol_type="consumer", generation=8, current_state_timestamp_ms=1)
)
EMPTY_VALUE = "00030008636f6e73756d657200000008ffffffff000000000000000100000000"


@pytest.mark.parametrize(
    ("record", "key", "value"),
    [
        (OFFSET, OFFSET_KEY, OFFSET_VALUE),
        (GROUP, GROUP_KEY, GROUP_VALUE),
        (EMPTY, GROUP_KEY, EMPTY_VALUE),
        (OffsetRecord(group_id="g", topic="t", partition=3, value=None), OFFSET_KEY, None),
        (GroupRecord(group_id="g", value=None), GROUP_KEY, None),
    ],
)
def test_records_are_kafkas_bytes(record, key, value):
    raw = (bytes.fromhex(key), None if value is None else bytes.fromhex(value))
    assert encode(record) == raw
    assert decode(*raw) == record


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0000000000000000002a00000000000000000009", CommittedOffset(offset=42, commit_timestamp_ms=9)),
        (
            "0001000000000000002a00000000000000000009000000000000000a",
            CommittedOffset(offset=42, commit_timestamp_ms=9, expire_timestamp_ms=10),
        ),
        ("0002000000000000002a00000000000000000009", CommittedOffset(offset=42, commit_timestamp_ms=9)),
    ],
)
def test_offsets_of_older_kafkas_are_read(value, expected):
    assert decode(bytes.fromhex("0000" + OFFSET_KEY[4:]), bytes.fromhex(value)).value == expected


def test_groups_of_older_kafkas_are_read():
    old = "00000008636f6e73756d657200000007000572616e676500036d2d3100000001"
    old += "00036d2d310001630001680000afc800000001050000000106"
    (member,) = decode(bytes.fromhex(GROUP_KEY), bytes.fromhex(old)).value.members
    assert (member.rebalance_timeout_ms, member.session_timeout_ms) == (45_000, 45_000)
    assert (member.group_instance_id, member.subscription, member.assignment) == (None, b"\x05", b"\x06")


OFFSET_VALUE_4 = "0004000000000000002a00000005036d650000018bcfe56800"
TOPIC_ID_TAG = "010010" + "ab" * 16
GROUP_VALUE_4 = (
    "0004"
    "09636f6e73756d6572"
    "00000007"
    "0672616e6765"
    "046d2d31"
    "0000018bcfe56800"
    "02"
    "046d2d31"
    "0269"
    "0263"
    "0b2f3132372e302e302e31"
    "000493e0"
    "0000afc8"
    "030001"
    "0202"
    "00"
    "00"
)


@pytest.mark.parametrize("tags", ["00", TOPIC_ID_TAG])
def test_offsets_of_kafka_4_are_read(tags):
    assert decode(bytes.fromhex(OFFSET_KEY), bytes.fromhex(OFFSET_VALUE_4 + tags)) == OFFSET


def test_groups_of_kafka_4_are_read():
    assert decode(bytes.fromhex(GROUP_KEY), bytes.fromhex(GROUP_VALUE_4)) == GROUP
    empty = "000409636f6e73756d657200000008000000000000000000010100"
    assert decode(bytes.fromhex(GROUP_KEY), bytes.fromhex(empty)) == EMPTY


def test_other_kinds_of_records_are_passed_over():
    assert decode(bytes.fromhex("0003000167"), b"whatever") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("", None),
        ("0001000567", None),
        (OFFSET_KEY, "000500"),
        (OFFSET_KEY, OFFSET_VALUE_4),
        (OFFSET_KEY, OFFSET_VALUE_4 + TOPIC_ID_TAG[:-2]),
        (OFFSET_KEY, OFFSET_VALUE_4 + "ffffffffffff7f"),
        (OFFSET_KEY, OFFSET_VALUE_4[:28] + "00" + OFFSET_VALUE_4[34:] + "00"),
        (GROUP_KEY, GROUP_VALUE_4[:-2]),
        (GROUP_KEY, "000409636f6e73756d657200000008000000000000000000010000"),
        (GROUP_KEY, "000409636f6e73756d65720000000800000000000000000001ffffffff0f"),
        (OFFSET_KEY, "ffff00"),
        (OFFSET_KEY, OFFSET_VALUE[:-2]),
        (GROUP_KEY, GROUP_VALUE[:-2]),
        (GROUP_KEY, EMPTY_VALUE[:-8] + "7fffffff"),
    ],
)
def test_malformed_records_are_refused(key, value):
    with pytest.raises(ProtocolError):
        decode(bytes.fromhex(key), None if value is None else bytes.fromhex(value))


@given(key=st.binary(max_size=30), value=st.none() | st.binary(max_size=80))
@example(key=bytes.fromhex(OFFSET_KEY), value=bytes.fromhex(OFFSET_VALUE_4 + "ff"))
def test_foreign_bytes_are_refused_and_nothing_else(key, value):
    try:
        decode(key, value)
    except ProtocolError:
        return
