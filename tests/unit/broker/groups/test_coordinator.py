"""The coordinator on a broker: nothing before it is read, nothing before it is committed, nothing after it is deposed."""

from __future__ import annotations

import asyncio

import pytest
from crc32c import crc32c

from raftkafka.broker.groups import coordinator
from raftkafka.broker.handlers.committed_offsets import CommittedOffsetsHandler
from raftkafka.broker.handlers.groups import ANSWER_MAX_BYTES, GroupsHandler
from raftkafka.broker.handlers.membership import MembershipHandler
from raftkafka.broker.handlers.topics import TopicsHandler
from raftkafka.group.records import CommittedOffset, GroupRecord, OffsetRecord, decode, encode
from raftkafka.model.api.committed_offsets import (
    OffsetCommit,
    OffsetCommitPartition,
    OffsetCommitTopic,
    OffsetDelete,
    OffsetDeleteTopic,
    OffsetFetch,
    OffsetFetchGroup,
    OffsetFetchTopic,
)
from raftkafka.model.api.groups import DeleteGroups, DescribeGroups, FindCoordinator, ListGroups
from raftkafka.model.api.membership import (
    Heartbeat,
    JoinGroup,
    JoinGroupProtocol,
    LeaveGroup,
    LeavingMember,
    SyncGroup,
    SyncGroupAssignment,
)
from raftkafka.model.api.topics import CreateTopics, NewTopic
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import CorruptionError, ErrorCode, StorageError
from raftkafka.model.ids import PartitionIndex, TimestampMs, TopicId, TopicPartition
from raftkafka.model.settings.values import FlushPolicy
from raftkafka.ports.probe import GROUP_ID_MAX_CHARS
from raftkafka.record.build import encode_records
from raftkafka.record.header import HEADER_BYTES, iter_headers, stamp
from raftkafka.record.iterate import decode_pairs

E = ErrorCode
CONTEXT = RequestContext(listener="PLAINTEXT", client_address="10.0.0.7:5000", client_id="app")
DAY_MS = 86_400_000
OFFSETS = "__consumer_offsets"
NO_LAG = lambda topic, partition, offset: None  # noqa: E731


class Broker:
    """The handlers of groups on the world's broker."""

    def __init__(self, world) -> None:
        self.world = world
        self.offsets = CommittedOffsetsHandler(coordinator=world.groups, store=world.store)
        self.members = MembershipHandler(coordinator=world.groups)
        self.groups = GroupsHandler(coordinator=world.groups, store=world.store)

    async def start(self, *replicas: int) -> None:
        """Topics `t` and `u`, and one partition for all groups, led from here."""
        self.world.start_brokers(1, *replicas)
        self.world.run()
        self.world.create("t", 1)
        self.world.create("u", 1)
        self.partition = await self.world.leading(OFFSETS, 1, *replicas, cleanup_policy="compact")
        await self.loaded()

    async def loaded(self) -> None:
        await self.world.until(lambda: any(shard.is_loaded for shard in self.world.groups))

    def commit(self, offset: int, *, group: str = "g", topic: str = "t", partition: int = 0, **changes):
        row = OffsetCommitPartition(partition=PartitionIndex(partition), committed_offset=offset)
        fields = {name: changes.pop(name) for name in ("topic_id",) if name in changes}
        return self.offsets.commit(
            CONTEXT,
            OffsetCommit(
                group_id=group, topics=(OffsetCommitTopic(name=topic, partitions=(row,), **fields),), **changes
            ),
        )

    async def committed(self, offset: int, **changes) -> ErrorCode:
        answer = self.commit(offset, **changes)
        answer = await answer if hasattr(answer, "__await__") else answer
        return answer.topics[0].partitions[0].error_code

    def fetch(self, group: str = "g"):
        return self.offsets.fetch(CONTEXT, OffsetFetch(groups=(OffsetFetchGroup(group_id=group),))).groups[0]

    def shown(self, group: str = "g") -> dict[str, int]:
        answer = self.fetch(group)
        assert answer.error_code is E.NONE
        return {topic.name: topic.partitions[0].committed_offset for topic in answer.topics}

    def join(
        self,
        member_id: str = "",
        group: str = "g",
        metadata: bytes = b"\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff",
        **changes,
    ):
        request = JoinGroup(
            group_id=group,
            session_timeout_ms=10_000,
            rebalance_timeout_ms=20_000,
            member_id=member_id,
            protocol_type="consumer",
            protocols=(JoinGroupProtocol(name="range", metadata=metadata),),
            **changes,
        )
        return self.members.join(CONTEXT, request)

    async def formed(self, group: str = "g", **changes) -> str:
        asked = await self.join(group=group, **changes)
        assert asked.error_code is E.MEMBER_ID_REQUIRED
        joined = await self.join(asked.member_id, group, **changes)
        assert joined.error_code is E.NONE
        answer = await self.members.sync(
            CONTEXT,
            SyncGroup(
                group_id=group,
                generation_id=joined.generation_id,
                member_id=joined.member_id,
                assignments=(SyncGroupAssignment(member_id=joined.member_id, assignment=b"A"),),
            ),
        )
        assert answer.assignment == b"A"
        return joined.member_id

    def state(self, group: str = "g") -> str:
        return self.groups.describe(CONTEXT, DescribeGroups(groups=(group,))).groups[0].group_state

    def logged(self) -> list[OffsetRecord | GroupRecord]:
        log = self.partition.log
        raw = bytes(log.read(log.log_start_offset, max_bytes=1 << 20, end=log.log_end_offset).records)
        return [
            decode(key, value) for position, _ in iter_headers(raw) for _, key, value in decode_pairs(raw, position)
        ]

    async def reopen(self) -> None:
        """Another broker leads for a while, and this one takes over again: whatever it knows, it has read."""
        self.hand_over()
        assert not list(self.world.groups)
        self.take_over()
        await self.loaded()

    def hand_over(self) -> None:
        key = self.partition.topic_partition
        self.world.set_isr(key, 1, 2)
        self.world.set_leader(key, 2)

    def take_over(self) -> None:
        key = self.partition.topic_partition
        self.world.set_leader(key, 1)
        self.world.set_isr(key, 1)


