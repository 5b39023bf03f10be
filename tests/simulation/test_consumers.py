"""Consumers of a group while nodes die, stall and come back: nothing is left out, and nobody begins before what was committed."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from raftkafka.client import Admin, Consumer, ConsumerRebalanceListener, Producer, TopicPartition
from raftkafka.model.errors import RaftKafkaError
from raftkafka.model.settings.values import GroupSettings
from tests.simulation.world import World

PARTITIONS = 3
FAULTS_S = 12.0
GROUPS = GroupSettings(min_session_timeout_ms=500, initial_rebalance_delay_ms=0, offsets_topic_num_partitions=1)


class Readers:
    """Three members that read, commit what they read, and now and then leave and come back."""

    def __init__(self, world: World, random: Random, strategy: str) -> None:
        self.world = world
        self.random = random
        self.strategy = strategy
        self.read: set[tuple[int, int]] = set()
        self.committed = dict.fromkeys(range(PARTITIONS), 0)
        self.faults: list[str] = []
        self.lives = 0
        self.calm = False

    async def live(self, name: str) -> None:
        while True:
            self.lives += 1
            random = Random(self.random.getrandbits(64))
            until = self.world.loop.now + (1_000.0 if self.calm else random.uniform(2.0, 12.0))
            await self._one_life(name, random, until)

    async def _one_life(self, name: str, random: Random, until: float) -> None:
        world = self.world
        begun: dict[TopicPartition, int] = {}

        class Beginnings(ConsumerRebalanceListener):
            def on_partitions_assigned(_self, partitions) -> None:  # type: ignore[no-untyped-def]
                begun.update((each, self.committed[each.partition]) for each in partitions)

        async with Consumer(
            world.bootstrap,
            group_id="g",
            client_id=name,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            partition_assignment_strategy=self.strategy,
            session_timeout_ms=2_000,
            heartbeat_interval_ms=300,
            max_poll_interval_ms=5_000,
            max_poll_records=random.choice([3, 50]),
            request_timeout_ms=2_000,
            default_api_timeout_ms=5_000,
            connect_timeout_ms=1_000,
            busy_poll_us=0,
            random=random,
        ) as consumer:
            consumer.subscribe(["t"], listener=Beginnings())
            while world.loop.now < until and not (self.calm and until < world.loop.now + 900):
                try:
                    polled = await consumer.poll(200)
                    for partition, records in polled.items():
                        floor = begun.pop(partition, None)
                        if floor is not None and records[0].offset < floor:
                            self.faults.append(
                                f"{name}: {partition} begins at {records[0].offset}, committed was {floor}"
                            )
                        self.read.update((partition.partition, record.offset) for record in records)
                    places = {each: records[-1].offset + 1 for each, records in polled.items()}
                    if places:
                        await consumer.commit(places)
                        for each, offset in places.items():
                            self.committed[each.partition] = max(offset, self.committed[each.partition])
                except RaftKafkaError as error:
                    world.tell(f"{name} waits: {error}")
                    await asyncio.sleep(0.05)


async def scenario(world: World, seed: int, strategy: str) -> None:
    random = Random(seed)
    for node_id in world.nodes:
        world.boot(node_id)
    assert await world.until(world.ready, timeout_s=30)

    async def clients() -> None:
        async with Admin(world.bootstrap, random=random) as admin:
            await admin.create_topic("t", num_partitions=PARTITIONS, replication_factor=3)
        readers = Readers(world, random, strategy)
        async with Producer(
            world.bootstrap, acks="all", linger_ms=0, busy_poll_us=0, random=random, clock=world.client_clock
        ) as producer:
            ends = dict.fromkeys(range(PARTITIONS), 0)
            lives = [asyncio.ensure_future(readers.live(f"m{number}")) for number in range(3)]
            faults = asyncio.ensure_future(break_and_mend(world, random))
            while not faults.done():
                for partition in ends:
                    place = await producer.send_and_wait("t", b"x", partition=partition)
                    ends[partition] = place.offset + 1
                await asyncio.sleep(0.05)
            faults.result()
            readers.calm = True
            everything = {(partition, offset) for partition, end in ends.items() for offset in range(end)}
            finished = await world.until(lambda: readers.read >= everything and readers.committed == ends, timeout_s=60)
            for life in lives:
                life.cancel()
            failed = [
                error for error in await asyncio.gather(*lives, return_exceptions=True) if isinstance(error, Exception)
            ]
        assert not failed, failed
        assert finished, f"missing {sorted(everything - readers.read)[:5]}, committed {readers.committed} of {ends}"
        assert not readers.faults, readers.faults
        assert readers.lives > 3
        assert min(ends.values()) > 20

    await world.as_client(clients())


async def break_and_mend(world: World, random: Random) -> None:
    """One node at a time: two of three are enough for everything."""
    until = world.loop.now + FAULTS_S
    while world.loop.now < until:
        node_id = random.choice(sorted(world.nodes))
        if random.random() < 0.5:
            world.kill(node_id)
            await asyncio.sleep(random.uniform(0.1, 4.0))
            world.boot(node_id)
        else:
            world.pause(node_id)
            await asyncio.sleep(random.uniform(0.1, 5.0))
            world.resume(node_id)
        assert await world.until(world.ready, timeout_s=60)
        await asyncio.sleep(random.uniform(0.0, 2.0))


@pytest.mark.parametrize(("seed", "strategy"), [(1, "range"), (2, "cooperative-sticky")])
def test_D8_no_record_is_left_out_and_no_commit_goes_back(seed: int, strategy: str) -> None:
    world = World(seed=seed, groups=GROUPS)
    assert world.run(scenario(world, seed, strategy)).unexpected == []
