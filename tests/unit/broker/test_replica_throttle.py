"""Listed followers that are not in sync are held up, at the leader and at the follower; nobody else ever is."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from raftkafka.broker.replica_throttle import ReplicaThrottle
from raftkafka.model.ids import NodeId
from tests.unit.broker.test_fetcher import Leader


def throttle(world, side: str, rate: int) -> ReplicaThrottle:
    return ReplicaThrottle(
        side=side, rate=rate, node_id=NodeId(1), store=world.store, now=asyncio.get_running_loop().time
    )


def only(answer):
    (response,) = answer.partitions
    return response


@pytest.fixture
async def orders(world):
    world.start_brokers(1, 2)
    world.run()
    partition = await world.leading("orders", 1, 2, leader_replication_throttled_replicas="0:1")
    world.fetch.throttle = throttle(world, "leader", len(world.batch()))
    for _ in range(10):
        world.send(partition, acks=1)
    await world.until(lambda: partition.log.flushed_offset == 10)
    return partition


async def read(world, partition, *, seconds: float) -> int:
    """Bytes that the follower gets in this time, asking from the beginning every 100 ms."""
    count, until = 0, asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        count += len(only(world.ask(partition, 0, follower=2, max_bytes=1)).records)
        await asyncio.sleep(0.1)
    return count


async def test_a_listed_follower_that_is_not_in_sync_gets_the_rate(world, orders):
    world.set_isr(orders.topic_partition, 1)
    size = len(world.batch())
    assert 9 * size <= await read(world, orders, seconds=10) <= 12 * size


async def test_a_member_of_the_isr_is_never_held_up(world, orders):
    assert await read(world, orders, seconds=10) >= 99 * len(world.batch())


async def test_who_is_not_listed_is_not_held_up(world, orders):
    other = await world.leading("other", 1, 2, leader_replication_throttled_replicas="1:1,0:2")
    world.send(other, acks=1)
    world.set_isr(other.topic_partition, 1)
    assert await read(world, other, seconds=5) >= 49 * len(world.batch())


async def test_who_is_held_up_waits_and_hears_an_empty_answer(world, orders):
    world.set_isr(orders.topic_partition, 1)
    while len(only(world.ask(orders, 0, follower=2)).records):
        pass
    began = asyncio.get_running_loop().time()
    response = only(await world.ask(orders, 0, follower=2, max_wait_ms=500))
    assert len(response.records) == 0
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.5)


@pytest.mark.parametrize("in_sync", [True, False])
async def test_a_listed_follower_asks_no_faster_than_its_rate(world, in_sync):
    leader = Leader(world)
    world.start_brokers(1, 2)
    world.fetchers._make = partial(_throttled, world)
    world.run()
    key = world.create("orders", 2, 1, follower_replication_throttled_replicas="*")
    if not in_sync:
        world.set_isr(key, 2)
    await world.until(lambda: world.replicas.get(key) is not None)
    orders = world.replicas.get(key)
    for _ in range(100):
        leader.append(orders, epoch=0)

    def one_batch(wanted):
        offset = wanted.fetch_offset
        return {"records": leader.records[key.topic_id][offset]} if offset < 100 else None

    leader.rows[key.topic_id] = one_batch
    await asyncio.sleep(10)
    if in_sync:
        assert orders.log.log_end_offset == 100
    else:
        assert 15 <= orders.log.log_end_offset <= 25


def _throttled(world, leader_id):
    fetcher = world.make_fetcher(leader_id)
    fetcher.throttle = throttle(world, "follower", 2 * len(world.batch(b"x" * 10)))
    return fetcher
