"""Both ends of a connection say when they rest and when they were woken, and poll where that pays."""

from __future__ import annotations

import asyncio

from raftkafka.client.connection import Connection
from raftkafka.model.api.cluster import ApiVersions, Metadata, MetadataResponse
from raftkafka.model.ids import NodeId
from raftkafka.wire.busy_poll import BusyPoll

ANSWER = MetadataResponse(brokers=(), cluster_id="c", controller_id=NodeId(1), topics=())


class Heard:
    """In the place of a `BusyPoll`."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def rest(self) -> None:
        self.words.append("rest")

    def woke(self) -> None:
        self.words.append("woke")


async def connect(server, poll=None) -> Connection:
    connection = await Connection.open("127.0.0.1", server.port, client_id="test", busy_poll=poll)
    await connection.request(ApiVersions())  # the preface goes before it
    return connection


async def test_a_server_rests_when_all_is_answered(serve):
    heard = Heard()
    connection = await connect(await serve(lambda context, request: ANSWER, busy_poll=heard))
    heard.words.clear()
    for _ in range(3):
        await connection.request(Metadata(topics=()))
    assert heard.words == ["woke", "rest"] * 3
    await connection.close()


async def test_a_server_that_owes_an_answer_does_not_rest(serve):
    heard, waiting = Heard(), []

    def later(context, request):
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    connection = await connect(await serve(later, busy_poll=heard))
    heard.words.clear()
    answer = connection.request(Metadata(topics=()))
    async with asyncio.timeout(10):
        while not waiting:
            await asyncio.sleep(0.001)
    assert heard.words == ["woke"]
    waiting[0].set_result(ANSWER)
    await answer
    assert heard.words == ["woke", "rest"]
    await connection.close()


async def test_a_client_rests_while_nothing_but_an_answer_can_come(serve):
    heard = Heard()
    connection = await connect(await serve(lambda context, request: ANSWER), heard)
    heard.words.clear()
    for _ in range(3):
        await connection.request(Metadata(topics=()))
    assert heard.words == ["rest", "woke"] * 3
    await connection.close()


async def test_the_loop_looks_again_and_again_until_the_answer_is_there(serve):
    """Counted by the calls that let others run, one for each look that found nothing; the time is enough for any machine."""

    async def slow():
        for _ in range(20):
            await asyncio.sleep(0)
        return ANSWER

    looks = 0

    def give_way() -> None:
        nonlocal looks
        looks += 1

    loop = asyncio.get_running_loop()
    poll = BusyPoll(max_s=60, call_soon=loop.call_soon, now=lambda: 1_000.0, give_way=give_way)
    connection = await connect(await serve(lambda context, request: slow()), poll)
    for _ in range(10):
        before = looks
        await connection.request(Metadata(topics=()))
    assert looks - before >= 10
    await connection.close()
