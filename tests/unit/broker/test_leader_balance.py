"""The controller gives leaderships back: in time, a few at a time, and only while it is in office."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.broker import leader_balance
from raftkafka.metadata.commands import AddPartitions, decode
from raftkafka.model.ids import NodeId, TopicPartition
from raftkafka.ports.consensus import OutcomeUnknownError

INTERVAL_S = 300


@pytest.fixture
def start(make_world):
    """A world where node 1 is in office and brokers 1 and 2 live; settings of the controller as given."""

    async def start(**settings):
        world = make_world(controller={"broker_session_timeout_ms": 10_000_000, **settings})
        world.start_brokers(1, 2)
        world.consensus.linked = {2: True}
        world.consensus.elect(1)
        await world.until(lambda: world.controller.active)
        return world

    return start


def displaced(world, count: int):
    """A topic whose `count` partitions prefer broker 2 and are led by broker 1."""
    key = world.create("orders", 2, 1)
    nodes = (NodeId(2), NodeId(1))
    if count > 1:
        world.commit(AddPartitions(topic_id=key.topic_id, first=1, partitions=(nodes,) * (count - 1)))
    keys = [TopicPartition(key.topic_id, index) for index in range(count)]
    for each in keys:
        world.set_leader(each, 1)
    return keys


def leaders(world, keys) -> set[int]:
    return {int(world.store.image.partition(key).leader) for key in keys}


async def test_leaders_return_at_the_next_look(start):
    world = await start()
    keys = displaced(world, 3)
    await asyncio.sleep(INTERVAL_S - 1)
    assert leaders(world, keys) == {1}
    await asyncio.sleep(2)
    assert leaders(world, keys) == {2}
    assert world.probe.elections == 3


async def test_no_entry_moves_more_than_a_few_and_all_move(start, monkeypatch):
    world = await start()
    monkeypatch.setattr(leader_balance, "CHANGES_PER_ENTRY", 10)
    keys = displaced(world, 35)
    before = len(world.consensus.proposed)
    await asyncio.sleep(INTERVAL_S + 1)
    assert leaders(world, keys) == {2}
    assert [len(decode(entry)) for entry in world.consensus.proposed[before:]] == [10, 10, 10, 5]


async def test_a_balance_that_is_good_enough_costs_no_entry(start):
    world = await start(leader_imbalance_per_broker_percentage=100)
    keys = displaced(world, 2)
    before = len(world.consensus.proposed)
    await asyncio.sleep(INTERVAL_S + 1)
    assert len(world.consensus.proposed) == before
    assert leaders(world, keys) == {1}


async def test_it_can_be_switched_off(start):
    world = await start(auto_leader_rebalance_enable=False)
    keys = displaced(world, 1)
    await asyncio.sleep(3 * INTERVAL_S)
    assert leaders(world, keys) == {1}


async def test_who_is_not_in_office_moves_nobody(start):
    world = await start(leader_imbalance_check_interval_s=10)
    keys = displaced(world, 1)
    world.consensus.elect(2)
    await asyncio.sleep(60)
    assert leaders(world, keys) == {1}
    world.consensus.elect(1)
    await world.until(lambda: leaders(world, keys) == {2}, timeout_s=11)


async def test_an_outcome_that_is_unknown_is_looked_at_again(start):
    world = await start(leader_imbalance_check_interval_s=10)
    keys = displaced(world, 1)
    world.consensus.failures.append(OutcomeUnknownError("no answer"))
    await asyncio.sleep(15)
    assert leaders(world, keys) == {1}
    await asyncio.sleep(10)
    assert leaders(world, keys) == {2}
