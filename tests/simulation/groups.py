"""Members of a group, as simple as the protocol allows: they join, take what they are given, commit, pause and vanish.

They speak raw requests, so that the history says in which generation something was assigned, committed or read, which the
shipped consumer keeps to itself. One that has paused goes on with what it believed: such a zombie must be refused.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

from raftkafka.client.connection import Connection
from raftkafka.model.api.committed_offsets import (
    OffsetCommit,
    OffsetCommitPartition,
    OffsetCommitTopic,
    OffsetFetch,
    OffsetFetchGroup,
)
from raftkafka.model.api.groups import FindCoordinator
from raftkafka.model.api.membership import (
    Heartbeat,
    JoinGroup,
    JoinGroupProtocol,
    LeaveGroup,
    LeavingMember,
    SyncGroup,
    SyncGroupAssignment,
)
from raftkafka.model.errors import ErrorCode, RaftKafkaError
from raftkafka.model.ids import NO_MEMBER, GenerationId, GroupId, MemberId, Offset, PartitionIndex
from tests.simulation.history import Assigned, CommittedTo, FoundCommitted

if TYPE_CHECKING:
    from tests.simulation.world import World

GROUP = GroupId("workers")
SESSION_MS = 2_000
REBALANCE_MS = 3_000
BEAT_S = 0.2
REQUEST_S = 4.0
"""Longer than a rebalance, or no join of a slow one would ever be answered."""


class OutOfTurnError(Exception):
    """The coordinator said no, or nothing: find it, and join again."""


class Member:
    """One process of an application: `live` is a life of it, from its first join to its end."""

    def __init__(self, world: World, name: str, topic: str, partitions: int, random: Random) -> None:
        self.world = world
        self.name = name
        self.topic = topic
        self.partitions = partitions
        self.random = random
        self.working = True
        self._connection: Connection | None = None
        self._member = NO_MEMBER
        self._generation = GenerationId(-1)
        self._positions: dict[int, int] = {}
        self._shares = 0

    async def run(self) -> None:
        while self.working:
            try:
                await self._take_part()
                await self._work()
            except (RaftKafkaError, OutOfTurnError) as error:
                self.world.trace("member", self.name, str(error))
                await self._disconnect()
                await asyncio.sleep(self.random.uniform(0.05, 0.3))
            if self.random.random() < 0.1:
                # A crash: nobody is told, and the next life is another member.
                self._member = NO_MEMBER
        await self._leave()

    async def _take_part(self) -> None:
        """Join and sync; what is owned and from where it is read is known afterwards."""
        await self._connect()
        joined = await self._ask(self._joining())
        if joined.error_code is ErrorCode.UNKNOWN_MEMBER_ID:
            # The id belonged to nobody who had joined yet, and a new coordinator does not know it: begin as somebody new.
            self._member = NO_MEMBER
            joined = await self._ask(self._joining())
        if joined.error_code is ErrorCode.MEMBER_ID_REQUIRED:
            self._member = joined.member_id
            joined = await self._ask(self._joining())
        if joined.error_code is not ErrorCode.NONE:
            raise OutOfTurnError(f"join: {joined.error_code.name}")
        self._member, self._generation = joined.member_id, joined.generation_id
        sync = SyncGroup(
            group_id=GROUP,
            generation_id=self._generation,
            member_id=self._member,
            assignments=self._shared_out([each.member_id for each in joined.members]),
        )
        synced = await self._ask(sync)
        if synced.error_code is not ErrorCode.NONE:
            raise OutOfTurnError(f"sync: {synced.error_code.name}")
        owned = tuple(synced.assignment)
        now = self.world.loop.now
        self.world.history.assigned.append(Assigned(now, int(self._generation), str(self._member), owned))
        self.world.trace("assigned", self.name, self._generation, owned)
        self._positions = await self._find(owned)

    def _shared_out(self, members: list[MemberId]) -> tuple[SyncGroupAssignment, ...]:
        """A leader's work. Whom it favours differs from try to try: only one try may count."""
        self._shares += 1
        shares: dict[MemberId, list[int]] = {each: [] for each in members}
        turn = self.random.randrange(100)
        for partition in range(self.partitions):
            if members:
                shares[members[(partition + turn) % len(members)]].append(partition)
        return tuple(
            [SyncGroupAssignment(member_id=member, assignment=bytes(share)) for member, share in shares.items()]
        )

    async def _find(self, owned: tuple[int, ...]) -> dict[int, int]:
        """Where the last owner came to."""
        asked_at = self.world.loop.now
        answer = await self._ask(OffsetFetch(groups=(OffsetFetchGroup(group_id=GROUP),)))
        (group,) = answer.groups
        if group.error_code is not ErrorCode.NONE:
            raise OutOfTurnError(f"fetch: {group.error_code.name}")
        found = {
            int(row.partition): int(row.committed_offset)
            for topic in group.topics
            if topic.name == self.topic
            for row in topic.partitions
        }
        positions = {partition: max(0, found.get(partition, 0)) for partition in owned}
        for partition, offset in positions.items():
            self.world.history.found_committed.append(
                FoundCommitted(asked_at, int(self._generation), str(self._member), partition, offset)
            )
        return positions

    async def _work(self) -> None:
        """Commit ever higher offsets, until somebody objects."""
        random = self.random
        until = self.world.loop.now + random.expovariate(1 / 4)
        while self.working and self.world.loop.now < until:
            await asyncio.sleep(random.uniform(0.5, 1.5) * BEAT_S)
            if random.random() < 0.05:
                # Out of the world for longer than a session, and back without knowing it.
                await asyncio.sleep(random.uniform(1, 3) * SESSION_MS / 1000)
                await self._commit()
            beat = Heartbeat(group_id=GROUP, generation_id=self._generation, member_id=self._member)
            if (code := (await self._ask(beat)).error_code) is not ErrorCode.NONE:
                if code is ErrorCode.REBALANCE_IN_PROGRESS and random.random() < 0.5:
                    await self._commit()
                raise OutOfTurnError(f"heartbeat: {code.name}")
            for _ in range(random.choice([0, 1, 1, 4])):
                await self._commit()

    async def _commit(self) -> None:
        for partition in self._positions:
            self._positions[partition] += self.random.randrange(1, 5)
        if not self._positions:
            return
        committed = dict(self._positions)
        rows = tuple(
            OffsetCommitPartition(partition=PartitionIndex(partition), committed_offset=Offset(offset))
            for partition, offset in committed.items()
        )
        request = OffsetCommit(
            group_id=GROUP,
            generation_id=self._generation,
            member_id=self._member,
            topics=(OffsetCommitTopic(name=self.topic, partitions=rows),),
        )
        sent_at = self.world.loop.now
        answer = await self._ask(request)
        for row in answer.topics[0].partitions:
            if row.error_code is not ErrorCode.NONE:
                raise OutOfTurnError(f"commit: {row.error_code.name}")
            offset = committed[int(row.partition)]
            now = self.world.loop.now
            self.world.history.committed_to.append(
                CommittedTo(sent_at, now, int(self._generation), str(self._member), int(row.partition), offset)
            )
            self.world.trace("committed", self.name, row.partition, offset)

    async def _leave(self) -> None:
        try:
            if self._member:
                await self._connect()
                await self._ask(LeaveGroup(group_id=GROUP, members=(LeavingMember(member_id=self._member),)))
        except (RaftKafkaError, OutOfTurnError) as error:
            self.world.trace("member", self.name, str(error))
        await self._disconnect()

    # Requests

    def _joining(self) -> JoinGroup:
        return JoinGroup(
            group_id=GROUP,
            session_timeout_ms=SESSION_MS,
            rebalance_timeout_ms=REBALANCE_MS,
            member_id=self._member,
            protocol_type="simulated",
            protocols=(JoinGroupProtocol(name="any", metadata=b""),),
        )

    async def _connect(self) -> None:
        """To the coordinator, as some node names it, which may be out of date."""
        if self._connection is not None and not self._connection.closed:
            return
        asked = self.random.choice(sorted(self.world.nodes))
        guide = await self._open(self.world.nodes[asked].host, 9092)
        try:
            answer = await guide.request(FindCoordinator(coordinator_keys=(GROUP,)), timeout_s=REQUEST_S)
        finally:
            await guide.close()
        (found,) = answer.coordinators  # type: ignore[union-attr]
        if found.error_code is not ErrorCode.NONE:
            raise OutOfTurnError(f"find: {found.error_code.name}")
        self._connection = await self._open(found.host, found.port)

    async def _open(self, host: str, port: int) -> Connection:
        return await Connection.open(host, port, client_id=self.name, connect_timeout_s=1)

    async def _ask(self, request: Any) -> Any:
        assert self._connection is not None
        return await self._connection.request(request, timeout_s=REQUEST_S)

    async def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()


class Group:
    """Some members, and a last look from outside."""

    def __init__(self, world: World, random: Random, *, topic: str, partitions: int) -> None:
        self.world = world
        self._members = [
            Member(world, f"m{number}", topic, partitions, Random(random.getrandbits(64)))
            for number in range(random.choice([2, 3, 4]))
        ]
        self._last = Member(world, "last", topic, partitions, Random(random.getrandbits(64)))
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [self.world.as_client(each.run()) for each in self._members]

    async def stop(self, *, timeout_s: float) -> bool:
        """All leave; one that comes then gets everything, and reads where the others came to. False: it does not get there."""
        for each in self._members:
            each.working = False
        for task in self._tasks:
            await task
        deadline = self.world.loop.now + timeout_s
        while self.world.loop.now < deadline:
            try:
                await self._last._take_part()
                await self._last._commit()
                await self._last._leave()
                return True
            except (RaftKafkaError, OutOfTurnError) as error:
                self.world.trace("last member", str(error))
                await self._last._disconnect()
                await asyncio.sleep(0.2)
        return False
