"""A broker's producer ids: none twice, one question at a time, and a clear word when there are none."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.broker.handlers.producers import ProducersHandler
from raftkafka.broker.producer_ids import ProducerIds
from raftkafka.model.api.producers import PRODUCER_ID_BLOCK, AllocateProducerIdsResponse, InitProducerId
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import BrokerEpoch, NodeId

CONTEXT = RequestContext(listener="PLAINTEXT", client_address="test")


class FakeChannel:
    def __init__(self) -> None:
        self.asked = []
        self.error: ApiError | None = None
        self.code = ErrorCode.NONE

    async def ask(self, request, *, timeout_s):
        self.asked.append(request)
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        if self.code is not ErrorCode.NONE:
            return AllocateProducerIdsResponse(error_code=self.code)
        return AllocateProducerIdsResponse(producer_id_start=7_000 + 10 * len(self.asked), producer_id_len=3)


@pytest.fixture
def channel() -> FakeChannel:
    return FakeChannel()


@pytest.fixture
def ids(channel) -> ProducerIds:
    return ProducerIds(node_id=NodeId(1), broker_epoch=lambda: BrokerEpoch(5), channel=channel, timeout_s=1.0)


async def test_all_who_ask_at_once_get_ids_of_their_own(ids, channel):
    taken = await asyncio.gather(*[ids.take() for _ in range(8)])
    assert sorted(taken) == [7_010, 7_011, 7_012, 7_020, 7_021, 7_022, 7_030, 7_031]
    assert len(channel.asked) == 3
    assert channel.asked[0].broker_epoch == 5


async def test_nobody_gets_an_id_while_the_controller_gives_none(ids, channel):
    for error, code in ((ApiError(ErrorCode.NOT_CONTROLLER), ErrorCode.NONE), (None, ErrorCode.STALE_BROKER_EPOCH)):
        channel.error, channel.code = error, code
        outcomes = await asyncio.gather(*[ids.take() for _ in range(3)], return_exceptions=True)
        assert [each.code for each in outcomes] == [ErrorCode.COORDINATOR_LOAD_IN_PROGRESS] * 3
    channel.error, channel.code = None, ErrorCode.NONE
    assert await ids.take() == 7_030


async def test_the_answer_to_a_producer(ids, channel):
    handler = ProducersHandler(ids=ids)
    answer = await handler.init_producer_id(CONTEXT, InitProducerId())
    assert (answer.error_code, answer.producer_id, answer.producer_epoch) == (ErrorCode.NONE, 7_010, 0)
    answer = await handler.init_producer_id(CONTEXT, InitProducerId(transactional_id="t"))
    assert answer.error_code is ErrorCode.UNSUPPORTED_VERSION
    assert "transactions" in answer.error_message
    channel.error = ApiError(ErrorCode.NOT_CONTROLLER)
    for _ in range(2):
        await ids.take()
    answer = await handler.init_producer_id(CONTEXT, InitProducerId())
    assert (answer.error_code, answer.producer_id) == (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, -1)


async def test_through_the_controller(world):
    world.start_brokers(1)
    world.consensus.elect(1)
    await world.until(lambda: world.controller.active)
    ids = [
        ProducerIds(node_id=NodeId(1), broker_epoch=lambda: world.epoch(1), channel=world.channel, timeout_s=1.0)
        for _ in range(2)
    ]
    assert [await each.take() for each in ids] == [0, PRODUCER_ID_BLOCK]
    assert world.store.image.next_producer_id == 2 * PRODUCER_ID_BLOCK
