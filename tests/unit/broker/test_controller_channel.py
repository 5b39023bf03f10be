"""To the controller by a call or by one request, and never by two."""

from __future__ import annotations

import pytest

from raftkafka.model.api.broker_lifecycle import BrokerHeartbeat, BrokerHeartbeatResponse
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import BrokerEpoch, NodeId, RaftIndex

QUESTION = BrokerHeartbeat(broker_id=NodeId(2), broker_epoch=BrokerEpoch(99), applied_index=RaftIndex(0))


async def test_the_controller_answers_itself(world):
    world.start_brokers(1, 2)
    world.consensus.elect(1)
    await world.until(lambda: world.controller.active)
    answer = await world.channel.ask(QUESTION, timeout_s=1)
    assert answer.error_code is ErrorCode.STALE_BROKER_EPOCH
    assert world.peers.asked == []


async def test_others_ask_the_node_that_leads_raft(world):
    world.consensus.elect(2)
    world.peers.answer = lambda node, request: BrokerHeartbeatResponse(is_fenced=False)
    assert await world.channel.ask(QUESTION, timeout_s=1, lane="clients") == BrokerHeartbeatResponse(is_fenced=False)
    assert world.peers.asked == [(2, QUESTION, "clients")]


@pytest.mark.parametrize("leader", [None, 1])
async def test_without_a_controller_nobody_is_asked(world, leader):
    world.consensus.leader_id = leader
    with pytest.raises(ApiError) as refused:
        await world.channel.ask(QUESTION, timeout_s=1)
    assert refused.value.code is ErrorCode.NOT_CONTROLLER
    assert world.peers.asked == []


async def test_what_was_forwarded_is_not_forwarded_again(world):
    world.consensus.elect(2)
    with pytest.raises(ApiError) as refused:
        await world.channel.ask(QUESTION, timeout_s=1, forward=False)
    assert refused.value.code is ErrorCode.NOT_CONTROLLER
    assert world.peers.asked == []


async def test_a_controller_that_does_not_answer_is_none(world):
    world.consensus.elect(2)
    with pytest.raises(ApiError) as refused:
        await world.channel.ask(QUESTION, timeout_s=1)
    assert refused.value.code is ErrorCode.NOT_CONTROLLER
