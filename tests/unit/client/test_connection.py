"""The client's connection against a scripted broker: order, timeouts, closing, where bytes land."""

from __future__ import annotations

import asyncio
import struct

import pytest

from raftkafka.client.connection import (
    SCRATCH_BYTES,
    Connection,
    ConnectionClosedError,
    ConnectionFailedError,
    RequestTimedOutError,
)
from raftkafka.model.api.cluster import ApiVersions, ApiVersionsResponse
from raftkafka.model.api.fetch import Fetch, FetchPartitionResponse, FetchResponse
from raftkafka.model.api.produce import Produce, ProducePartition
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import PartitionIndex, TopicId
from raftkafka.wire.session import PREFACE, ServerSession

TOPIC = TopicId(bytes(16))
VERSIONS = ApiVersionsResponse(api_keys=())


class ScriptedBroker:
    """Collects requests; the test says when and what is answered."""

    def __init__(self) -> None:
        self.session = ServerSession(request_max_bytes=64 << 20)
        self.requests = []
        self.reads = 0
        self.reading = asyncio.Event()
        self.reading.set()
        self.writer: asyncio.StreamWriter | None = None

    async def on_connection(self, reader, writer):
        self.writer = writer
        data = b""
        while True:
            await self.reading.wait()
            piece = await reader.read(1 << 20)
            if not piece:
                break
            self.reads += 1
            data += piece
            view = memoryview(bytearray(data))
            while consumed := (received := self.session.receive(view)).consumed:
                self.requests += received.requests
                view = view[consumed:]
            data = bytes(view)
        writer.close()

    def answer(self, index, response):
        self.writer.write(b"".join(self.session.encode_response(self.requests[index], response)))

    async def has(self, count):
        async with asyncio.timeout(10):
            while len(self.requests) < count:
                await asyncio.sleep(0.001)


@pytest.fixture
async def broker():
    return ScriptedBroker()


