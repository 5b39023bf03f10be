"""The controller ends sessions that nobody has heard, and reaps nodes that go by themselves; in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.metadata.znodes.commands import ChangeZnodes as Change
from raftkafka.model.api.znodes import AlterZkSession, ChangeZnodes, HeardSession, SessionStep, TouchZkSessions
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId
from raftkafka.model.zookeeper.acl import OPEN_ACL
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import Create, Delete
from raftkafka.ports.consensus import OutcomeUnknownError

PASSWORD = bytes(16)


@pytest.fixture
async def office(world):
    world.start_brokers(1)
    world.consensus.elect(1)
    await world.until(lambda: world.controller.active)
    return world


async def connect(world, session_id: int, *, timeout_ms: int = 10_000, broker: int = 1):
    request = AlterZkSession(
        broker_id=NodeId(broker),
        session_id=session_id,
        password=PASSWORD,
        timeout_ms=timeout_ms,
        step=SessionStep.CREATE,
    )
    assert (await world.controller.handle(request)).error_code is ErrorCode.NONE


def sessions(world) -> set[int]:
    return set(world.store.image.znodes.sessions)


async def touch(world, session_id: int, *, seconds: int, broker: int = 1, age_ms: int = 0) -> None:
    for _ in range(seconds):
        await asyncio.sleep(1)
        heard = (HeardSession(session_id=session_id, age_ms=age_ms),)
        await world.controller.handle(TouchZkSessions(broker_id=NodeId(broker), heard=heard))


async def test_a_session_ends_when_it_is_not_heard_in_time_and_its_ephemerals_with_it(office):
    await connect(office, 7)
    await connect(office, 8)
    office.commit(
        Change(
            session_id=7,
            cxid=1,
            node_id=NodeId(1),
            operation=Create(path="/e", data=None, acl=OPEN_ACL, mode=CreateMode.EPHEMERAL),
        )
    )
    began = asyncio.get_running_loop().time()
    keeping = asyncio.create_task(touch(office, 8, seconds=30))
    await office.until(lambda: sessions(office) == {8})
    assert 10 <= asyncio.get_running_loop().time() - began < 12
    assert office.store.image.znodes.get("/e") is None
    assert office.probe.expired == 1
    await keeping
    assert sessions(office) == {8}


async def test_another_brokers_word_and_old_news_keep_nobody_alive(office):
    await connect(office, 7)
    await connect(office, 8)
    await asyncio.gather(
        touch(office, 7, seconds=13, broker=2),
        touch(office, 8, seconds=13, age_ms=60_000),
    )
    assert sessions(office) == set()


async def test_a_new_controller_gives_every_session_its_whole_time(office):
    await connect(office, 7)
    await asyncio.sleep(8)
    office.consensus.elect(2)
    await asyncio.sleep(30)
    assert sessions(office) == {7}
    office.consensus.elect(1)
    await office.until(lambda: office.controller.active)
    await asyncio.sleep(9)
    assert sessions(office) == {7}
    await office.until(lambda: not sessions(office))


async def test_an_end_whose_outcome_is_unknown_is_tried_again(office):
    await connect(office, 7)
    proposed = len(office.consensus.proposed)
    office.consensus.failures = [OutcomeUnknownError("who knows")]
    await office.until(lambda: not sessions(office))
    assert len(office.consensus.proposed) == proposed + 2


async def test_empty_containers_are_reaped(office):
    office.commit(
        Change(operation=Create(path="/c", data=None, acl=OPEN_ACL, mode=CreateMode.CONTAINER)),
        Change(operation=Create(path="/c/x", data=None, acl=OPEN_ACL)),
        Change(operation=Create(path="/d", data=None, acl=OPEN_ACL, mode=CreateMode.CONTAINER)),
        Change(operation=Create(path="/d/x", data=None, acl=OPEN_ACL)),
        Change(operation=Delete(path="/d/x")),
    )
    began = asyncio.get_running_loop().time()
    await office.until(lambda: office.store.image.znodes.get("/d") is None, timeout_s=90)
    assert asyncio.get_running_loop().time() - began > 50
    assert office.store.image.znodes.get("/c") is not None


async def test_without_clients_nothing_is_proposed(office):
    proposed = len(office.consensus.proposed)
    world_time = asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() < world_time + 5:
        await asyncio.sleep(1)
    assert len(office.consensus.proposed) == proposed


def ask(operation, *, cxid: int = 1) -> ChangeZnodes:
    return ChangeZnodes(broker_id=NodeId(1), session_id=7, cxid=cxid, identities=(), change=operation)


async def test_nodes_of_tools_go_when_what_they_ask_for_is_done(office):
    await connect(office, 7, timeout_ms=600_000)
    await office.controller.handle(ask(Create(path="/admin/delete_topics/none", data=None, acl=OPEN_ACL)))
    assert office.store.image.znodes.get("/admin/delete_topics/none") is not None
    await asyncio.sleep(10)
    assert office.store.image.znodes.get("/admin/delete_topics/none") is None


async def test_a_controller_whose_node_is_deleted_takes_office_again(office):
    await office.until(lambda: office.store.image.znodes.get("/controller") is not None)
    await connect(office, 7, timeout_ms=600_000)
    before = office.store.image
    await office.controller.handle(ask(Delete(path="/controller")))
    await office.until(lambda: office.store.image.controller_epoch > before.controller_epoch)
    node = office.store.image.znodes.get("/controller")
    assert node.czxid > before.znodes.get("/controller").czxid
    assert office.controller.active
    await connect(office, 8)
    await office.controller.handle(ask(Delete(path="/controller"), cxid=2))
    await office.until(lambda: office.store.image.controller_epoch > before.controller_epoch + 1)
    assert office.controller.active
