"""What a cluster of voters does in situations that operators will meet, told step by step."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from raftkafka.adapters.raft.driver import Driver
from raftkafka.adapters.raft.mends import Mends
from raftkafka.model.errors import InvariantViolationError, StorageError
from raftkafka.model.settings.values import ControllerSettings
from raftkafka.ports.consensus import NotLeaderError, OutcomeUnknownError
from tests.simulation.raft.world import Node, World


async def elected(world: World) -> Node:
    await world.until(lambda: world.leader() and announced(world), what="an election")
    leader = world.leader()
    assert leader is not None
    return leader


def announced(world: World) -> bool:
    leader = world.leader()
    return leader is not None and leader.consensus is not None and leader.consensus.waiting_for is None


async def formed(world: World) -> Node:
    for node_id in world.nodes:
        await world.boot(node_id)
    leader = await elected(world)
    await world.until(lambda: all(node.consensus.waiting_for is None for node in world.up()))
    return leader


async def propose(world: World, node: Node, command: bytes, timeout_s: float = 1.0) -> object:
    return await world.inside(node.node_id, node.consensus.propose(command, timeout_s=timeout_s))


def others(world: World, node: Node) -> list[Node]:
    return [each for each in world.nodes.values() if each is not node]


def isolate(world: World, node: Node) -> set[tuple[int, int]]:
    ways = {way for other in world.nodes for way in ((node.node_id, other), (other, node.node_id))}
    world.network.cut |= ways
    return ways


@pytest.mark.parametrize("nodes", [1, 3, 5])
def test_a_cluster_forms_and_replicates(nodes):
    world = World(seed=nodes, nodes=nodes)

    async def scenario():
        started = world.loop.now
        leader = await formed(world)
        took_s = world.loop.now - started
        indexes = [await propose(world, leader, b"%d" % number) for number in range(100)]
        assert indexes == sorted(indexes)
        await asyncio.sleep(0.2)
        assert all([c for _, c in n.machine.log] == [b"%d" % k for k in range(100)] for n in world.nodes.values())
        states = leader.consensus.voters()
        assert [(state.node_id, state.connected) for state in states] == [(i, True) for i in range(1, nodes + 1)]
        assert {state.match_index for state in states} == {leader.consensus.commit_index}
        return took_s

    assert world.run(scenario()) < (0.1 if nodes == 1 else 1.0)


def test_a_leader_is_announced_only_after_its_no_op_was_applied():
    world = World(seed=1)
    seen = []

    async def scenario():
        for node_id, node in world.nodes.items():
            await world.boot(node_id)

            def changed(leader, term, node=node):
                core = node.consensus._parts.core
                if leader == node.node_id:
                    assert core.applied_index >= core.no_op_index()
                    assert core.term_at(core.no_op_index()) == term
                seen.append((node.node_id, leader, term))

            node.consensus.on_leader_change(changed)
        leader = await elected(world)
        await asyncio.sleep(0.1)
        term = leader.consensus.term
        assert {(i, leader.node_id, term) for i in world.nodes} <= set(seen)

    world.run(scenario())


def test_a_killed_leader_is_replaced_at_once():
    """The closed connections are the news; nobody waits for the silence."""
    times_s = []
    for seed in range(10):
        world = World(seed=seed)

        async def scenario(world=world):
            leader = await formed(world)
            await propose(world, leader, b"before")
            world.kill(leader.node_id)
            took_s = await world.until(lambda: announced(world), what="a new leader")
            await propose(world, await elected(world), b"after")
            return took_s

        times_s.append(world.run(scenario()))
    assert max(times_s) < 0.6
    assert sorted(times_s)[5] < 0.1


def test_a_leader_that_vanishes_without_a_word_is_replaced_after_the_election_timeout():
    world = World(seed=4)

    async def scenario():
        leader = await formed(world)
        world.kill(leader.node_id, power_loss=True, silently=True)
        await world.until(lambda: announced(world), timeout_s=2, what="a new leader")

    world.run(scenario())


def test_a_closed_link_does_not_depose_a_leader_that_the_others_hear():
    world = World(seed=5)

    async def scenario():
        leader = await formed(world)
        term = leader.consensus.term
        for _ in range(20):
            world.network.reset(leader.node_id, others(world, leader)[0].node_id)
            await asyncio.sleep(0.3)
        assert (leader.consensus.is_leader, leader.consensus.term) == (True, term)

    world.run(scenario())


@pytest.mark.parametrize("mended", [True, False])
def test_mend_8_a_node_that_comes_back_does_not_depose_the_leader(mended):
    world = World(seed=6, mends=replace(Mends(), pre_vote=mended))

    async def scenario():
        leader = await formed(world)
        cut_off = others(world, leader)[0]
        term = leader.consensus.term
        ways = {
            way
            for other in (leader, others(world, leader)[1])
            for way in ((cut_off.node_id, other.node_id), (other.node_id, cut_off.node_id))
        }
        # Cut so that the connections stay: the library asks for votes only while it is connected to somebody.
        world.network.cut |= ways
        await asyncio.sleep(2)
        world.network.heal(ways)
        await asyncio.sleep(3)
        assert (world.leader().consensus.term == term) is mended
        await propose(world, await elected(world), b"after")

    world.run(scenario())


def test_mend_12_a_leader_without_a_majority_steps_down_within_a_second():
    world = World(seed=7)

    async def scenario():
        leader = await formed(world)
        isolate(world, leader)
        await world.until(lambda: not leader.consensus.is_leader, timeout_s=1.0, what="stepping down")
        with pytest.raises(NotLeaderError):
            await propose(world, leader, b"refused")
        with pytest.raises(NotLeaderError):
            await world.inside(leader.node_id, leader.consensus.barrier(timeout_s=1))

    world.run(scenario())


def test_a_proposal_that_was_cut_off_is_unknown_and_later_known_not_to_be_applied():
    world = World(seed=8)

    async def scenario():
        leader = await formed(world)
        ways = isolate(world, leader)
        with pytest.raises(OutcomeUnknownError, match="not committed within"):
            await propose(world, leader, b"lost", timeout_s=0.3)
        second = asyncio.create_task(propose(world, leader, b"refused", timeout_s=8))
        await world.until(lambda: announced(world) and world.leader() is not leader, timeout_s=3)
        await propose(world, world.leader(), b"kept")
        await propose(world, world.leader(), b"kept too")
        world.network.heal(ways)
        with pytest.raises(NotLeaderError):
            await second
        await asyncio.sleep(1)
        assert [c for _, c in leader.machine.log] == [b"kept", b"kept too"]

    world.run(scenario())


def test_a_proposal_that_a_snapshot_skips_is_unknown():
    world = World(seed=9)

    async def scenario():
        leader = await formed(world)
        ways = isolate(world, leader)
        waiting = asyncio.create_task(propose(world, leader, b"skipped", timeout_s=9))
        await world.until(lambda: announced(world) and world.leader() is not leader, timeout_s=3)
        new = world.leader()
        await asyncio.sleep(4)  # until the silent connections are given up: they would bring every entry
        for number in range(100):
            await propose(world, new, b"%d" % number)
        world.network.heal(ways)
        with pytest.raises(OutcomeUnknownError, match="leadership was lost"):
            await waiting
        await world.until(lambda: leader.machine.log == new.machine.log)
        assert leader.machine.restores == 1

    world.run(scenario())


def test_a_node_that_lost_everything_catches_up_by_a_snapshot():
    world = World(seed=10)

    async def scenario():
        leader = await formed(world)
        late = others(world, leader)[0]
        world.kill(late.node_id)
        for number in range(300):
            await propose(world, leader, b"%d" % number)
        await asyncio.sleep(0.1)
        await world.boot(late.node_id)
        took_s = await world.until(lambda: late.machine.log == leader.machine.log, timeout_s=2)
        assert late.machine.restores == 1
        world.kill(late.node_id, power_loss=True)
        await world.boot(late.node_id)
        assert late.machine.restores == 1, "it restarts from its own copy of the snapshot"
        await world.until(lambda: late.machine.log == leader.machine.log, timeout_s=2)
        return took_s

    assert world.run(scenario()) < 1.0


def test_a_restart_of_all_nodes_after_a_power_loss_keeps_what_was_acknowledged():
    world = World(seed=11)

    async def scenario():
        leader = await formed(world)
        for number in range(130):
            await propose(world, leader, b"%d" % number)
        for node_id in world.nodes:
            world.kill(node_id, power_loss=True)
        leader = await formed(world)
        await world.inside(leader.node_id, leader.consensus.barrier(timeout_s=1))
        assert [command for _, command in leader.machine.log] == [b"%d" % number for number in range(130)]

    world.run(scenario())


def test_a_barrier_says_that_everything_before_it_is_applied_here():
    world = World(seed=12)

    async def scenario():
        leader = await formed(world)
        pending = [asyncio.create_task(propose(world, leader, b"%d" % number)) for number in range(20)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        index = await world.inside(leader.node_id, leader.consensus.barrier(timeout_s=1))
        assert len(leader.machine.log) == 20
        assert leader.consensus.applied_index >= index
        await asyncio.gather(*pending)
        assert b"" not in [command for _, command in leader.machine.log], "the machine never sees a barrier"

    world.run(scenario())


def test_a_node_alone_says_what_it_waits_for():
    world = World(seed=13)

    async def scenario():
        await world.boot(2)
        node = world.nodes[2].consensus
        await asyncio.sleep(1)
        assert node.waiting_for == (
            "waiting for a majority: connected to 0 of 2 other voters (missing 1@node1:9093, 3@node3:9093)"
        )
        assert (node.leader_id, node.is_leader) == (None, False)
        await world.boot(3)
        await elected(world)
        assert node.waiting_for is None
        world.kill(3)
        await asyncio.sleep(2)
        assert node.waiting_for == (
            "waiting for a majority: connected to 0 of 2 other voters (missing 1@node1:9093, 3@node3:9093)"
        )

    world.run(scenario())


def test_peer_changes_are_told():
    world = World(seed=14)

    async def scenario():
        leader = await formed(world)
        news = []
        leader.consensus.on_peer_change(lambda peer, up: news.append((peer, up)))
        other = others(world, leader)[0].node_id
        world.kill(other)
        await world.until(lambda: news == [(other, False)], timeout_s=0.05, what="the news of the kill")
        await world.boot(other)
        await world.until(lambda: news == [(other, False), (other, True)], timeout_s=0.5, what="the news of the return")

    world.run(scenario())


def test_a_failed_sync_stops_the_node_and_nobody_else():
    world = World(seed=15)

    def fail(step, path):
        if step == "sync":
            raise StorageError("input/output error")

    async def scenario():
        leader = await formed(world)
        leader.disk.on_step = fail
        with pytest.raises(OutcomeUnknownError, match="Raft has stopped on this node"):
            await propose(world, leader, b"unknown")
        assert [str(error) for error in leader.fatal] == ["input/output error"]
        with pytest.raises(NotLeaderError):
            await propose(world, leader, b"refused")
        survivors = others(world, leader)
        await world.until(lambda: any(node.consensus.is_leader for node in survivors), timeout_s=2)
        await world.inside(leader.node_id, leader.consensus.stop())

    world.run(scenario())


@pytest.mark.parametrize("where", ["apply", "restore"])
def test_a_state_machine_that_raises_stops_the_node(where):
    world = World(seed=16)

    def broken(*_):
        raise InvariantViolationError("apply is not total after all")

    async def scenario():
        leader = await formed(world)
        victim = others(world, leader)[0]
        if where == "restore":
            world.kill(victim.node_id)
        else:
            victim.machine.apply = broken
        for number in range(100):
            await propose(world, leader, b"%d" % number)
        if where == "restore":
            await world.boot(victim.node_id)
            victim.machine.restore = broken
        await world.until(lambda: victim.fatal, timeout_s=2)
        assert [str(error) for error in victim.fatal] == ["apply is not total after all"]
        acknowledged = victim.consensus.applied_index
        await asyncio.sleep(1)
        assert victim.consensus.applied_index == acknowledged
        assert leader.consensus.is_leader

    world.run(scenario())


def test_more_proposals_than_the_queue_holds_are_refused(monkeypatch):
    monkeypatch.setattr("raftkafka.adapters.raft.proposals.PROPOSALS_MAX", 50)
    world = World(seed=17)

    async def scenario():
        leader = await formed(world)
        results = await asyncio.gather(
            *(propose(world, leader, b"%d" % number) for number in range(80)), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, NotLeaderError)]
        assert (len(refused), len(leader.machine.log)) == (30, 50)

    world.run(scenario())


def test_stopping_answers_what_is_waiting():
    world = World(seed=18)

    async def scenario():
        leader = await formed(world)
        isolate(world, leader)
        waiting = asyncio.create_task(propose(world, leader, b"waiting", timeout_s=5))
        await asyncio.sleep(0.05)
        await world.inside(leader.node_id, leader.consensus.stop())
        with pytest.raises(OutcomeUnknownError, match="stopping"):
            await waiting

    world.run(scenario())


def test_slow_disks_delay_but_do_not_depose():
    world = World(seed=19, settings=ControllerSettings())

    async def scenario():
        leader = await formed(world)
        for node in world.nodes.values():
            node.disk.sync_s = (0.3, 0.5)
        for number in range(5):
            await propose(world, leader, b"%d" % number, timeout_s=3)
        assert leader.consensus.is_leader

    world.run(scenario())


def test_idle_voters_wake_up_for_heartbeats_only(monkeypatch):
    """The library was made to be polled: a hundred turns a second on every idle node."""
    world = World(seed=11)
    turns = 0
    turn = Driver._turn

    def counted(self):
        nonlocal turns
        turns += 1
        turn(self)

    async def scenario():
        await formed(world)
        await asyncio.sleep(1)
        monkeypatch.setattr(Driver, "_turn", counted)
        leader = world.leader()
        await asyncio.sleep(10)
        assert world.leader() is leader

    world.run(scenario())
    # Every heartbeat: the leader's timer, two followers that hear it, two answers; and each follower's own timer.
    heartbeats = 10_000 / world.settings.raft_heartbeat_ms
    assert 3 * heartbeats < turns < 5.5 * heartbeats + 2 * 100
