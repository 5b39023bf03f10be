"""Only a node of the cluster speaks to the controller, and only in its own name."""

from __future__ import annotations

import pytest

from raftkafka.broker.handlers.controller import ControllerHandler
from raftkafka.model.api.broker_lifecycle import (
    AlterPartition,
    BrokerHeartbeat,
    BrokerRegistration,
    ListenerEndpoint,
)
from raftkafka.model.api.producers import AllocateProducerIds
from raftkafka.model.api.znodes import AlterZkSession, ChangeZnodes, SessionStep, TouchZkSessions
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_NODE, BrokerEpoch, NodeId, RaftIndex
from raftkafka.model.zookeeper.ops import Delete


def context(node: int) -> RequestContext:
    return RequestContext(listener="PLAINTEXT", client_address="test", node_id=NodeId(node))


def questions(handler: ControllerHandler, node: int):
    endpoint = ListenerEndpoint(name="PLAINTEXT", host="h", port=9_090)
    return [
        (
            handler.register,
            BrokerRegistration(broker_id=NodeId(node), cluster_id="", incarnation_id=b"i" * 16, listeners=(endpoint,)),
        ),
        (
            handler.heartbeat,
            BrokerHeartbeat(broker_id=NodeId(node), broker_epoch=BrokerEpoch(1), applied_index=RaftIndex(1)),
        ),
        (
            handler.alter_partition,
            AlterPartition(broker_id=NodeId(node), broker_epoch=BrokerEpoch(1), partitions=()),
        ),
        (
            handler.allocate_producer_ids,
            AllocateProducerIds(broker_id=NodeId(node), broker_epoch=BrokerEpoch(1)),
        ),
    ]


def questions_of_clients(handler: ControllerHandler, node: int):
    """What a broker asks for its ZooKeeper clients."""
    session = {"broker_id": NodeId(node), "session_id": 7}
    return [
        (
            handler.alter_zk_session,
            AlterZkSession(**session, password=bytes(16), timeout_ms=9_000, step=SessionStep.CREATE),
        ),
        (handler.change_znodes, ChangeZnodes(**session, cxid=1, identities=(), change=Delete(path="/a"))),
        (handler.touch_zk_sessions, TouchZkSessions(broker_id=NodeId(node), heard=())),
    ]


@pytest.mark.parametrize(("asks", "name"), [(NO_NODE, 2), (3, 2), (NO_NODE, NO_NODE)])
async def test_nobody_else_may_ask(world, asks, name):
    world.start_brokers(1)
    world.consensus.elect(1)
    await world.until(lambda: world.controller.active)
    handler = ControllerHandler(controller=world.controller)
    for handle, request in (*questions(handler, name), *questions_of_clients(handler, name)):
        answer = await handle(context(asks), request)
        assert answer.error_code is ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    assert world.consensus.proposed == []


async def test_a_node_in_its_own_name_is_answered(world):
    world.start_brokers(1)
    world.consensus.elect(1)
    await world.until(lambda: world.controller.active)
    handler = ControllerHandler(controller=world.controller)
    codes = [(await handle(context(2), request)).error_code for handle, request in questions(handler, 2)]
    assert codes == [ErrorCode.NONE, *[ErrorCode.STALE_BROKER_EPOCH] * 3]
    codes = [(await handle(context(2), request)).error_code for handle, request in questions_of_clients(handler, 2)]
    assert codes == [ErrorCode.NONE] * 3
    assert world.store.image.znodes.sessions.get(7).node_id == 2


async def test_a_node_that_is_not_the_controller_says_so(world):
    handler = ControllerHandler(controller=world.controller)
    for handle, request in (*questions(handler, 2), *questions_of_clients(handler, 2)):
        assert (await handle(context(2), request)).error_code is ErrorCode.NOT_CONTROLLER
