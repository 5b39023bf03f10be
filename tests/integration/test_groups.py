"""Groups over raw requests: a coordinator dies or stalls, and the next one knows what was acknowledged, and no less."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from raftkafka.client.connection import Connection, ConnectionClosedError, ConnectionFailedError, RequestTimedOutError
from raftkafka.group.consumer_protocol import Subscription, encode_subscription
from raftkafka.model.api.committed_offsets import (
    OffsetCommit,
    OffsetCommitPartition,
    OffsetCommitTopic,
    OffsetFetch,
    OffsetFetchGroup,
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
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import GenerationId, GroupId, MemberId, Offset, PartitionIndex

if TYPE_CHECKING:
    from tests.cluster_fixtures import ClusterFactory
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration

GROUP = GroupId("workers")
PROPERTIES = {
    "offsets.topic.num.partitions": "3",
    "group.initial.rebalance.delay.ms": "0",
    # A member must not fall out of the group because the machine is busy.
    "group.max.session.timeout.ms": "300000",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}
LEASE_S = 3.0
SESSION_MS = 300_000
E = ErrorCode
GONE = (ConnectionClosedError, ConnectionFailedError, RequestTimedOutError)
NOT_YET = (E.NOT_COORDINATOR, E.COORDINATOR_LOAD_IN_PROGRESS, E.COORDINATOR_NOT_AVAILABLE)


class Nodes:
    """Connections to the nodes of a cluster, one for each request in turn."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._open: list[Connection] = []

    async def ask(self, node_id: int, request: Any, *, timeout_s: float = 30) -> Any:
        host, _, port = self.cluster.place(node_id).address.rpartition(":")
        connection = await Connection.open(host, int(port), client_id="raw", connect_timeout_s=10)
        self._open.append(connection)
        return await connection.request(request, timeout_s=timeout_s)

    async def coordinator(self, *, asked: int, other_than: int = -1) -> int:
        async def found() -> int:
            with contextlib.suppress(*GONE):
                (row,) = (await self.ask(asked, FindCoordinator(coordinator_keys=(GROUP,)))).coordinators
                if row.error_code is E.NONE and row.node_id != other_than:
                    return int(row.node_id)
            return 0

        return int(await self.cluster.eventually(found, f"there is a coordinator other than {other_than}"))

    async def insist(self, request: Any, code: Any, *, asked: int, other_than: int = -1) -> Any:
        """Ask the coordinator, whoever it is, until it serves the group."""

        async def served() -> Any:
            with contextlib.suppress(*GONE):
                answer = await self.ask(
                    await self.coordinator(asked=asked, other_than=other_than), request, timeout_s=60
                )
                return None if code(answer) in NOT_YET else answer
            return None

        return await self.cluster.eventually(served, f"{type(request).__name__} is answered")

    async def close(self) -> None:
        for connection in self._open:
            await connection.close()


@pytest.fixture
async def nodes(new_cluster: ClusterFactory) -> AsyncIterator[Nodes]:
    cluster = new_cluster(3, PROPERTIES)
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("t", partitions=2, replicas=3)
    made = Nodes(cluster)
    yield made
    await made.close()


def joining(member_id: str = "") -> JoinGroup:
    metadata = encode_subscription(Subscription(topics=("t",)))
    return JoinGroup(
        group_id=GROUP,
        session_timeout_ms=SESSION_MS,
        rebalance_timeout_ms=60_000,
        member_id=MemberId(member_id),
        protocol_type="consumer",
        protocols=(JoinGroupProtocol(name="range", metadata=metadata),),
        reason="a test",
    )


def committing(offset: int, member_id: str, generation: int) -> OffsetCommit:
    row = OffsetCommitPartition(partition=PartitionIndex(0), committed_offset=Offset(offset), committed_metadata="m")
    return OffsetCommit(
        group_id=GROUP,
        generation_id=GenerationId(generation),
        member_id=MemberId(member_id),
        topics=(OffsetCommitTopic(name="t", partitions=(row,)),),
    )


def own_code(answer: Any) -> ErrorCode:
    return ErrorCode(answer.error_code)


def commit_code(answer: Any) -> ErrorCode:
    return ErrorCode(answer.topics[0].partitions[0].error_code)


def fetch_code(answer: Any) -> ErrorCode:
    return ErrorCode(answer.groups[0].error_code)


FETCH = OffsetFetch(groups=(OffsetFetchGroup(group_id=GROUP),))


def fetched(answer: Any) -> int:
    (topic,) = answer.groups[0].topics
    return int(topic.partitions[0].committed_offset)