@pytest.fixture
async def port(broker):
    server = await asyncio.start_server(broker.on_connection, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    if broker.writer is not None:
        broker.writer.close()


@pytest.fixture
async def connection(port):
    connection = await Connection.open("127.0.0.1", port, client_id="test", response_max_bytes=4 << 20)
    yield connection
    await connection.close()


def fetched(records: bytes) -> FetchResponse:
    return FetchResponse(
        partitions=(FetchPartitionResponse(topic_id=TOPIC, partition=PartitionIndex(0), records=records),)
    )


async def test_requests_of_one_turn_leave_together(broker, connection):
    futures = [connection.request(ApiVersions()) for _ in range(50)]
    await broker.has(50)
    assert broker.reads <= 3  # the preface may come first; on an idle connection the first request leaves at once
    for index in range(50):
        broker.answer(index, VERSIONS)
    assert await asyncio.gather(*futures) == [VERSIONS] * 50


async def test_records_of_all_sizes_arrive_and_stay_valid(broker, connection):
    sizes = [0, 1, 100, SCRATCH_BYTES - 50, SCRATCH_BYTES, 3 * SCRATCH_BYTES, 5, 1 << 20, 2000] * 2
    futures = [connection.request(Fetch(partitions=())) for _ in sizes]
    await broker.has(len(sizes))
    for index, size in enumerate(sizes):
        broker.answer(index, fetched(bytes([index]) * size))
    answers = await asyncio.gather(*futures)
    # Looked at after all have come: a view of a buffer that was used again would show.
    assert [bytes(a.partitions[0].records) for a in answers] == [bytes([i]) * size for i, size in enumerate(sizes)]


async def test_buffers_of_any_kind_are_sent(broker, connection):
    for kind in (bytes, bytearray, memoryview):
        partition = ProducePartition(topic_id=TOPIC, partition=PartitionIndex(0), records=kind(b"records"))
        connection.send(Produce(acks=0, timeout_ms=0, partitions=(partition,)))
    await broker.has(3)
    assert [bytes(i.request.partitions[0].records) for i in broker.requests] == [b"records"] * 3
    assert connection.in_flight == 0


async def test_a_timeout_fails_one_request_and_later_answers_still_fit(broker, connection):
    slow, fast = connection.request(ApiVersions(), timeout_s=0.02), connection.request(Fetch(partitions=()))
    with pytest.raises(RequestTimedOutError):
        await slow
    broker.answer(0, VERSIONS)
    broker.answer(1, fetched(b"x"))
    assert bytes((await fast).partitions[0].records) == b"x"
    assert not connection.closed


async def test_who_asks_is_told_in_order_and_once(broker, connection):
    told = []
    for name in ("first", "second"):
        connection.ask(ApiVersions(), timeout_s=10, on_answer=lambda answer, name=name: told.append((name, answer)))
    await broker.has(2)
    broker.answer(0, VERSIONS)
    broker.answer(1, ApiError(ErrorCode.NOT_CONTROLLER, "elsewhere"))
    async with asyncio.timeout(10):
        while len(told) < 2:
            await asyncio.sleep(0.001)
    await connection.close()
    assert told[0] == ("first", VERSIONS)
    assert told[1][0] == "second"
    assert isinstance(told[1][1], ApiError)
    with pytest.raises(ConnectionClosedError):
        connection.ask(ApiVersions(), timeout_s=10, on_answer=told.append)
    assert len(told) == 2


async def test_an_answer_may_be_the_reason_to_close(broker, connection):
    told = []

    def leave(answer):
        told.append(answer)
        connection.abort()

    connection.ask(ApiVersions(), timeout_s=10, on_answer=leave)
    connection.ask(ApiVersions(), timeout_s=10, on_answer=told.append)
    await broker.has(2)
    broker.answer(0, VERSIONS)
    broker.answer(1, VERSIONS)
    async with asyncio.timeout(10):
        while len(told) < 2:
            await asyncio.sleep(0.001)
    assert told[0] == VERSIONS
    assert isinstance(told[1], ConnectionClosedError)


async def test_an_error_response_is_raised(broker, connection):
    future = connection.request(ApiVersions())
    await broker.has(1)
    broker.answer(0, ApiError(ErrorCode.NOT_CONTROLLER, "elsewhere"))
    with pytest.raises(ApiError, match="elsewhere") as raised:
        await future
    assert raised.value.code is ErrorCode.NOT_CONTROLLER


async def test_when_the_broker_closes_all_pending_fail_and_callbacks_run(broker, connection):
    closed = []
    connection.on_close.append(closed.append)
    futures = [connection.request(ApiVersions()) for _ in range(3)]
    await broker.has(3)
    broker.writer.close()
    for future in futures:
        with pytest.raises(ConnectionClosedError):
            await future
    assert closed == [connection]
    with pytest.raises(ConnectionClosedError):
        await connection.request(ApiVersions())
    with pytest.raises(ConnectionClosedError):
        connection.send(ApiVersions())


@pytest.mark.parametrize(
    "sent", [struct.pack(">II", (4 << 20) + 1, 9), struct.pack(">II", 5, 900), struct.pack(">II", 5, 1) + b"\x80"]
)
async def test_a_broker_that_breaks_the_protocol_is_left(broker, connection, sent):
    future = connection.request(ApiVersions())
    await broker.has(1)
    broker.writer.write(sent)
    with pytest.raises(ConnectionClosedError, match="broke the protocol"):
        await future


async def test_drain_waits_until_the_broker_reads(broker, connection):
    broker.reading.clear()
    partition = ProducePartition(topic_id=TOPIC, partition=PartitionIndex(0), records=memoryview(bytes(1 << 20)))
    for _ in range(24):
        connection.send(Produce(acks=0, timeout_ms=0, partitions=(partition,)))
    assert connection.unsent_bytes > 24 << 20
    drained = asyncio.ensure_future(connection.drain())
    await asyncio.sleep(0)
    assert not drained.done()
    broker.reading.set()
    await drained
    await broker.has(24)


async def test_nobody_there_is_a_failed_connection():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectionFailedError, match=str(port)):
        await Connection.open("127.0.0.1", port, client_id="c")


async def test_the_preface_comes_first(port, broker):
    class Recorder(ServerSession):
        first = b""

        def receive(self, view, *, limit=1000):
            self.first = self.first or bytes(view[:4])
            return super().receive(view, limit=limit)

    broker.session = Recorder(request_max_bytes=1000)
    connection = await Connection.open("127.0.0.1", port, client_id="c")
    connection.request(ApiVersions())
    await broker.has(1)
    assert broker.session.first == PREFACE
    await connection.close()
