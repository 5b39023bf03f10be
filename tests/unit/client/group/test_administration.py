from __future__ import annotations

import asyncio
from random import Random

import pytest

from raftkafka.client import Admin, ApiError, OffsetAndMetadata, TopicPartition
from raftkafka.client.group.resets import (
    Bounds,
    ShiftBy,
    ToCurrent,
    ToEarliest,
    ToLatest,
    ToOffset,
    ToOffsets,
    ToTimestamp,
    target,
)
from raftkafka.model.api.committed_offsets import OffsetCommit
from raftkafka.model.api.groups import DescribeGroups
from raftkafka.model.errors import ErrorCode
from raftkafka.record.build import encode_values

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)


@pytest.fixture
async def admin(cluster):
    async with Admin("b1:9092", connect=cluster.connect, random=Random(1), default_api_timeout_ms=5_000) as admin:
        yield admin


@pytest.fixture
async def member(topic, member_of):
    """Somebody in group g, who reads topic t of two partitions with five records each."""
    topic("t", 2, records=5)
    async with member_of(enable_auto_commit=False) as consumer:
        consumer.subscribe(["t"])
        async with asyncio.timeout(10):
            while len(consumer.assignment()) < 2:
                await consumer.poll(10)
        yield consumer


async def test_groups_are_listed_and_described_with_their_members(admin, member, coordinator):
    coordinator.group("empty")
    assert [each.group_id for each in await admin.list_consumer_groups()] == ["empty", "g"]
    group, empty, dead = await admin.describe_consumer_groups(["g", "empty", "nobody's"])
    assert (group.state, group.assignor, group.coordinator, group.protocol_type) == ("Stable", "range", 1, "consumer")
    (one,) = group.members
    assert (one.topics, one.partitions, one.client_id) == (("t",), (T0, T1), "c")
    assert (empty.state, dead.state) == ("Empty", "Dead")


async def test_a_foreign_clients_bytes_are_shown_as_nothing(admin, member, coordinator):
    (only,) = coordinator.group().members.values()
    only.protocols["range"] = b"\xff"
    coordinator.group().shares = dict.fromkeys(coordinator.group().members, b"\x00")
    (group,) = await admin.describe_consumer_groups(["g"])
    assert (group.members[0].topics, group.members[0].partitions) == ((), ())


async def test_refusals_that_pass_are_waited_out(admin, coordinator):
    coordinator.group()
    coordinator.refuse(DescribeGroups, ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    (group,) = await admin.describe_consumer_groups(["g"])
    assert group.state == "Empty"
    coordinator.refuse(DescribeGroups, ErrorCode.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(ApiError, match="GROUP_AUTHORIZATION_FAILED"):
        await admin.describe_consumer_groups(["g"])


async def test_a_broker_that_leaves_does_not_hold_up_the_list_for_ever(admin, cluster, coordinator):
    coordinator.group()
    await admin.list_consumer_groups()
    cluster.kill(3)
    listing = asyncio.ensure_future(admin.list_consumer_groups())
    await asyncio.sleep(0.1)
    assert not listing.done()
    cluster.nodes.discard(3)
    assert len(await listing) == 1


async def test_groups_with_members_are_neither_deleted_nor_altered(admin, member, coordinator):
    await member.commit({T0: 3})
    for ask in (
        admin.delete_consumer_groups(["g"]),
        admin.alter_consumer_group_offsets("g", {T0: 1}),
        admin.reset_consumer_group_offsets("g", [T0], ToEarliest()),
    ):
        with pytest.raises(ApiError) as failed:
            await ask
        assert failed.value.code is ErrorCode.NON_EMPTY_GROUP
    with pytest.raises(ApiError, match="members of group 'g' read it"):
        await admin.delete_consumer_group_offsets("g", [T0])
    assert await admin.list_consumer_group_offsets("g") == {T0: OffsetAndMetadata(3)}
    await member.unsubscribe()
    await admin.delete_consumer_group_offsets("g", [T0])
    assert await admin.list_consumer_group_offsets("g") == {}
    await admin.delete_consumer_groups(["g"])
    with pytest.raises(ApiError, match="there is no group 'g'"):
        await admin.delete_consumer_groups(["g"])


async def test_C10_resets_move_what_is_committed(admin, topic, cluster, coordinator):
    topic("t", 2, records=5)
    cluster.topics["t"][0].append(encode_values([b"late"], timestamp_ms=1_000))
    await admin.alter_consumer_group_offsets("g", {T0: 3})
    both = [T0, T1]

    async def reset(how, partitions=both):
        return await admin.reset_consumer_group_offsets("g", partitions, how)

    assert await reset(ToLatest()) == {T0: 6, T1: 5}
    assert await reset(ToEarliest()) == {T0: 0, T1: 0}
    assert await reset(ToOffset(offset=2)) == {T0: 2, T1: 2}
    assert await reset(ShiftBy(count=-1)) == {T0: 1, T1: 1}
    assert await reset(ShiftBy(count=100)) == {T0: 6, T1: 5}
    assert await reset(ToTimestamp(timestamp_ms=500)) == {T0: 5, T1: 5}
    assert await reset(ToOffsets(offsets={T0: 4, T1: 1})) == {T0: 4, T1: 1}
    sent = len(coordinator.sent(OffsetCommit))
    assert await admin.reset_consumer_group_offsets("g", both, ToEarliest(), dry_run=True) == {T0: 0, T1: 0}
    assert len(coordinator.sent(OffsetCommit)) == sent
    assert await admin.list_consumer_group_offsets("g", both) == {T0: OffsetAndMetadata(4), T1: OffsetAndMetadata(1)}
    assert await admin.list_consumer_group_offsets("g", [T1]) == {T1: OffsetAndMetadata(1)}


def test_a_target_stays_within_the_log_and_has_a_reason():
    bounds = Bounds(earliest=10, latest=20, at_time=-1)
    assert target(ToOffset(offset=5), T0, bounds, None) == 10
    assert target(ToOffset(offset=99), T0, bounds, None) == 20
    assert target(ToTimestamp(timestamp_ms=1), T0, bounds, 12) == 20
    assert target(ToCurrent(), T0, bounds, None) == 20
    assert target(ToCurrent(), T0, bounds, 12) == 12
    assert target(ToCurrent(), T0, bounds, 3) == 10
    with pytest.raises(ApiError, match="nothing is committed in t-0"):
        target(ShiftBy(count=1), T0, bounds, None)
    with pytest.raises(ApiError, match="no offset is given for t-1"):
        target(ToOffsets(offsets={T0: 1}), T1, bounds, 1)
