"""A coordinator for the scripted cluster: groups in memory, sessions that end when a test says so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from raftkafka.client import Consumer, TopicPartition
from raftkafka.model.api.committed_offsets import (
    OffsetCommit,
    OffsetCommitPartitionResponse,
    OffsetCommitResponse,
    OffsetCommitTopicResponse,
    OffsetDelete,
    OffsetDeletePartitionResponse,
    OffsetDeleteResponse,
    OffsetDeleteTopicResponse,
    OffsetFetch,
    OffsetFetchGroupResponse,
    OffsetFetchPartitionResponse,
    OffsetFetchResponse,
    OffsetFetchTopic,
    OffsetFetchTopicResponse,
)
from raftkafka.model.api.groups import (
    Coordinator,
    DeletedGroup,
    DeleteGroups,
    DeleteGroupsResponse,
    DescribedGroup,
    DescribedMember,
    DescribeGroups,
    DescribeGroupsResponse,
    FindCoordinator,
    FindCoordinatorResponse,
    ListedGroup,
    ListGroups,
    ListGroupsResponse,
)
from raftkafka.model.api.membership import (
    Heartbeat,
    HeartbeatResponse,
    JoinGroup,
    JoinGroupMember,
    JoinGroupResponse,
    LeaveGroup,
    LeaveGroupResponse,
    SyncGroup,
    SyncGroupResponse,
)
from raftkafka.model.errors import ErrorCode
from raftkafka.record.build import encode_values


@dataclass
class FakeMember:
    instance: str | None
    protocols: dict[str, bytes]
    waiting: asyncio.Future | None = None
    syncing: asyncio.Future | None = None


@dataclass
class FakeGroup:
    state: str = "Empty"
    generation: int = 0
    members: dict[str, FakeMember] = field(default_factory=dict)
    leader: str = ""
    protocol: str = ""
    shares: dict[str, bytes] = field(default_factory=dict)
    offsets: dict[TopicPartition, tuple[int, str, int]] = field(default_factory=dict)


class FakeCoordinator:
    """Of all groups, on node `node`. `refuse(kind, code, ...)`: the next answers to such requests."""

    def __init__(self, cluster) -> None:
        self.cluster, self.node = cluster, 1
        self.groups: dict[str, FakeGroup] = {}
        self.requests: list = []
        self.refusals: dict[type, list[ErrorCode]] = {}
        self.gate = asyncio.Event()  # while it is not set, no join is answered
        self.gate.set()
        self.ids = 0
        cluster.script = self.answer

    def group(self, name: str = "g") -> FakeGroup:
        return self.groups.setdefault(name, FakeGroup())

    def refuse(self, kind: type, *codes: ErrorCode) -> None:
        self.refusals.setdefault(kind, []).extend(codes)

    def sent(self, kind: type) -> list:
        return [request for request in self.requests if isinstance(request, kind)]

    def expire(self, member_id: str, name: str = "g") -> None:
        """The session of this member ends."""
        group = self.group(name)
        del group.members[member_id]
        self.rebalance(group)

    def rebalance(self, group: FakeGroup) -> None:
        group.state = "PreparingRebalance" if group.members else "Empty"
        for member in group.members.values():
            if member.syncing is not None and not member.syncing.done():
                member.syncing.set_result(SyncGroupResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS))
        self.complete(group)

    def answer(self, node, request):
        if isinstance(request, FindCoordinator):
            self.requests.append(request)
            if self.refusals.get(FindCoordinator):
                place = Coordinator(key="g", error_code=self.refusals[FindCoordinator].pop(0))
            else:
                place = Coordinator(key="g", node_id=self.node, host=f"b{self.node}", port=9092)
            return None if node in self.cluster.deaf else FindCoordinatorResponse(coordinators=(place,))
        if isinstance(request, ListGroups):
            return self.list(node)
        handle = {
            JoinGroup: self.join,
            SyncGroup: self.sync,
            Heartbeat: self.heartbeat,
            LeaveGroup: self.leave,
            OffsetCommit: self.commit,
            OffsetFetch: self.fetch,
            OffsetDelete: self.forget,
            DescribeGroups: self.describe,
            DeleteGroups: self.delete,
        }.get(type(request))
        if handle is None:
            return NotImplemented
        if node in self.cluster.deaf:
            return None
        self.requests.append(request)
        code = ErrorCode.NONE
        if node != self.node:
            code = ErrorCode.NOT_COORDINATOR
        elif self.refusals.get(type(request)):
            code = self.refusals[type(request)].pop(0)
        return handle(request, code)

    # Membership

    async def join(self, request, code):
        group = self.group(request.group_id)
        member_id = request.member_id
        if code is ErrorCode.NONE and member_id and member_id not in group.members and member_id not in self.known():
            code = ErrorCode.UNKNOWN_MEMBER_ID
        if code is ErrorCode.NONE and not member_id:
            self.ids += 1
            member_id = f"m{self.ids}"
            if request.group_instance_id is None:
                self.pending = {*getattr(self, "pending", ()), member_id}
                return JoinGroupResponse(error_code=ErrorCode.MEMBER_ID_REQUIRED, member_id=member_id)
            for old in [each for each, m in group.members.items() if m.instance == request.group_instance_id]:
                del group.members[old]
        if code is not ErrorCode.NONE:
            return JoinGroupResponse(error_code=code)
        protocols = {each.name: each.metadata for each in request.protocols}
        member = group.members.setdefault(member_id, FakeMember(request.group_instance_id, protocols))
        member.protocols = protocols
        member.waiting = asyncio.get_running_loop().create_future()
        if group.state != "PreparingRebalance":
            self.rebalance(group)
        self.complete(group)
        response = await member.waiting
        await self.gate.wait()
        return response

    def known(self):
        return getattr(self, "pending", set())

    def complete(self, group: FakeGroup) -> None:
        members = group.members
        if not members or not all(m.waiting is not None and not m.waiting.done() for m in members.values()):
            return
        group.generation += 1
        group.state, group.shares = "CompletingRebalance", {}
        group.protocol = next(
            name
            for name in next(iter(members.values())).protocols
            if all(name in m.protocols for m in members.values())
        )
        if group.leader not in members:
            group.leader = next(iter(members))
        for member_id, member in members.items():
            everyone = tuple(
                JoinGroupMember(member_id=each, group_instance_id=m.instance, metadata=m.protocols[group.protocol])
                for each, m in members.items()
            )
            member.syncing = None
            member.waiting.set_result(
                JoinGroupResponse(
                    generation_id=group.generation,
                    protocol_type="consumer",
                    protocol_name=group.protocol,
                    leader=group.leader,
                    member_id=member_id,
                    members=everyone if member_id == group.leader else (),
                )
            )

    def check(self, group: FakeGroup, request) -> ErrorCode:
        member = group.members.get(request.member_id)
        instance = request.group_instance_id
        if instance is not None and any(
            m.instance == instance and each != request.member_id for each, m in group.members.items()
        ):
            return ErrorCode.FENCED_INSTANCE_ID
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE if request.generation_id == group.generation else ErrorCode.ILLEGAL_GENERATION

    async def sync(self, request, code):
        group = self.group(request.group_id)
        code = code or self.check(group, request)
        if code is ErrorCode.NONE and group.state == "PreparingRebalance":
            code = ErrorCode.REBALANCE_IN_PROGRESS
        if code is ErrorCode.UNKNOWN_MEMBER_ID:
            group.members.pop(request.member_id, None)
        if code is not ErrorCode.NONE:
            return SyncGroupResponse(error_code=code)
        member = group.members[request.member_id]
        member.syncing = asyncio.get_running_loop().create_future()
        if request.member_id == group.leader:
            group.shares = {each.member_id: each.assignment for each in request.assignments}
            group.state = "Stable"
        if group.state == "Stable":
            for member_id, each in group.members.items():
                if each.syncing is not None and not each.syncing.done():
                    each.syncing.set_result(SyncGroupResponse(assignment=group.shares.get(member_id, b"")))
        return await member.syncing

    def heartbeat(self, request, code):
        group = self.group(request.group_id)
        code = code or self.check(group, request)
        if code is ErrorCode.NONE and group.state == "PreparingRebalance":
            code = ErrorCode.REBALANCE_IN_PROGRESS
        return HeartbeatResponse(error_code=code)

    def leave(self, request, code):
        group = self.group(request.group_id)
        for member in request.members:
            if not code and group.members.pop(member.member_id, None) is not None:
                self.rebalance(group)
        return LeaveGroupResponse(error_code=code)

    # Offsets

    def commit(self, request, code):
        group = self.group(request.group_id)
        if code is ErrorCode.UNKNOWN_MEMBER_ID:
            group.members.pop(request.member_id, None)
        if not code and request.generation_id < 0 and group.members:
            code = ErrorCode.UNKNOWN_MEMBER_ID
        elif not code and request.generation_id >= 0:
            code = self.check(group, request)
            if not code and group.state == "CompletingRebalance":
                code = ErrorCode.REBALANCE_IN_PROGRESS
        if not code:
            for topic in request.topics:
                for each in topic.partitions:
                    group.offsets[TopicPartition(topic.name, each.partition)] = (
                        each.committed_offset,
                        each.committed_metadata,
                        each.committed_leader_epoch,
                    )
        return OffsetCommitResponse(
            topics=tuple(
                OffsetCommitTopicResponse(
                    name=topic.name,
                    partitions=tuple(
                        OffsetCommitPartitionResponse(partition=each.partition, error_code=code)
                        for each in topic.partitions
                    ),
                )
                for topic in request.topics
            )
        )

    def fetch(self, request, code):
        (asked,) = request.groups
        group = self.group(asked.group_id)
        topics = []
        wanted = asked.topics
        if wanted is None:
            names = sorted({each.topic for each in group.offsets})
            wanted = [
                OffsetFetchTopic(name=name, partitions=tuple(e.partition for e in group.offsets if e.topic == name))
                for name in names
            ]
        for topic in wanted:
            partitions = []
            for number in topic.partitions:
                answer = OffsetFetchPartitionResponse(partition=number)
                found = group.offsets.get(TopicPartition(topic.name, number))
                if found is not None:
                    offset, metadata, epoch = found
                    answer = replace(answer, committed_offset=offset, metadata=metadata, committed_leader_epoch=epoch)
                partitions.append(answer)
            topics.append(OffsetFetchTopicResponse(name=topic.name, partitions=tuple(partitions)))
        answer = OffsetFetchGroupResponse(group_id=asked.group_id, topics=tuple(topics), error_code=code)
        return OffsetFetchResponse(groups=(answer,))

    # Administration

    def list(self, node) -> ListGroupsResponse:
        mine = [
            ListedGroup(group_id=name, protocol_type="consumer", group_state=g.state) for name, g in self.groups.items()
        ]
        return ListGroupsResponse(groups=tuple(mine) if node == self.node else ())

    def describe(self, request, code):
        (name,) = request.groups
        group = self.groups.get(name)
        if group is None:
            return DescribeGroupsResponse(groups=(DescribedGroup(group_id=name, group_state="Dead", error_code=code),))
        members = tuple(
            DescribedMember(
                member_id=member_id,
                group_instance_id=member.instance,
                client_id="c",
                client_host="/h",
                member_metadata=member.protocols.get(group.protocol, b""),
                member_assignment=group.shares.get(member_id, b""),
            )
            for member_id, member in group.members.items()
        )
        described = DescribedGroup(
            group_id=name,
            group_state=group.state,
            protocol_type="consumer",
            protocol_data=group.protocol,
            generation_id=group.generation,
            members=members,
            error_code=code,
        )
        return DescribeGroupsResponse(groups=(described,))

    def delete(self, request, code):
        (name,) = request.groups_names
        group = self.groups.get(name)
        if not code and group is None:
            code = ErrorCode.GROUP_ID_NOT_FOUND
        elif not code and group.members:
            code = ErrorCode.NON_EMPTY_GROUP
        elif not code:
            del self.groups[name]
        return DeleteGroupsResponse(results=(DeletedGroup(group_id=name, error_code=code),))

    def forget(self, request, code):
        group = self.group(request.group_id)
        topics = []
        for topic in request.topics:
            refused = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC if group.members else ErrorCode.NONE
            for number in topic.partitions:
                if not refused and not code:
                    group.offsets.pop(TopicPartition(topic.name, number), None)
            partitions = tuple(
                OffsetDeletePartitionResponse(partition=number, error_code=refused) for number in topic.partitions
            )
            topics.append(OffsetDeleteTopicResponse(name=topic.name, partitions=partitions))
        return OffsetDeleteResponse(error_code=code, topics=tuple(topics))


@pytest.fixture
def coordinator(cluster) -> FakeCoordinator:
    return FakeCoordinator(cluster)


@pytest.fixture
def member_of(cluster):
    """`member_of(group_id, **settings)`: a consumer that reads from the beginning and beats fast."""

    def make(group_id: str | None = "g", **settings) -> Consumer:
        defaults = {
            "fetch_max_wait_ms": 20,
            "auto_offset_reset": "earliest",
            "heartbeat_interval_ms": 10,
            "session_timeout_ms": 2_000,
            "retry_backoff_ms": 5,
            "retry_backoff_max_ms": 20,
        }
        return Consumer(
            "b1:9092,b2:9092", connect=cluster.connect, random=Random(1), group_id=group_id, **defaults | settings
        )

    return make


def fill(part, *values: bytes) -> None:
    part.append(encode_values(list(values), timestamp_ms=1))


@pytest.fixture
def topic(cluster, coordinator):
    """`topic(name, partitions, records)`: with values `0-0`, `0-1`, ... in partition 0 and so on."""

    def make(name: str = "t", partitions: int = 1, records: int = 0):
        parts = cluster.add_topic(name, *[1] * partitions)
        for number, part in enumerate(parts):
            for at in range(records):
                fill(part, b"%d-%d" % (number, at))
        return parts

    make.fill = fill
    return make
