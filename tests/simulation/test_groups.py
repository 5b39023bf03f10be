"""The members of the simulated group are as obstinate as the clients that they stand for."""

from __future__ import annotations

import asyncio
from random import Random

from raftkafka.model.ids import MemberId
from tests.simulation.groups import Group
from tests.simulation.run import make_world
from tests.simulation.workload import PARTITIONS, TOPIC, Workload


def test_a_member_that_the_coordinator_has_forgotten_joins_as_somebody_new() -> None:
    world = make_world(3)
    came: list[bool] = []

    async def scenario() -> None:
        for node_id in world.nodes:
            world.boot(node_id)
        assert await world.until(world.ready, timeout_s=20)
        await world.as_client(Workload(world, Random(1)).create_topic())
        group = Group(world, Random(2), topic=TOPIC, partitions=PARTITIONS)
        group.start()
        await asyncio.sleep(5)
        group._last._member = MemberId("forgotten")
        came.append(await world.as_client(group.stop(timeout_s=20)))

    history = world.run(scenario())
    assert came == [True]
    assert history.unexpected == []