@pytest.fixture
async def broker(world) -> Broker:
    made = Broker(world)
    await made.start()
    return made


@pytest.fixture
async def pair(world) -> Broker:
    """Two replicas; what is written needs only this one's disk, because the other one is out of the ISR."""
    made = Broker(world)
    await made.start(2)
    world.set_isr(made.partition.topic_partition, 1)
    return made


# Commits


async def test_a_commit_is_acknowledged_and_shown_once_it_is_on_disk(world, broker):
    world.disk.gate.clear()
    answer = asyncio.ensure_future(broker.commit(5))
    await asyncio.sleep(0.1)
    assert not answer.done()
    assert broker.shown() == {}
    world.disk.gate.set()
    assert (await answer).topics[0].partitions[0].error_code is E.NONE
    assert broker.shown() == {"t": 5}
    (record,) = broker.logged()
    assert (record.group_id, record.topic, record.value.offset) == ("g", "t", 5)


async def test_a_commit_that_takes_too_long_is_unknown_and_still_counts_when_it_arrives(world, broker):
    world.disk.gate.clear()
    answer = asyncio.ensure_future(broker.commit(5))
    await asyncio.sleep(5.1)
    assert (await answer).topics[0].partitions[0].error_code is E.COORDINATOR_NOT_AVAILABLE
    world.disk.gate.set()
    await world.until(lambda: broker.shown() == {"t": 5})


async def test_commits_show_in_the_order_of_the_log(world, broker):
    world.disk.gate.clear()
    answers = [asyncio.ensure_future(broker.commit(offset)) for offset in (5, 9, 7)]
    await asyncio.sleep(0)
    world.disk.gate.set()
    await asyncio.gather(*answers)
    assert broker.shown() == {"t": 7}
    assert sum(shard.commits for shard in world.groups) == 3


