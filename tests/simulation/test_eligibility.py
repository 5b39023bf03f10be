"""Disks that come back empty: nobody who has lost records leads, unless somebody has decided to lose them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from raftkafka.client import Admin, Producer
from raftkafka.metadata.image import Partition
from raftkafka.model.ids import NO_NODE
from raftkafka.model.settings.values import LogSettings
from tests.simulation.world import World

RECORDS = 5


class Scenario:
    """A cluster with one topic of one partition; every step waits, in simulated time, until it has come true."""

    def __init__(self, world: World, *, replicas: int) -> None:
        self.world = world
        self.replicas = replicas

    async def begin(self) -> None:
        for node_id in self.world.nodes:
            self.world.boot(node_id)
        await self.comes_true(self.world.ready)
        await self.world.as_client(self._create())
        await self.comes_true(lambda: len(self.state().isr) == self.replicas)

    async def _create(self) -> None:
        async with Admin(self.world.bootstrap, random=self.world.random) as admin:
            await admin.create_topic("t", num_partitions=1, replication_factor=self.replicas)

    async def comes_true(self, condition, *, timeout_s: float = 30) -> None:  # type: ignore[no-untyped-def]
        assert await self.world.until(condition, timeout_s=timeout_s)

    async def produce(self, name: str) -> None:
        """RECORDS records, each acknowledged with acks=all."""

        async def send() -> None:
            producer = Producer(
                self.world.bootstrap,
                acks="all",
                busy_poll_us=0,
                random=self.world.random,
                clock=self.world.client_clock,
            )
            async with producer:
                for number in range(RECORDS):
                    await producer.send("t", b"%s-%d" % (name.encode(), number), partition=0)

        await self.world.as_client(send())

    async def restart(self, node_id: int, *, unclean: bool) -> None:
        """An orderly restart with a changed `server.properties`."""
        node = self.world.nodes[node_id]
        self.world.stop(node_id)
        await self.comes_true(lambda: not node.is_up)
        node.settings = replace(node.settings, log=replace(node.settings.log, unclean_leader_election_enable=unclean))
        self.world.boot(node_id)
        await self.comes_true(self.world.ready)

    def state(self) -> Partition:
        """As the node that has applied most sees it."""
        stores = [node.node.parts.store for node in self.world.nodes.values() if node.is_up and node.node is not None]
        image = max(stores, key=lambda store: store.applied_index).image
        topic = image.topic_by_name("t")
        assert topic is not None
        return topic.partitions[0]

    def ends(self) -> dict[int, int]:
        """The log end of every replica."""
        return {
            node.node_id: int(partition.log.log_end_offset)
            for node in self.world.nodes.values()
            for partition in node.partitions()
            if partition.topic == "t"
        }


def test_an_emptied_disk_never_leads_over_those_who_have_the_records() -> None:
    """All nodes die, and the leader's data disk is new when they come back: it starts first and takes the records over."""
    world = World(seed=1)

    async def story() -> None:
        scenario = Scenario(world, replicas=3)
        await scenario.begin()
        await scenario.produce("a")
        leader = scenario.state().leader
        others = [node_id for node_id in world.nodes if node_id != leader]
        for node_id in world.nodes:
            world.kill(node_id)
        world.nodes[leader].disk.wipe("/data")
        world.boot(leader)
        await asyncio.sleep(1)
        for node_id in others:
            world.boot(node_id)
        await scenario.comes_true(lambda: world.ready() and len(scenario.state().isr) == 3)
        assert scenario.state().leader in others
        assert scenario.ends() == dict.fromkeys(world.nodes, RECORDS)
        await scenario.produce("b")

    assert world.run(story()).unexpected == []


def test_without_its_last_disk_a_partition_is_offline_until_somebody_decides_to_lose_records() -> None:
    world = World(seed=2, log=LogSettings(min_insync_replicas=1))

    async def story() -> None:
        scenario = Scenario(world, replicas=2)
        await scenario.begin()
        await scenario.produce("both have")
        last = scenario.state().leader
        (behind,) = set(scenario.state().replicas) - {last}
        world.kill(behind)
        await scenario.comes_true(lambda: scenario.state().isr == (last,))
        await scenario.produce("the last has")

        world.kill(last)
        world.nodes[last].disk.wipe("/data")
        world.boot(behind)
        world.boot(last)
        await scenario.comes_true(world.ready)
        # The clean refusal: all nodes are up, but whoever led now would lose acknowledged records.
        for _ in range(20):
            await asyncio.sleep(0.5)
            state = scenario.state()
            assert (state.leader, state.isr, state.elr) == (NO_NODE, (), ())
        assert scenario.ends()[behind] == RECORDS

        for node_id in world.nodes:
            await scenario.restart(node_id, unclean=True)
        await scenario.comes_true(lambda: len(scenario.state().isr) == 2)
        # Of the two, the one that has lost less was chosen.
        assert scenario.ends() == {last: RECORDS, behind: RECORDS}
        await scenario.produce("anew")

    assert world.run(story()).unexpected == []


def test_a_data_directory_that_disappears_under_a_leader_ends_that_node_and_loses_nothing() -> None:
    """Its files take writes and syncs as before; it is found missing while nothing but that has happened."""
    world = World(seed=3)

    async def story() -> None:
        scenario = Scenario(world, replicas=3)
        await scenario.begin()
        await scenario.produce("a")
        leader = scenario.state().leader
        node = world.nodes[leader]
        node.disk_suspect = True
        node.disk.wipe("/data")
        # It was the only one, so the node ends.
        await scenario.comes_true(lambda: not node.is_up)
        await scenario.comes_true(lambda: scenario.state().leader not in (leader, NO_NODE))
        assert node.disk.find("/data") is None
        await scenario.produce("b")
        world.boot(leader)
        await scenario.comes_true(lambda: world.ready() and len(scenario.state().isr) == 3)
        assert scenario.ends() == dict.fromkeys(world.nodes, 2 * RECORDS)

    assert world.run(story()).unexpected == []


def test_without_the_directory_of_its_vote_a_node_ends() -> None:
    world = World(seed=4)

    async def story() -> None:
        scenario = Scenario(world, replicas=3)
        await scenario.begin()
        (controller,) = [each for each in world.nodes.values() if each.node and each.node.parts.consensus.is_leader]
        controller.disk_suspect = True
        controller.disk.wipe("/metadata")
        await scenario.comes_true(lambda: not controller.is_up)
        await scenario.comes_true(lambda: scenario.state().leader not in (controller.node_id, NO_NODE))
        await scenario.produce("a")

    assert world.run(story()).unexpected == []
