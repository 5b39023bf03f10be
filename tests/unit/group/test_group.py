"""Offsets of a group: who may commit and delete them, what is shown, when they expire."""

from __future__ import annotations

import pytest

from raftkafka.group.effects import Client, GroupLimits, Now
from raftkafka.group.group import Group
from raftkafka.group.membership import Membership
from raftkafka.group.offsets import CommittedOffsets
from raftkafka.group.records import CommittedOffset, GroupRecord, OffsetRecord, StoredGroup, StoredMember
from raftkafka.model.api.committed_offsets import (
    OffsetCommit,
    OffsetCommitPartition,
    OffsetCommitTopic,
    OffsetDelete,
    OffsetDeleteTopic,
    OffsetFetchGroup,
    OffsetFetchTopic,
)
from raftkafka.model.api.membership import JoinGroup
from raftkafka.model.errors import ErrorCode
from tests.unit.group.driver import protocols

E = ErrorCode
DAY_MS = 86_400_000
NOW = Now(loop_s=10.0, wall_ms=5 * DAY_MS)
LIMITS = GroupLimits()


@pytest.fixture
def group() -> Group:
    return Group("g", LIMITS)


def with_members(group: Group, *, protocol_type: str = "consumer", topics: tuple[str, ...] = ("t",)) -> Group:
    member = StoredMember(
        member_id="m",
        client_id="c",
        client_host="h",
        rebalance_timeout_ms=1,
        session_timeout_ms=10_000,
        subscription=protocols(topics=topics)[0].metadata,
        assignment=b"A",
    )
    stored = StoredGroup(protocol_type=protocol_type, generation=3, protocol="range", leader="m", members=(member,))
    group.membership = Membership.restored(LIMITS, stored, NOW)
    return group


def commit(offset: int = 5, *, topic: str = "t", metadata: str | None = None, **changes) -> OffsetCommit:
    row = OffsetCommitPartition(
        partition=0, committed_offset=offset, committed_leader_epoch=2, committed_metadata=metadata
    )
    return OffsetCommit(group_id="g", topics=(OffsetCommitTopic(name=topic, partitions=(row,)),), **changes)


def put(group: Group, request: OffsetCommit, now: Now = NOW) -> ErrorCode:
    decision = group.decide_commit(request, metadata_max_bytes=4096, now=now)
    for record in decision.records:
        group.offsets.apply(record)
    (topic,) = decision.topics
    return topic.partitions[0].error_code


def shown(group: Group) -> dict[str, int]:
    answer = group.fetch(OffsetFetchGroup(group_id="g"))
    return {topic.name: topic.partitions[0].committed_offset for topic in answer.topics}


def test_a_commit_is_shown_once_it_is_applied(group):
    decision = group.decide_commit(commit(5, metadata="why"), metadata_max_bytes=4096, now=NOW)
    assert shown(group) == {}
    (record,) = decision.records
    group.offsets.apply(record)
    wanted = OffsetFetchGroup(group_id="g", topics=(OffsetFetchTopic(name="t", partitions=(0, 1)),))
    there, missing = group.fetch(wanted).topics[0].partitions
    assert (there.committed_offset, there.committed_leader_epoch, there.metadata) == (5, 2, "why")
    assert (missing.committed_offset, missing.committed_leader_epoch, missing.metadata) == (-1, -1, "")
    assert record.value.commit_timestamp_ms == NOW.wall_ms


def test_metadata_have_a_limit_in_bytes(group):
    refused = group.decide_commit(commit(metadata="ü" * 5), metadata_max_bytes=9, now=NOW)
    assert refused.records == ()
    assert refused.topics[0].partitions[0].error_code is E.OFFSET_METADATA_TOO_LARGE
    assert group.decide_commit(commit(metadata="ü" * 5), metadata_max_bytes=10, now=NOW).records


def test_members_commit_and_others_do_not(group):
    with_members(group)
    assert put(group, commit(generation_id=3, member_id="m")) is E.NONE
    assert put(group, commit(generation_id=2, member_id="m")) is E.ILLEGAL_GENERATION
    assert put(group, commit(generation_id=3, member_id="other")) is E.UNKNOWN_MEMBER_ID
    assert put(group, commit()) is E.UNKNOWN_MEMBER_ID


def test_offsets_of_a_group_at_work_are_deleted_only_where_it_does_not_read(group):
    put(group, commit(topic="t"))
    put(group, commit(topic="u"))
    with_members(group)
    request = OffsetDelete(
        group_id="g",
        topics=(OffsetDeleteTopic(name="t", partitions=(0,)), OffsetDeleteTopic(name="u", partitions=(0, 1))),
    )
    decision = group.decide_delete_offsets(request)
    assert [[each.error_code for each in topic.partitions] for topic in decision.topics] == [
        [E.GROUP_SUBSCRIBED_TO_TOPIC],
        [E.NONE, E.NONE],
    ]
    assert [(each.topic, each.partition, each.value) for each in decision.records] == [("u", 0, None)]