async def test_partitions_that_do_not_exist_are_refused_and_the_others_committed(world, broker):
    rows = tuple(OffsetCommitPartition(partition=PartitionIndex(each), committed_offset=each) for each in (1, 0))
    request = OffsetCommit(
        group_id="g",
        topics=(
            OffsetCommitTopic(name="nope", partitions=rows),
            OffsetCommitTopic(name="t", partitions=rows),
            OffsetCommitTopic(name="u", topic_id=TopicId(bytes(15) + b"x"), partitions=rows),
        ),
    )
    answer = await broker.offsets.commit(CONTEXT, request)
    assert [[each.error_code for each in topic.partitions] for topic in answer.topics] == [
        [E.UNKNOWN_TOPIC_OR_PARTITION, E.UNKNOWN_TOPIC_OR_PARTITION],
        [E.UNKNOWN_TOPIC_OR_PARTITION, E.NONE],
        [E.UNKNOWN_TOPIC_ID, E.UNKNOWN_TOPIC_ID],
    ]
    assert broker.shown() == {"t": 0}


async def test_a_negative_offset_is_no_offset(broker):
    assert await broker.committed(-1) is E.INVALID_REQUEST


async def test_too_few_replicas_refuse_a_commit(make_world):
    world = make_world(log={"min_insync_replicas": 2})
    broker = Broker(world)
    await broker.start(2)
    world.set_isr(broker.partition.topic_partition, 1)
    assert await broker.committed(5) is E.COORDINATOR_NOT_AVAILABLE
    assert broker.shown() == {}
    assert broker.state() == "Dead", "a group that never came to be is none"


async def test_what_does_not_fit_a_batch_is_refused(world, broker):
    rows = tuple(
        OffsetCommitPartition(partition=PartitionIndex(0), committed_offset=1, committed_metadata="x" * 4096)
        for _ in range(400)
    )
    request = OffsetCommit(group_id="g", topics=(OffsetCommitTopic(name="t", partitions=rows),))
    answer = await broker.offsets.commit(CONTEXT, request)
    assert {each.error_code for each in answer.topics[0].partitions} == {E.INVALID_COMMIT_OFFSET_SIZE}


async def test_a_disk_that_fails_ends_the_coordinator(world, broker):
    world.disk.sync_error = StorageError("broken")
    assert await broker.committed(5) is E.NOT_COORDINATOR


# Leaderships


async def test_nothing_is_served_before_everything_is_committed_and_read(world, pair):
    await pair.committed(5)
    member = await pair.formed()
    pair.hand_over()
    world.disk.gate.clear()
    pair.partition.log.append_as_follower(_followed(pair, 6), now_ms=2_000)
    pair.take_over()
    assert pair.fetch().error_code is E.COORDINATOR_LOAD_IN_PROGRESS
    assert await pair.committed(7) is E.COORDINATOR_LOAD_IN_PROGRESS
    beat = Heartbeat(group_id="g", generation_id=1, member_id=member)
    assert pair.members.heartbeat(CONTEXT, beat).error_code is E.NONE
    sync = SyncGroup(group_id="g", generation_id=1, member_id=member)
    assert pair.members.sync(CONTEXT, sync).error_code is E.REBALANCE_IN_PROGRESS
    assert pair.groups.list_groups(CONTEXT, ListGroups()).error_code is E.COORDINATOR_LOAD_IN_PROGRESS
    await asyncio.sleep(0.1)
    assert pair.fetch().error_code is E.COORDINATOR_LOAD_IN_PROGRESS
    world.disk.gate.set()
    await pair.loaded()
    assert pair.shown() == {"t": 6}, "what the other leader has written counts"
    assert pair.members.heartbeat(CONTEXT, beat).error_code is E.NONE
    assert pair.state() == "Stable"


@pytest.mark.parametrize("error", [CorruptionError("a bit has flipped"), StorageError("unreadable")])
async def test_damage_found_while_groups_are_read_takes_the_replica_offline(world, pair, monkeypatch, error):
    """Else this broker would try for ever, while an intact replica could be the coordinator."""
    await pair.committed(5)
    pair.hand_over()

    def damaged(*args, **kwargs):
        raise error

    monkeypatch.setattr(pair.partition.log, "read", damaged)
    pair.take_over()
    await world.until(lambda: pair.partition.offline is error)
    assert pair.fetch().error_code is E.NOT_COORDINATOR


async def test_a_malformed_record_in_a_sound_batch_hides_no_other(world, pair):
    await pair.committed(5)
    pair.hand_over()
    broken = bytearray(_followed(pair, 6))
    broken[HEADER_BYTES] = 0x7E  # the first record says that it is 63 bytes long
    broken[17:21] = crc32c(bytes(broken[21:])).to_bytes(4, "big")
    pair.partition.log.append_as_follower(bytes(broken), now_ms=2_000)
    pair.take_over()
    await pair.loaded()
    assert pair.shown() == {"t": 5}


