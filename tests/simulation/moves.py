"""What operators do meanwhile: move partitions to other brokers, change their minds, let topics grow, call leaders back."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from raftkafka.client import Admin, ElectionType, NewPartitions, TopicPartition
from raftkafka.model.errors import RaftKafkaError

if TYPE_CHECKING:
    from tests.simulation.world import World


class Moves:
    """`stop` ends them and waits for the request that is under way."""

    def __init__(self, world: World, random: Random, *, topic: str, partitions: int, growing: list[str]) -> None:
        self.world = world
        self.random = random
        self.topic = topic
        self.partitions = partitions
        self.growing = growing
        self.mean_pause_s = random.choice([0.3, 1.0, 3.0])
        self._going_on = True
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = self.world.as_client(self._move())

    async def stop(self) -> None:
        self._going_on = False
        if self._task is not None:
            await self._task

    async def _move(self) -> None:
        admin = Admin(self.world.bootstrap, random=Random(self.random.getrandbits(64)), default_api_timeout_ms=3_000)
        await admin.start()
        while self._going_on:
            await asyncio.sleep(self.random.expovariate(1 / self.mean_pause_s))
            try:
                await self._do_something(admin)
            except RaftKafkaError as error:
                self.world.tell(f"the operator is told: {error}")
        await admin.stop()

    async def _do_something(self, admin: Admin) -> None:
        random, world = self.random, self.world
        partition = TopicPartition(self.topic, random.randrange(self.partitions))
        if self.growing and random.random() < 0.3:
            partition = TopicPartition(random.choice(self.growing), random.randrange(3))
        dice = random.random()
        if dice < 0.55:
            # Two replicas or more: with one the loss of one disk is the loss of the records.
            replicas = random.sample(sorted(world.nodes), random.choice([2, 3, 3]))
            world.tell(f"the operator moves {partition} to {replicas}")
            await admin.alter_partition_reassignments({partition: replicas})
        elif dice < 0.7:
            world.tell(f"the operator cancels the move of {partition}")
            await admin.alter_partition_reassignments({partition: None})
        elif dice < 0.85:
            world.tell("the operator calls the preferred leaders back")
            await admin.elect_leaders(ElectionType.PREFERRED, random.choice([None, [partition]]))
        elif self.growing:
            name = random.choice(self.growing)
            count = random.randrange(2, 4)
            world.tell(f"the operator gives {name} {count} partitions")
            await admin.create_partitions([NewPartitions(name=name, count=count)])
