"""Nodes of two versions in one cluster: the feature level rises when all know it, and whoever does not know it stops."""

from __future__ import annotations

import pytest

from raftkafka.client import Admin, ApiError
from raftkafka.model.errors import ErrorCode
from raftkafka.model.features import METADATA_VERSION, FeatureRange
from tests.simulation.world import World

OLD = FeatureRange(lowest=1, highest=1)
NEW = FeatureRange(lowest=1, highest=2)


async def ready(world: World) -> None:
    assert await world.until(world.ready, timeout_s=20), "the cluster did not form"


async def upgrade(world: World, node_id: int, features: FeatureRange) -> None:
    world.kill(node_id)
    world.nodes[node_id].features = features
    world.boot(node_id)
    await ready(world)


async def raise_level(world: World, level: int) -> int:
    async def ask() -> int:
        admin = Admin(world.bootstrap, random=world.random, default_api_timeout_ms=5_000)
        await admin.start()
        try:
            return await admin.update_features({METADATA_VERSION: level})
        finally:
            await admin.stop()

    return int(await world.as_client(ask()))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_rolling_upgrade_ends_with_the_level_and_an_old_node_stops_with_one_line(seed: int) -> None:
    world = World(seed=seed, observers=seed % 2)
    for node in world.nodes.values():
        node.features = OLD
    *rest, last = world.nodes
    levels: list[int] = []

    async def scenario() -> None:
        for node_id in world.nodes:
            world.boot(node_id)
        await ready(world)
        for node_id in rest:
            await upgrade(world, node_id, NEW)
        with pytest.raises(ApiError) as refused:
            await raise_level(world, 2)
        # The controller of the moment may be the old node itself.
        assert refused.value.code is ErrorCode.FEATURE_UPDATE_FAILED
        assert "knows the levels 1 to 1, not 2" in refused.value.message
        await upgrade(world, last, NEW)
        levels.append(await raise_level(world, 2))
        nodes = world.nodes.values()
        assert await world.until(
            lambda: all(each.node is not None and each.node.image.feature_level == 2 for each in nodes), timeout_s=10
        )
        # Back to the old version: nothing behind the level may be guessed.
        world.kill(last)
        world.nodes[last].features = OLD
        world.boot(last)
        assert await world.until(lambda: not world.nodes[last].is_up, timeout_s=20), "the old node goes on"

    history = world.run(scenario())
    assert levels == [2]
    (end,) = history.unexpected
    assert end.startswith(f"node{last} stopped of its own")
    assert "feature level 2" in end
    assert "1 to 1" in end