def _followed(broker: Broker, offset: int) -> bytes:
    """A commit as another leader has written it."""
    value = CommittedOffset(offset=offset, commit_timestamp_ms=TimestampMs(1_000))
    key, content = encode(OffsetRecord(group_id="g", topic="t", partition=PartitionIndex(0), value=value))
    batch = encode_records([(key, content, 1_000, ())])
    stamp(batch, 0, broker.partition.log.log_end_offset, broker.partition.leader_epoch)
    return bytes(batch)


async def test_a_coordinator_that_is_deposed_answers_all_that_wait(world, pair):
    member = await pair.formed()
    world.disk.gate.clear()
    commit = asyncio.ensure_future(pair.commit(5, generation_id=1, member_id=member))
    joining = await pair.join()
    waiting = pair.join(joining.member_id)
    await asyncio.sleep(0)
    pair.hand_over()
    assert (await commit).topics[0].partitions[0].error_code is E.NOT_COORDINATOR
    assert (await waiting).error_code is E.NOT_COORDINATOR
    assert pair.fetch().error_code is E.NOT_COORDINATOR
    assert (await pair.groups.delete(CONTEXT, DeleteGroups(groups_names=("g",)))).results[0].error_code is (
        E.NOT_COORDINATOR
    )
    world.disk.gate.set()


async def test_a_coordinator_without_its_lease_serves_nobody(world, broker):
    await broker.committed(5)
    world.lease = False
    assert await broker.committed(6) is E.NOT_COORDINATOR
    assert broker.fetch().error_code is E.NOT_COORDINATOR
    world.lease = True
    world.disk.gate.clear()
    late = asyncio.ensure_future(broker.commit(7))
    await asyncio.sleep(0)
    world.lease = False
    world.disk.gate.set()
    assert (await late).topics[0].partitions[0].error_code is E.NOT_COORDINATOR


async def test_groups_and_offsets_are_read_as_they_were_written(world, pair):
    member = await pair.formed()
    await pair.committed(5, generation_id=1, member_id=member)
    await pair.committed(8, group="alone", topic="u")
    await pair.reopen()
    assert pair.shown() == {"t": 5}
    assert pair.shown("alone") == {"u": 8}
    (described,) = pair.groups.describe(CONTEXT, DescribeGroups(groups=("g",))).groups
    assert (described.group_state, described.generation_id) == ("Stable", 1)
    assert described.members[0].client_id == "app"
    assert described.members[0].client_host == "/10.0.0.7"
    assert await pair.committed(6, generation_id=1, member_id=member) is E.NONE
    assert await pair.committed(7, generation_id=0, member_id=member) is E.ILLEGAL_GENERATION


async def test_members_that_do_not_come_back_to_the_next_coordinator_are_gone_after_a_session(world, pair):
    await pair.formed()
    await pair.reopen()
    await asyncio.sleep(10.1)
    assert pair.state() in ("PreparingRebalance", "Empty")
    await world.until(lambda: pair.state() == "Empty")


# Groups


async def test_an_assignment_is_answered_once_it_is_on_disk(world, broker):
    asked = await broker.join()
    joined = await broker.join(asked.member_id)
    world.disk.gate.clear()
    sync = SyncGroup(group_id="g", generation_id=1, member_id=joined.member_id)
    answer = broker.members.sync(CONTEXT, sync)
    await asyncio.sleep(0.1)
    assert not answer.done()
    assert broker.state() == "CompletingRebalance"
    await asyncio.sleep(5)
    assert (await answer).error_code is E.COORDINATOR_NOT_AVAILABLE
    assert broker.state() == "PreparingRebalance"
    world.disk.gate.set()


