"""A log of groups, read from its beginning: the last record of each key counts."""

from __future__ import annotations

from raftkafka.group.effects import GroupLimits, GroupState, Now
from raftkafka.group.loading import LoadedGroups
from raftkafka.group.records import (
    CommittedOffset,
    GroupRecord,
    OffsetRecord,
    StoredGroup,
    StoredMember,
    encode,
)

NOW = Now(loop_s=1.0, wall_ms=1_000)
MEMBER = StoredMember(
    member_id="m",
    client_id="c",
    client_host="h",
    rebalance_timeout_ms=1_000,
    session_timeout_ms=6_000,
    subscription=b"",
    assignment=b"A",
)


def offset(group: str, value: int | None, topic: str = "t") -> OffsetRecord:
    content = None if value is None else CommittedOffset(offset=value, commit_timestamp_ms=1)
    return OffsetRecord(group_id=group, topic=topic, partition=0, value=content)


def group(name: str, generation: int | None, *members: StoredMember) -> GroupRecord:
    stored = StoredGroup(protocol_type="consumer", generation=generation or 0, protocol="range", members=members)
    return GroupRecord(group_id=name, value=None if generation is None else stored)


def loaded(*records: OffsetRecord | GroupRecord) -> LoadedGroups:
    groups = LoadedGroups(GroupLimits())
    for record in records:
        groups.feed(*encode(record))
    return groups


def test_the_last_record_of_each_key_counts():
    found = loaded(
        offset("g", 1), group("g", 1, MEMBER), offset("g", 5), group("g", 2), offset("g", 7, "u"), offset("g", None)
    ).groups(NOW)
    assert list(found) == ["g"]
    assert (found["g"].membership.state, found["g"].membership.generation) == (GroupState.EMPTY, 2)
    assert [(topic, value.offset) for (topic, _), value in found["g"].offsets] == [("u", 7)]


def test_tombstones_leave_nothing():
    assert loaded(group("g", 1, MEMBER), offset("g", 1), offset("g", None), group("g", None)).groups(NOW) == {}


def test_offsets_outlive_the_record_of_their_group():
    groups = loaded(group("g", 1, MEMBER), offset("g", 1), group("g", None))
    found = groups.groups(NOW)
    assert found["g"].membership.protocol_type is None
    assert (len(found["g"].offsets), groups.offsets) == (1, 1)


def test_members_have_a_session_from_now_on():
    found = loaded(group("g", 3, MEMBER)).groups(NOW)
    assert found["g"].membership.state is GroupState.STABLE
    assert found["g"].membership.next_deadline_s == 7.0


def test_what_is_no_record_of_ours_is_counted_and_left_out():
    groups = loaded(offset("g", 1))
    key, _ = encode(offset("g", 2))
    groups.feed(key, b"\x00\x09")
    groups.feed(None, b"no key")
    groups.feed(b"\x00\x07a newer kind", b"")
    assert groups.unreadable == 2
    assert groups.groups(NOW)["g"].offsets.get("t", 0).offset == 1