def test_offsets_of_another_kind_of_group_at_work_stay(group):
    with_members(group, protocol_type="connect")
    request = OffsetDelete(group_id="g", topics=(OffsetDeleteTopic(name="t", partitions=(0,)),))
    assert group.decide_delete_offsets(request).error_code is E.NON_EMPTY_GROUP


def test_a_group_is_deleted_whole_and_only_when_empty(group):
    put(group, commit(topic="t"))
    on_its_way = group.decide_commit(commit(topic="u"), metadata_max_bytes=100, now=NOW).records
    group.offsets.appended(on_its_way)
    assert group.why_not_delete() is E.NONE
    *offsets, last = group.deletion()
    assert [each.topic for each in offsets] == ["t", "u"]
    assert last == GroupRecord(group_id="g", value=None)
    group.membership.die()
    assert group.why_not_delete() is E.GROUP_ID_NOT_FOUND
    assert with_members(group).why_not_delete() is E.NON_EMPTY_GROUP


def expiry(group: Group, days: float) -> tuple:
    now = Now(loop_s=0.0, wall_ms=int(NOW.wall_ms + days * DAY_MS))
    return group.decide_expiry(retention_ms=7 * DAY_MS, now=now)


def test_offsets_of_a_standalone_consumer_expire_from_their_commit_on(group):
    put(group, commit(topic="old"))
    put(group, commit(topic="new"), Now(loop_s=0.0, wall_ms=NOW.wall_ms + DAY_MS))
    assert expiry(group, 6.9) == ()
    (only,) = expiry(group, 7)
    assert (only.topic, only.value) == ("old", None)
    assert [type(each) for each in expiry(group, 8)] == [OffsetRecord, OffsetRecord, GroupRecord]


def test_offsets_of_an_empty_group_expire_together_from_its_last_member_on(group):
    put(group, commit())
    stored = StoredGroup(protocol_type="consumer", generation=4, current_state_timestamp_ms=NOW.wall_ms + 3 * DAY_MS)
    group.membership = Membership.restored(LIMITS, stored, NOW)
    assert expiry(group, 9.9) == ()
    assert [type(each) for each in expiry(group, 10)] == [OffsetRecord, GroupRecord]


def test_offsets_of_a_group_at_work_expire_only_where_it_does_not_read(group):
    put(group, commit(topic="t"))
    put(group, commit(topic="u"))
    with_members(group)
    assert [each.topic for each in expiry(group, 100)] == ["u"]
    group.membership.subscribed_topics = None
    assert expiry(group, 100) == ()


def test_nothing_expires_with_a_commit_on_its_way_or_a_member_about_to_join(group):
    put(group, commit())
    on_its_way = group.decide_commit(commit(6), metadata_max_bytes=100, now=NOW).records
    group.offsets.appended(on_its_way)
    assert expiry(group, 100) == ()
    group.offsets.settled(on_its_way)
    assert len(expiry(group, 100)) == 2
    request = JoinGroup(group_id="g", session_timeout_ms=10_000, protocol_type="consumer", protocols=protocols())
    group.membership.join(request, 1, client=Client(client_id="", client_host=""), new_member_id="m", now=NOW)
    assert [type(each) for each in expiry(group, 100)] == [OffsetRecord]


def test_offsets_of_old_kafkas_expire_when_they_say():
    offsets = CommittedOffsets()
    value = CommittedOffset(offset=1, commit_timestamp_ms=0, expire_timestamp_ms=100)
    offsets.apply(OffsetRecord(group_id="g", topic="t", partition=0, value=value))
    assert offsets.expired(now_ms=99, retention_ms=1) == []
    assert offsets.expired(now_ms=100, retention_ms=1000) == [("t", 0)]


def test_offsets_of_topics_that_are_gone(group):
    put(group, commit(topic="t"))
    put(group, commit(topic="u"))
    assert [each.topic for each in group.offsets_of_topics(frozenset({"u", "x"}))] == ["u"]


def test_a_group_tells_metadata_only_while_it_is_stable(group):
    with_members(group)
    described = group.described(include_history=True)
    assert (described.group_state, described.protocol_data, described.generation_id) == ("Stable", "range", 3)
    assert described.members[0].member_assignment == b"A"
    assert described.members[0].member_metadata
    assert described.history
    request = JoinGroup(
        group_id="g",
        session_timeout_ms=10_000,
        member_id="m",
        protocol_type="consumer",
        protocols=protocols("range", topics=("v",)),
    )
    group.membership.join(request, 1, client=Client(client_id="", client_host=""), new_member_id="", now=NOW)
    group.membership.leave("m", None, None, now=NOW)
    described = group.described(include_history=False)
    assert (described.protocol_data, described.history) == ("", ())
    assert group.listed().group_state == "Empty"