async def test_leaving_and_deleting_a_group_leaves_tombstones(world, pair):
    member = await pair.formed()
    await pair.committed(5, generation_id=1, member_id=member)
    request = DeleteGroups(groups_names=("g", "unknown"))
    answer = await pair.groups.delete(CONTEXT, request)
    assert [each.error_code for each in answer.results] == [E.NON_EMPTY_GROUP, E.GROUP_ID_NOT_FOUND]
    leave = LeaveGroup(group_id="g", members=(LeavingMember(member_id=member), LeavingMember(member_id="x")))
    left = pair.members.leave(CONTEXT, leave)
    assert [each.error_code for each in left.members] == [E.NONE, E.UNKNOWN_MEMBER_ID]
    assert (await pair.groups.delete(CONTEXT, request)).results[0].error_code is E.NONE
    assert pair.state() == "Dead"
    assert pair.logged()[-2:] == [
        OffsetRecord(group_id="g", topic="t", partition=0, value=None),
        GroupRecord(group_id="g", value=None),
    ]
    await pair.reopen()
    assert pair.groups.list_groups(CONTEXT, ListGroups()).groups == ()


async def test_a_group_that_is_being_deleted_takes_no_commit(world, broker):
    await broker.committed(5)
    world.disk.gate.clear()
    deletion = asyncio.ensure_future(broker.groups.delete(CONTEXT, DeleteGroups(groups_names=("g",))))
    await asyncio.sleep(0)
    assert await broker.committed(6) is E.COORDINATOR_NOT_AVAILABLE
    world.disk.gate.set()
    assert (await deletion).results[0].error_code is E.NONE
    assert await broker.committed(7) is E.NONE
    assert broker.shown() == {"t": 7}


async def test_a_commit_on_its_way_does_not_survive_the_deletion_of_its_group(world, pair):
    await pair.committed(5)
    world.disk.gate.clear()
    late = asyncio.ensure_future(pair.commit(6, topic="u"))
    await asyncio.sleep(0)
    deletion = asyncio.ensure_future(pair.groups.delete(CONTEXT, DeleteGroups(groups_names=("g",))))
    await asyncio.sleep(0)
    world.disk.gate.set()
    await asyncio.gather(late, deletion)
    await pair.reopen()
    assert pair.shown() == {}


async def test_offsets_are_deleted_one_by_one(broker):
    await broker.committed(5)
    await broker.committed(6, topic="u")
    request = OffsetDelete(
        group_id="g",
        topics=(OffsetDeleteTopic(name="t", partitions=(0,)), OffsetDeleteTopic(name="nope", partitions=(0,))),
    )
    answer = await broker.offsets.delete(CONTEXT, request)
    assert [topic.partitions[0].error_code for topic in answer.topics] == [E.NONE, E.UNKNOWN_TOPIC_OR_PARTITION]
    assert broker.shown() == {"u": 6}
    unknown = broker.offsets.delete(CONTEXT, OffsetDelete(group_id="x", topics=()))
    assert unknown.error_code is E.GROUP_ID_NOT_FOUND


async def test_lists_are_filtered_by_state_and_type(broker):
    await broker.formed("a")
    await broker.committed(1, group="b")

    def ids(**filters) -> list[str]:
        return [each.group_id for each in broker.groups.list_groups(CONTEXT, ListGroups(**filters)).groups]

    assert ids() == ["a", "b"]
    assert ids(states_filter=("EMPTY",)) == ["b"]
    assert ids(states_filter=("stable", "empty")) == ["a", "b"]
    assert ids(types_filter=("consumer",)) == []
    assert ids(types_filter=("Classic",)) == ["a", "b"]
    assert dict(broker.world.groups.statistics(NO_LAG).states)["Stable"] == 1


async def test_groups_are_bounded(broker, monkeypatch):
    monkeypatch.setattr("raftkafka.broker.groups.shard.GROUPS_MAX", 1)
    assert await broker.committed(1, group="a") is E.NONE
    assert await broker.committed(1, group="b") is E.COORDINATOR_NOT_AVAILABLE
    assert (await broker.join(group="b")).error_code is E.COORDINATOR_NOT_AVAILABLE
    assert await broker.committed(2, group="a") is E.NONE


@pytest.mark.parametrize("group_id", ["", "ü" * 20_000])
async def test_group_ids_have_limits(broker, group_id):
    assert broker.join(group=group_id).error_code is E.INVALID_GROUP_ID
    beat = Heartbeat(group_id=group_id, generation_id=1, member_id="m")
    assert broker.members.heartbeat(CONTEXT, beat).error_code is E.INVALID_GROUP_ID


