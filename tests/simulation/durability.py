"""What an acknowledgement survives: one arrangement, one blow, and a look at what is left.

Each case is the worst that its name allows: the blow falls in the turn after the acknowledgement, unsynced writes vanish
all of them, and the replicas that know least come back first.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Any

from raftkafka.client import Admin, Consumer, Producer, TopicPartition
from raftkafka.model.errors import RaftKafkaError
from raftkafka.model.settings.values import ControllerSettings, FlushPolicy, LogSettings, ReplicaSettings
from tests.simulation.world import SimNode, World

TOPIC = "ledger"
RECORDS = 20
ACKS = ("0", "1", "all")
BLOWS = ("kill_one", "kill_all", "power_one", "power_two", "power_three", "bit_flip")
"""The one is the leader, the two are the leader and a member of the ISR."""

ARRANGEMENTS = ("full", "pair", "lonely")
"""Every replica in sync; two of three, the least with which acks=all is answered; the leader cut off a moment ago."""


@dataclass(frozen=True, kw_only=True)
class Case:
    acks: str
    policy: FlushPolicy
    blow: str
    arrangement: str
    nodes: int = 3


def lost_records(case: Case, seed: int = 1) -> list[bytes]:
    """The acknowledged records (with acks=0: those that were sent) that no consumer finds afterwards."""
    world = World(
        seed=seed,
        nodes=case.nodes,
        log=LogSettings(min_insync_replicas=min(2, case.nodes), flush_policy=case.policy),
        replica=ReplicaSettings(lag_time_max_ms=1_000, fetch_wait_max_ms=100),
        controller=ControllerSettings(broker_session_timeout_ms=1_500, broker_heartbeat_interval_ms=375),
    )
    found: list[list[bytes]] = []

    async def scenario() -> None:
        found.append(await _Run(world, case).play())

    history = world.run(scenario())
    # After a flipped bit a process may say so; nothing else may go wrong unseen.
    assert not history.unexpected, history.unexpected
    return found[0]


class _Run:
    def __init__(self, world: World, case: Case) -> None:
        self.world = world
        self.case = case
        self.random = Random(world.seed)

    async def play(self) -> list[bytes]:
        world = self.world
        for node_id in world.nodes:
            world.boot(node_id)
        await self._until(world.ready, "the cluster forms")
        await world.as_client(self._create())
        await self._until(lambda: self._isr() == len(world.nodes), "every replica is in sync")
        # What is older than the test is on every disk: a checkpoint must not be what is missed.
        await asyncio.sleep(0.5)
        leader = self._leader()
        others = [node for node in world.nodes.values() if node is not leader]
        acknowledged = await world.as_client(self._produce(leader, others))
        self._strike(leader, others)
        await asyncio.sleep(0.3)
        world.network.heal_all()
        # Those that may lack the record first, so that they would lead if they could.
        for node in [*others, leader]:
            if not node.is_up:
                world.boot(node.node_id)
                await asyncio.sleep(0.4)
        await self._until(world.ready, "every node is back")
        await self._until(lambda: self._isr() == len(world.nodes), "every replica is in sync again")
        left = await world.as_client(self._read())
        return [value for value in acknowledged if value not in left]

    async def _until(self, condition: Any, what: str) -> None:
        assert await self.world.until(condition, timeout_s=40), f"{self.case}: not within 40 s: {what}"

    def _leader(self) -> SimNode:
        return next(
            node
            for node in self.world.nodes.values()
            for partition in node.partitions()
            if partition.topic == TOPIC and partition.is_leader
        )

    def _isr(self) -> int:
        """Members of the ISR as its leader has them; 0 without a leader."""
        for node in self.world.nodes.values():
            for partition in node.partitions():
                if partition.topic == TOPIC and partition.leader is not None:
                    return len(partition.leader.isr)
        return 0

    async def _create(self) -> None:
        async with Admin(self.world.bootstrap, random=self.random) as admin:
            await admin.create_topic(TOPIC, num_partitions=1, replication_factor=len(self.world.nodes))

    async def _produce(self, leader: SimNode, others: list[SimNode]) -> list[bytes]:
        world, case = self.world, self.case
        async with Producer(
            world.bootstrap, acks=case.acks, linger_ms=0, busy_poll_us=0, random=self.random, clock=world.client_clock
        ) as producer:
            await producer.send_and_wait(TOPIC, b"first", partition=0)
            await self._until(lambda: self._committed(leader) == 1, "the first record is everywhere")
            if case.arrangement == "pair":
                world.kill(others[-1].node_id)
                await self._until(lambda: self._isr() == 2, "the ISR shrinks")
            elif case.arrangement == "lonely":
                for each in others:
                    world.network.sever([(leader.host, each.host), (each.host, leader.host)])
                    world.network.reset(
                        leader.host, each.host
                    )  # a fetch that waits at the leader must not be answered later
            values = [b"record-%d" % number for number in range(RECORDS)]
            await asyncio.gather(*[producer.send(TOPIC, value, partition=0) for value in values])
            if case.acks == "0":
                # Sent is all that was promised; the bytes get as far as the leader.
                while self._end(leader) < 1 + RECORDS:
                    await asyncio.sleep(0.0001)
        return values

    @staticmethod
    def _committed(leader: SimNode) -> int:
        return max([int(each.high_watermark) for each in leader.partitions() if each.topic == TOPIC], default=0)

    @staticmethod
    def _end(leader: SimNode) -> int:
        return max([int(each.log.log_end_offset) for each in leader.partitions() if each.topic == TOPIC], default=0)

    def _strike(self, leader: SimNode, others: list[SimNode]) -> None:
        world, blow = self.world, self.case.blow
        if blow == "bit_flip":
            leader.disk_suspect = True
            path, inode = next(
                (path, inode)
                for path, inode in leader.disk.files()
                if path.startswith(f"/data/{TOPIC}-0/") and path.endswith(".log")
            )
            position = bytes(inode.content).rindex(b"record-%d" % (RECORDS - 1))
            world.tell(f"a byte of the last record in {path} flips")
            leader.disk.flip(inode, position, 1)
            return
        victims = {"one": [leader], "two": [leader, *others[:1]]}.get(blow.partition("_")[2], [leader, *others])
        for node in victims:
            if not node.is_up:
                continue
            if blow.startswith("power"):
                world.cut_power(node.node_id, "none")
            else:
                world.kill(node.node_id)

    async def _read(self) -> set[bytes]:
        world = self.world
        partition = TopicPartition(TOPIC, 0)
        left: set[bytes] = set()
        async with Consumer(
            world.bootstrap, auto_offset_reset="earliest", busy_poll_us=0, random=self.random
        ) as consumer:
            consumer.assign([partition])
            consumer.seek(partition, 0)
            deadline = world.loop.now + 30
            while True:
                assert world.loop.now < deadline, f"{self.case}: the reader does not get to the end"
                try:
                    end = (await consumer.end_offsets([partition]))[partition]
                    for records in (await consumer.poll(timeout_ms=200)).values():
                        left.update([record.value or b"" for record in records])
                    if await consumer.position(partition) >= end:
                        return left
                except RaftKafkaError as error:
                    world.tell(f"the reader waits: {error}")
                    await asyncio.sleep(0.1)
