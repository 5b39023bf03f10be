"""Random faults under random load: whatever the seed, Raft keeps its promises and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import os
from random import Random

import pytest

from raftkafka.model.errors import ApiError
from raftkafka.model.ids import NodeId
from raftkafka.ports.consensus import NotLeaderError, OutcomeUnknownError, RaftVoter
from tests.simulation.raft.world import World

FAULTS_S = 12.0
QUIET_S = 6.0
FIRST_SEED = int(os.environ.get("RAFTKAFKA_RAFT_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("RAFTKAFKA_RAFT_SEEDS", "20"))
"""`make sim-raft SEEDS=n` runs more."""


async def client(world: World, random: Random, name: int) -> None:
    number = 0
    while True:
        leader = world.leader()
        if leader is not None and leader.consensus is not None:
            number += 1
            command = b"%d-%06d" % (name, number) + bytes([97 + number % 26]) * random.choice([0, 0, 20, 400])
            try:
                index = await world.inside(
                    leader.node_id, leader.consensus.propose(command, timeout_s=1.0), timeout_s=1.5
                )
                world.acknowledged[command] = index
            except NotLeaderError:
                world.refused.add(command)
            except (OutcomeUnknownError, TimeoutError):
                pass
        await asyncio.sleep(random.choice([0.001, 0.01, 0.05]))


async def faults(world: World, random: Random) -> None:
    """Faults until cancelled; each heals by itself."""
    ids = list(world.nodes)
    background: set[asyncio.Task[None]] = set()

    def later(delay_s: float, work: object) -> None:
        async def wait() -> None:
            await asyncio.sleep(delay_s)
            result = work()  # type: ignore[operator]
            if asyncio.iscoroutine(result):
                await result

        task = asyncio.get_running_loop().create_task(wait())
        background.add(task)
        task.add_done_callback(background.discard)

    async def revive(node_id: int) -> None:
        # It may be killed again before it has started.
        if not world.nodes[node_id].is_up:
            with contextlib.suppress(TimeoutError):
                await world.boot(node_id)

    while True:
        await asyncio.sleep(random.expovariate(2.5))
        one, two = random.sample(ids, 2)
        match random.choice(
            ["reset", "reset", "cut", "one-way", "isolate", "kill", "kill", "power", "slow disk", "lag"]
        ):
            case "reset":
                world.network.reset(one, two)
            case "cut":
                ways = {(one, two), (two, one)}
                world.network.cut |= ways
                later(random.uniform(0, 4), lambda ways=ways: world.network.heal(ways))
            case "one-way":
                ways = {(one, two)}
                world.network.cut |= ways
                later(random.uniform(0, 4), lambda ways=ways: world.network.heal(ways))
            case "isolate":
                ways = {(one, other) for other in ids} | {(other, one) for other in ids}
                world.network.cut |= ways
                later(random.uniform(0, 4), lambda ways=ways: world.network.heal(ways))
            case "kill":
                if world.nodes[one].is_up:
                    world.kill(one)
                    later(random.uniform(0, 2), lambda one=one: revive(one))
            case "power":
                for node_id in random.sample(ids, random.randint(1, len(ids))):
                    if world.nodes[node_id].is_up:
                        world.kill(node_id, power_loss=True, silently=random.random() < 0.5)
                        later(random.uniform(0, 2), lambda node_id=node_id: revive(node_id))
            case "slow disk":
                world.nodes[one].disk.sync_s = (0.02, random.choice([0.05, 0.3]))
                later(random.uniform(0, 3), lambda one=one: setattr(world.nodes[one].disk, "sync_s", (0.0002, 0.003)))
            case "lag":
                world.network.jitter_s = random.choice([0.0, 0.02, 0.1])
                later(random.uniform(0, 3), lambda: setattr(world.network, "jitter_s", 0.001))


async def scenario(world: World, *, operated: bool = False) -> None:
    random = Random(world.seed + 1)
    world.network.delay_s = random.choice([0.0002, 0.001, 0.02])
    for node_id in world.nodes:
        await world.boot(node_id)
    clients = [asyncio.create_task(client(world, Random(random.random()), i)) for i in range(3)]
    await asyncio.sleep(1)
    if operated:
        work = operator(world, Random(random.random()), new_disks=random.random() < 0.6)
        clients.append(asyncio.create_task(work))
    storm = asyncio.create_task(faults(world, random))
    await asyncio.sleep(FAULTS_S)
    for task in (storm, *clients):
        task.cancel()
    await asyncio.gather(storm, *clients, return_exceptions=True)
    # Calm: nothing is cut, everybody lives.
    world.network.heal(set(world.network.cut))
    world.network.delay_s, world.network.jitter_s = 0.0005, 0.001
    for node_id, node in world.nodes.items():
        node.disk.sync_s = (0.0002, 0.003)
        if not node.is_up:
            await world.boot(node_id)
    await asyncio.sleep(QUIET_S)
    leader = world.leader()
    assert leader is not None, f"seed {world.seed}: no leader"
    assert leader.consensus is not None
    await world.inside(leader.node_id, leader.consensus.barrier(timeout_s=1))
    await asyncio.sleep(1)
    world.check_all()


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_no_seed_breaks_raft(seed: int) -> None:
    world = World(seed=seed, nodes=5 if seed % 5 == 4 else 3, observers=1 if seed % 3 == 1 else 0)
    world.run(scenario(world))
    assert len(world.acknowledged) > 20


def test_one_seed_tells_one_story() -> None:
    """Otherwise a failure could not be replayed."""
    stories = []
    for _ in range(2):
        world = World(seed=FIRST_SEED)
        world.run(scenario(world))
        stories.append((world.loop.now, world.applied, world.leaders, world.acknowledged))
    assert stories[0] == stories[1]


async def operator(world: World, random: Random, *, new_disks: bool) -> None:
    """Adds and removes voters, one at a time, and takes a no for an answer."""
    while True:
        await asyncio.sleep(random.expovariate(1.5))
        leader = world.leader()
        if leader is None or leader.consensus is None:
            continue
        consensus = leader.consensus
        voters = [state.node_id for state in consensus.voters()]
        spare = [each for each in world.nodes if each not in voters]
        with contextlib.suppress(ApiError, NotLeaderError, OutcomeUnknownError, TimeoutError):
            gone = sorted(world.replaced.intersection(voters))
            if gone:
                work = consensus.remove_voter(NodeId(gone[0]), timeout_s=1)
                await world.inside(leader.node_id, work, timeout_s=3)
                world.replaced.discard(gone[0])
            elif spare and (len(voters) < 3 or random.random() < 0.5):
                node_id = NodeId(random.choice(spare))
                voter = RaftVoter(node_id=node_id, host=f"node{node_id}", port=9093)
                await world.inside(leader.node_id, consensus.add_voter(voter, timeout_s=1), timeout_s=5)
                world.voters_added += 1
            elif len(voters) > 2:
                work = consensus.remove_voter(NodeId(random.choice(voters)), timeout_s=1)
                await world.inside(leader.node_id, work, timeout_s=3)
                world.voters_removed += 1
        if new_disks and not world.replaced and random.random() < 0.3:
            await new_disk(world, random)


async def new_disk(world: World, random: Random) -> None:
    """Only where the log names the disks of all voters: before, nobody can tell an empty disk from the one it replaces."""
    leader = world.leader()
    if leader is None or leader.consensus is None or leader.consensus._parts is None:
        return
    book, core = leader.consensus._book, leader.consensus._parts.core
    if book.index > core.commit_index or not all(each.directory_id for each in book.current):
        return
    if len(book.current) < 3:
        return
    node_id = random.choice([each.node_id for each in book.current])
    if world.nodes[node_id].is_up:
        world.kill(node_id)
        world.replace_disk(node_id)
        with contextlib.suppress(TimeoutError):
            await world.boot(node_id)


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS // 2))
def test_no_seed_breaks_raft_while_voters_come_and_go(seed: int) -> None:
    world = World(seed=seed, nodes=3, observers=2)
    world.run(scenario(world, operated=True))
    assert len(world.acknowledged) > 20