async def test_illegal_instance_ids_are_refused(broker):
    assert broker.join(group_instance_id="a/b").error_code is E.INVALID_REQUEST


# What goes by itself


async def test_offsets_expire_and_then_their_group(world, broker):
    await broker.committed(5)
    world.clock.now_ms = lambda: TimestampMs(1_000 + 7 * DAY_MS - 1)
    await world.groups.expire_offsets()
    assert broker.shown() == {"t": 5}
    world.clock.now_ms = lambda: TimestampMs(1_000 + 7 * DAY_MS)
    await world.groups.expire_offsets()
    await world.until(lambda: broker.state() == "Dead")
    assert [each.value for each in broker.logged()[1:]] == [None, None]


async def test_offsets_of_a_deleted_topic_go_with_it(world, broker):
    await broker.committed(5)
    await broker.committed(6, topic="u")
    world.delete(TopicPartition(TopicId(b"t".ljust(16, b"\x01")), PartitionIndex(0)))
    await world.until(lambda: broker.shown() == {"u": 6})
    world.create("t", 1, mark=2)
    assert broker.shown() == {"u": 6}


async def test_offsets_of_a_topic_that_was_deleted_while_nobody_coordinated_go_too(world, pair):
    await pair.committed(5)
    await pair.committed(6, topic="u")
    pair.hand_over()
    world.delete(TopicPartition(TopicId(b"t".ljust(16, b"\x01")), PartitionIndex(0)))
    pair.take_over()
    await pair.loaded()
    await world.until(lambda: pair.shown() == {"u": 6})


async def test_a_member_that_falls_silent_is_removed_by_the_clock_of_the_loop(world, broker):
    await broker.formed()
    world.clock.now_ms = lambda: TimestampMs(10 * DAY_MS)
    await asyncio.sleep(9)
    assert broker.state() == "Stable", "the wall clock may jump"
    await asyncio.sleep(1.1)
    assert broker.state() == "Empty"


# The topic


async def test_the_first_question_creates_the_topic(make_world):
    world = make_world(groups={"offsets_topic_num_partitions": 4})
    broker = Broker(world)
    world.start_brokers(1)
    world.run()
    world.consensus.elect(1)
    await world.until(lambda: world.controller.active)
    both = await asyncio.gather(
        *(broker.groups.find_coordinator(CONTEXT, FindCoordinator(coordinator_keys=("g", ""))) for _ in range(2))
    )
    for answer in both:
        assert [(each.error_code, each.node_id, each.port) for each in answer.coordinators] == [(E.NONE, 1, 9_001)] * 2
    topic = world.store.image.topic_by_name(OFFSETS)
    assert len(topic.partitions) == 4
    assert topic.configs["cleanup.policy"] == "compact"
    await broker.loaded()
    await world.until(lambda: broker.fetch().error_code is E.NONE)


async def test_too_few_brokers_for_the_topic_is_no_coordinator(make_world):
    world = make_world(groups={"offsets_topic_replication_factor": 3})
    world.start_brokers(1)
    world.run()
    world.consensus.elect(1)
    await world.until(lambda: world.controller.active)
    handler = GroupsHandler(coordinator=world.groups, store=world.store)
    (found,) = (await handler.find_coordinator(CONTEXT, FindCoordinator(coordinator_keys=("g",)))).coordinators
    assert found.error_code is E.COORDINATOR_NOT_AVAILABLE
    assert "larger than available brokers: 1" in found.error_message
    assert Broker(world).fetch().error_code is E.NOT_COORDINATOR


@pytest.mark.parametrize(("key_type", "code"), [(1, E.UNSUPPORTED_VERSION), (2, E.INVALID_REQUEST)])
async def test_other_coordinators_are_not_to_be_had(broker, key_type, code):
    request = FindCoordinator(key_type=key_type, coordinator_keys=("x",))
    (found,) = (await broker.groups.find_coordinator(CONTEXT, request)).coordinators
    assert found.error_code is code