async def formed(nodes: Nodes) -> tuple[str, int]:
    """A group of one member that has its assignment: its id and generation."""
    asked = await nodes.insist(joining(), own_code, asked=1)
    assert asked.error_code is E.MEMBER_ID_REQUIRED
    joined = await nodes.insist(joining(asked.member_id), own_code, asked=1)
    assert (joined.error_code, joined.leader) == (E.NONE, joined.member_id)
    sync = SyncGroup(
        group_id=GROUP,
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        assignments=(SyncGroupAssignment(member_id=joined.member_id, assignment=b"both"),),
    )
    assert (await nodes.insist(sync, own_code, asked=1)).assignment == b"both"
    return str(joined.member_id), int(joined.generation_id)


async def test_a_killed_coordinator_leaves_everything_it_acknowledged(nodes: Nodes) -> None:
    member, generation = await formed(nodes)
    answer = await nodes.insist(committing(42, member, generation), commit_code, asked=1)
    assert commit_code(answer) is E.NONE
    old = await nodes.coordinator(asked=1)
    nodes.cluster.kill(old)
    other = old % 3 + 1
    answer = await nodes.insist(FETCH, fetch_code, asked=other, other_than=old)
    assert fetched(answer) == 42
    beat = Heartbeat(group_id=GROUP, generation_id=GenerationId(generation), member_id=MemberId(member))
    alive = await nodes.insist(beat, own_code, asked=other, other_than=old)
    assert alive.error_code is E.NONE, "the members of the last generation are known to the next coordinator"
    refused = await nodes.insist(committing(43, member, generation - 1), commit_code, asked=other, other_than=old)
    assert commit_code(refused) is E.ILLEGAL_GENERATION
    committed = await nodes.insist(committing(44, member, generation), commit_code, asked=other, other_than=old)
    assert commit_code(committed) is E.NONE
    nodes.cluster.start(old)
    await nodes.cluster.ready()
    answer = await nodes.insist(FETCH, fetch_code, asked=other)
    assert fetched(answer) == 44
    described = await nodes.insist(
        DescribeGroups(groups=(GROUP,), include_history=True), lambda each: each.groups[0].error_code, asked=other
    )
    (group,) = described.groups
    assert (group.group_state, group.members[0].client_id) == ("Stable", "raw")
    assert group.members[0].member_assignment == b"both"
    assert group.history


async def test_a_stalled_coordinator_neither_commits_nor_tells_when_it_wakes(nodes: Nodes) -> None:
    member, generation = await formed(nodes)
    await nodes.insist(committing(1, member, generation), commit_code, asked=1)
    old = await nodes.coordinator(asked=1)
    other = old % 3 + 1
    nodes.cluster.pause(old)
    paused_at = time.monotonic()
    answer = await nodes.insist(committing(2, member, generation), commit_code, asked=other, other_than=old)
    assert commit_code(answer) is E.NONE
    # These wait in the sockets of the one that sleeps: they are the first thing that it reads.
    zombie = [
        asyncio.create_task(nodes.ask(old, request, timeout_s=60))
        for request in (committing(1, member, generation), FETCH)
    ]
    # What it knew it may tell until its lease is over, as every leader; from then on, nothing.
    await asyncio.sleep(max(0.0, paused_at + LEASE_S + 0.5 - time.monotonic()))
    nodes.cluster.resume(old)
    commit, fetch = await asyncio.gather(*zombie)
    assert commit_code(commit) is E.NOT_COORDINATOR
    assert fetch_code(fetch) is E.NOT_COORDINATOR
    assert fetched(await nodes.insist(FETCH, fetch_code, asked=other)) == 2


async def test_groups_are_listed_and_deleted_when_they_are_empty(nodes: Nodes) -> None:
    member, generation = await formed(nodes)
    await nodes.insist(committing(7, member, generation), commit_code, asked=1)
    coordinator = await nodes.coordinator(asked=1)
    listed = await nodes.ask(coordinator, ListGroups(states_filter=("stable",)))
    assert [each.group_id for each in listed.groups] == [GROUP]
    delete = DeleteGroups(groups_names=(GROUP,))
    refused = await nodes.insist(delete, lambda each: each.results[0].error_code, asked=1)
    assert refused.results[0].error_code is E.NON_EMPTY_GROUP
    leave = LeaveGroup(group_id=GROUP, members=(LeavingMember(member_id=MemberId(member)),))
    left = await nodes.insist(leave, own_code, asked=1)
    assert left.members[0].error_code is E.NONE
    deleted = await nodes.insist(delete, lambda each: each.results[0].error_code, asked=1)
    assert deleted.results[0].error_code is E.NONE
    assert (await nodes.insist(FETCH, fetch_code, asked=1)).groups[0].topics == ()
    created = await nodes.ask(1, CreateTopics(topics=(NewTopic(name="__consumer_offsets"), NewTopic(name="u"))))
    assert [each.error_code for each in created.topics] == [E.INVALID_TOPIC_EXCEPTION, E.NONE]
