"""The controller: when it is in office, whom it fences, and whom it lets in."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.model.api.broker_lifecycle import BrokerHeartbeat, BrokerRegistration, ListenerEndpoint
from raftkafka.model.api.cluster import DescribeQuorum
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId, RaftIndex
from raftkafka.ports.consensus import OutcomeUnknownError


@pytest.fixture
async def office(world):
    """Node 1 is in office; nodes 1, 2 and 3 are unfenced, 2 and 3 linked and heard of."""
    world.start_brokers(1, 2, 3)
    world.consensus.linked = {2: True, 3: True}
    world.consensus.elect(1)
    await world.until(lambda: world.controller.active)
    return world


def fenced(world) -> set[int]:
    return {int(each.node_id) for each in world.store.image.brokers.values() if each.fenced}


async def heartbeat(world, node: int, *, epoch: int | None = None, applied: int | None = None, leave: bool = False):
    return await world.controller.handle(
        BrokerHeartbeat(
            broker_id=NodeId(node),
            broker_epoch=world.epoch(node) if epoch is None else epoch,
            applied_index=RaftIndex(world.store.applied_index if applied is None else applied),
            want_shut_down=leave,
        )
    )


async def register(world, node: int, *, incarnation: int = 0, port: int = 0):
    return await world.controller.handle(
        BrokerRegistration(
            broker_id=NodeId(node),
            cluster_id="",
            incarnation_id=bytes([incarnation]) * 16,
            listeners=(ListenerEndpoint(name="PLAINTEXT", host="127.0.0.1", port=port or 9_000 + node),),
        )
    )


async def keep_alive(world, *nodes: int) -> None:
    while True:
        for node in nodes:
            await heartbeat(world, node)
        await asyncio.sleep(2)


# Office


async def test_the_first_controller_names_the_cluster_and_lets_its_own_broker_in(world):
    world.consensus.elect(1)
    await world.until(lambda: world.store.image.cluster_id == "cluster")
    answer = await register(world, 1)
    assert (answer.error_code, answer.broker_epoch) == (ErrorCode.NONE, world.epoch(1))
    assert fenced(world) == {1}
    assert (await heartbeat(world, 1)).is_fenced is False


async def test_before_the_barrier_nothing_is_decided(world):
    world.consensus.barrier_gate.clear()
    world.consensus.elect(1)
    await asyncio.sleep(1)
    with pytest.raises(ApiError) as refused:
        await register(world, 1)
    assert refused.value.code is ErrorCode.NOT_CONTROLLER
    world.consensus.barrier_gate.set()
    await world.until(lambda: world.controller.active)


async def test_a_leader_deposed_during_its_barrier_does_not_enter_office(world):
    world.consensus.barrier_gate.clear()
    world.consensus.elect(1)
    await asyncio.sleep(0.01)
    world.consensus.elect(2)
    world.consensus.barrier_gate.set()
    await asyncio.sleep(1)
    assert not world.controller.active


async def test_who_is_deposed_refuses_and_comes_back_in_a_later_term(office):
    office.consensus.elect(None)
    with pytest.raises(ApiError) as refused:
        await heartbeat(office, 2)
    assert refused.value.code is ErrorCode.NOT_CONTROLLER
    office.consensus.elect(1)
    await office.until(lambda: office.controller.active)
    assert (await heartbeat(office, 2)).error_code is ErrorCode.NONE


async def test_it_answers_only_what_is_the_controllers(office):
    with pytest.raises(ApiError) as refused:
        await office.controller.handle(DescribeQuorum())
    assert refused.value.code is ErrorCode.INVALID_REQUEST


# Closed links


async def test_a_broker_that_does_not_answer_is_fenced_within_a_probe(office):
    key = office.create("orders", 2, 1)
    began = asyncio.get_running_loop().time()
    office.consensus.link(2, False)
    await office.until(lambda: fenced(office) == {2})
    assert asyncio.get_running_loop().time() - began < 0.2
    assert office.store.image.partition(key).leader == 1
    await asyncio.sleep(0.01)
    assert office.probe.elections == 1


async def test_a_broker_that_answers_is_not_fenced_and_probed_once_more(office):
    office.peers.alive = lambda node: True
    office.consensus.link(2, False)
    await asyncio.sleep(3)
    assert fenced(office) == set()
    assert office.peers.probed == [2, 2]


async def test_one_probe_suffices_when_the_link_is_up_again(office):
    office.peers.alive = lambda node: True
    office.consensus.link(2, False)
    await asyncio.sleep(0.1)
    office.consensus.link(2, True)
    await asyncio.sleep(3)
    assert office.peers.probed == [2]


async def test_a_broker_that_dies_right_behind_its_answer_is_found(office):
    office.peers.alive = lambda node: len(office.peers.probed) < 2
    began = asyncio.get_running_loop().time()
    office.consensus.link(2, False)
    await office.until(lambda: fenced(office) == {2})
    assert asyncio.get_running_loop().time() - began < 0.5


async def test_news_during_a_probe_is_not_lost(office):
    """The link comes up and breaks again while the probe of the first break is under way."""
    office.peers.alive = lambda node: len(office.peers.probed) < 3
    office.consensus.link(2, False)
    await asyncio.sleep(0.21)
    office.consensus.link(2, True)
    office.consensus.link(2, False)
    await office.until(lambda: fenced(office) == {2})


@pytest.mark.parametrize("when", ["before", "during"])
async def test_who_dies_around_the_election_is_found_at_once(world, when):
    world.start_brokers(1, 2, 3)
    world.consensus.linked = {2: when == "during", 3: True}
    world.consensus.barrier_gate.clear()
    world.consensus.elect(1)
    await asyncio.sleep(0.01)
    if when == "during":
        world.consensus.link(2, False)
    world.consensus.barrier_gate.set()
    began = asyncio.get_running_loop().time()
    await world.until(lambda: fenced(world) == {2})
    assert asyncio.get_running_loop().time() - began < 0.2


async def test_a_broker_that_is_no_voter_is_probed_by_a_new_controller(world):
    world.start_brokers(1, 4)
    world.consensus.elect(1)
    await world.until(lambda: fenced(world) == {4})


async def test_a_start_that_came_during_the_probe_is_not_fenced_for_the_one_before(office):
    def dies_and_returns(node: int) -> bool:
        office.restart(2, incarnation=9)
        return False

    office.peers.alive = dies_and_returns
    office.consensus.link(2, False)
    await asyncio.sleep(1)
    assert fenced(office) == set()


async def test_a_fencing_of_unknown_outcome_is_tried_again(office):
    office.consensus.failures = [OutcomeUnknownError("?")]
    began = asyncio.get_running_loop().time()
    office.consensus.link(2, False)
    await office.until(lambda: fenced(office) == {2})
    assert asyncio.get_running_loop().time() - began < 1


async def test_a_resigned_controller_fences_nobody(office):
    office.consensus.link(2, False)
    office.consensus.elect(3)
    await asyncio.sleep(30)
    assert fenced(office) == set()
    assert office.consensus.proposed == []


# Sessions


async def test_who_falls_silent_is_fenced_when_the_session_is_over(office):
    alive = asyncio.ensure_future(keep_alive(office, 1, 3))
    await asyncio.sleep(8.5)
    assert fenced(office) == set()
    await asyncio.sleep(2)
    assert fenced(office) == {2}
    await asyncio.sleep(30)
    assert fenced(office) == {2}
    alive.cancel()


async def test_a_heartbeat_brings_a_fenced_broker_back(office):
    office.fence(2)
    assert (await heartbeat(office, 2)).is_fenced is False
    assert fenced(office) == set()


async def test_a_session_that_could_not_be_ended_is_ended_soon_after(office):
    alive = asyncio.ensure_future(keep_alive(office, 1, 3))
    await asyncio.sleep(8.5)
    office.consensus.failures = [OutcomeUnknownError("?")]
    await asyncio.sleep(3)
    assert fenced(office) == {2}
    alive.cancel()


async def test_a_controller_that_slept_fences_nobody_for_it(office):
    loop = asyncio.get_running_loop()
    loop._virtual_time += 60
    alive = asyncio.ensure_future(keep_alive(office, 1, 2, 3))
    await asyncio.sleep(5)
    assert fenced(office) == set()
    alive.cancel()


# Registration and heartbeats


async def test_a_broker_is_let_in_once_it_has_applied_its_registration(office):
    epoch = (await register(office, 4)).broker_epoch
    assert (await heartbeat(office, 4, applied=epoch - 1)).is_fenced is True
    assert (await heartbeat(office, 4, applied=epoch)).is_fenced is False


async def test_a_heartbeat_of_another_registration_is_told_so(office):
    assert (await heartbeat(office, 2, epoch=1)).error_code is ErrorCode.STALE_BROKER_EPOCH
    assert (await heartbeat(office, 7, epoch=1)).error_code is ErrorCode.BROKER_ID_NOT_REGISTERED
    await asyncio.sleep(60)


async def test_a_second_process_of_the_same_id_is_refused_while_the_first_answers(office):
    office.peers.alive = lambda node: True
    answer = await register(office, 2, incarnation=5, port=9_555)
    assert answer.error_code is ErrorCode.DUPLICATE_BROKER_REGISTRATION
    office.peers.alive = lambda node: False
    assert (await register(office, 2, incarnation=5, port=9_555)).error_code is ErrorCode.NONE


async def test_a_restart_at_the_same_address_needs_no_probe(office):
    before = office.epoch(2)
    answer = await register(office, 2, incarnation=5)
    assert answer.broker_epoch > before
    assert office.peers.probed == []


async def test_a_controlled_shutdown_moves_the_leaderships_and_does_not_come_back(office):
    key = office.create("orders", 2, 1)
    answer = await heartbeat(office, 2, leave=True)
    assert answer.should_shut_down
    assert office.store.image.partition(key).leader == 1
    office.fence(2)
    assert (await heartbeat(office, 2, leave=True)).is_fenced is True