async def test_clients_neither_write_nor_create_internal_topics(world, broker):
    answer = world.send(broker.partition)
    assert answer.partitions[0].error_code is E.INVALID_TOPIC_EXCEPTION
    world.consensus.elect(1)
    await world.until(lambda: world.controller.active)
    topics = TopicsHandler(channel=world.channel, store=world.store)
    names = ("a", "__transaction_state", "b")
    request = CreateTopics(topics=tuple(NewTopic(name=name, num_partitions=1) for name in names))
    answer = await topics.create(CONTEXT, request)
    assert [(each.name, each.error_code) for each in answer.topics] == [
        ("a", E.NONE),
        ("__transaction_state", E.INVALID_TOPIC_EXCEPTION),
        ("b", E.NONE),
    ]
    assert world.store.image.topic_by_name("__transaction_state") is None


async def test_the_log_flush_policy_of_kafka_commits_at_once(make_world):
    world = make_world(log={"flush_policy": FlushPolicy.OS})
    broker = Broker(world)
    await broker.start()
    assert await broker.committed(5) is E.NONE
    member = await broker.formed()
    assert await broker.committed(6, generation_id=1, member_id=member) is E.NONE
    assert broker.shown() == {"t": 6}


async def test_an_answer_does_not_grow_with_how_often_a_group_is_named(broker):
    size = 500_000
    await broker.formed(metadata=b"m" * size)
    answer = broker.groups.describe(CONTEXT, DescribeGroups(groups=("g",) * 1_000))
    told = [each for each in answer.groups if each.error_code is E.NONE]
    refused = [each for each in answer.groups if each.error_code is E.MESSAGE_TOO_LARGE]
    assert len(told) + len(refused) == 1_000
    assert all(each.group_id == "g" and not each.members for each in refused)
    assert ANSWER_MAX_BYTES <= sum(len(each.members[0].member_metadata) for each in told) < ANSWER_MAX_BYTES + size


async def test_an_answer_does_not_grow_with_how_often_an_offset_is_asked_for(broker):
    metadata = "m" * 4_096
    row = OffsetCommitPartition(partition=PartitionIndex(0), committed_offset=5, committed_metadata=metadata)
    await broker.offsets.commit(
        CONTEXT, OffsetCommit(group_id="g", topics=(OffsetCommitTopic(name="t", partitions=(row,)),))
    )

    def asked(rows: int, times: int):
        topics = (OffsetFetchTopic(name="t", partitions=(PartitionIndex(0),) * rows),)
        wanted = OffsetFetch(groups=(OffsetFetchGroup(group_id="g", topics=topics),) * times)
        return [each.error_code for each in broker.offsets.fetch(CONTEXT, wanted).groups]

    assert asked(1_000, 1) == [E.NONE]
    assert asked(10_000, 1) == [E.MESSAGE_TOO_LARGE]
    assert asked(1_000, 4) == [E.NONE, E.NONE, E.MESSAGE_TOO_LARGE, E.MESSAGE_TOO_LARGE]


async def test_the_metrics_show_what_groups_have_committed(world) -> None:
    broker = Broker(world)
    await broker.start()
    assert await broker.committed(3, group="empty") is E.NONE
    assert await broker.committed(4, group="x" * (GROUP_ID_MAX_CHARS + 1)) is E.NONE
    member = await broker.formed(group="busy")
    for number in range(2):
        row = {"group": "busy", "member_id": member, "generation_id": 1, "topic": "tu"[number]}
        assert await broker.committed(5 + number, **row) is E.NONE

    def lag_of(topic: str, partition: int, offset: int) -> int | None:
        return 10 - offset if topic == "t" else None

    seen = world.groups.statistics(lag_of)
    shown = [(each.group, each.topic, each.partition, each.committed_offset, each.lag) for each in seen.offsets]
    assert shown == [("busy", "t", 0, 5, 5), ("busy", "u", 0, 6, None), ("empty", "t", 0, 3, 7)]
    assert seen.committed_offsets == 4
    assert seen.members == 1


async def test_the_metrics_of_groups_are_bounded(world, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "GROUP_OFFSETS_MAX", 3)
    broker = Broker(world)
    await broker.start()
    for number in range(3):
        for topic in "tu":
            assert await broker.committed(1, group=f"g{number}", topic=topic) is E.NONE
    seen = world.groups.statistics(NO_LAG)
    assert [(each.group, each.topic) for each in seen.offsets] == [("g0", "t"), ("g0", "u"), ("g1", "t")]
    assert seen.committed_offsets == 6
