"""A member that dies is replaced in time, by a clock that no busy machine can make late."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from raftkafka.client import Admin, Consumer
from raftkafka.model.errors import RaftKafkaError
from raftkafka.model.settings.values import GroupSettings
from tests.simulation.loop import Incarnation
from tests.simulation.world import World

PARTITIONS = 4
SESSION_S = 2.0
HEARTBEAT_S = 0.2
GROUPS = GroupSettings(min_session_timeout_ms=500, initial_rebalance_delay_ms=0, offsets_topic_num_partitions=1)


class Reader:
    """One application; `process` is its life, on a host of its own."""

    def __init__(self, world: World, name: str, strategy: str) -> None:
        self.world = world
        self.process = Incarnation(name)
        self.held: set[int] = set()
        self._strategy = strategy

    def start(self) -> None:
        live = self._live(Random(self.process.host))
        self.process.keep(self.world.loop.create_task(live, context=self.process.context.copy()))

    def die(self, *, power: bool) -> None:
        """Nothing of it runs any more, not even its farewell; a host without power does not even close its connections."""
        self.process.alive = False
        self.process.backlog.clear()
        self.world.network.died(self.process.host, power=power)

    async def _live(self, random: Random) -> None:
        async with Consumer(
            self.world.bootstrap,
            group_id="g",
            client_id=self.process.host,
            auto_offset_reset="earliest",
            partition_assignment_strategy=self._strategy,
            session_timeout_ms=int(SESSION_S * 1000),
            heartbeat_interval_ms=int(HEARTBEAT_S * 1000),
            busy_poll_us=0,
            random=random,
        ) as consumer:
            consumer.subscribe(["t"])
            while True:
                try:
                    await consumer.poll(100)
                    self.held = {each.partition for each in consumer.assignment()}
                except RaftKafkaError as error:
                    self.world.tell(f"{self.process.host} waits: {error}")
                    await asyncio.sleep(0.05)


async def scenario(world: World, strategy: str, *, power: bool) -> None:
    for node_id in world.nodes:
        world.boot(node_id)
    assert await world.until(world.ready, timeout_s=30)

    async def create() -> None:
        async with Admin(world.bootstrap, random=Random(1)) as admin:
            await admin.create_topic("t", num_partitions=PARTITIONS, replication_factor=3)

    await world.as_client(create())
    survivor = Reader(world, "survivor", strategy)
    survivor.start()
    for attempt in range(5):
        victim = Reader(world, f"victim{attempt}", strategy)
        victim.start()
        assert await world.until(lambda victim=victim: len(survivor.held) == len(victim.held) == 2, timeout_s=30)
        assert survivor.held | victim.held == set(range(PARTITIONS))
        await asyncio.sleep(attempt * HEARTBEAT_S / 5)  # it dies at another moment between two heartbeats
        died_at = world.loop.now
        victim.die(power=power)
        assert await world.until(lambda: len(survivor.held) == PARTITIONS, timeout_s=30)
        took_s = world.loop.now - died_at
        # Its last heartbeat was heard up to an interval before it died.
        assert SESSION_S - HEARTBEAT_S - 0.1 <= took_s <= SESSION_S + 1


@pytest.mark.parametrize("power", [False, True], ids=["killed", "unplugged"])
@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
@pytest.mark.parametrize("seed", [1, 2])
def test_D9_every_member_that_dies_is_replaced_within_its_session_and_a_second(
    seed: int, strategy: str, power: bool
) -> None:
    world = World(seed=seed, groups=GROUPS)
    assert world.run(scenario(world, strategy, power=power)).unexpected == []
