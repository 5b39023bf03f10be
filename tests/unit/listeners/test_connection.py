"""The connection shell over real sockets: order, limits, deadlines, strangers, faults."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct

import pytest

from raftkafka.client.connection import Connection, ConnectionClosedError
from raftkafka.listeners.connection import PARTS_WAITING_MAX
from raftkafka.model.api.cluster import ApiVersions, DescribeCluster, Metadata, MetadataResponse
from raftkafka.model.api.fetch import Fetch, FetchPartitionResponse, FetchResponse
from raftkafka.model.api.produce import Produce, ProducePartition, ProducePartitionResponse, ProduceResponse
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId, Offset, PartitionIndex, TopicId
from raftkafka.wire.session import PREFACE, ClientSession

TOPIC = TopicId(bytes(16))


def metadata(name: str = "c") -> MetadataResponse:
    return MetadataResponse(brokers=(), cluster_id=name, controller_id=NodeId(1), topics=())


def produce(records: bytes, acks: int = 1) -> Produce:
    partition = ProducePartition(topic_id=TOPIC, partition=PartitionIndex(0), records=memoryview(records))
    return Produce(acks=acks, timeout_ms=1000, partitions=(partition,))


def produced(offset: int = 0) -> ProduceResponse:
    return ProduceResponse(
        partitions=(
            ProducePartitionResponse(
                topic_id=TOPIC, partition=PartitionIndex(0), base_offset=Offset(offset), log_start_offset=Offset(0)
            ),
        )
    )


async def connect(server) -> Connection:
    return await Connection.open("127.0.0.1", server.port, client_id="test")


async def test_answers_leave_in_the_order_of_the_requests(serve):
    waiting = []

    def dispatch(context, request):
        if request.topics == ("now",):
            return metadata("now")
        future = asyncio.get_running_loop().create_future()
        waiting.append(future)
        return future

    connection = await connect(await serve(dispatch))
    order = []
    futures = [connection.request(Metadata(topics=(name,))) for name in ("a", "b", "now", "c")]
    for index, future in enumerate(futures):
        future.add_done_callback(lambda _, index=index: order.append(index))
    last = connection.request(ApiVersions())
    while len(waiting) < 3:
        await asyncio.sleep(0)
    for name, future in reversed(list(zip("abc", waiting, strict=True))):
        future.set_result(metadata(name))
    await last
    assert [future.result().cluster_id for future in futures] == ["a", "b", "now", "c"]
    assert order == [0, 1, 2, 3]
    await connection.close()


async def test_coroutines_none_and_api_errors_are_answers(serve):
    seen = []

    async def later():
        await asyncio.sleep(0)
        raise ApiError(ErrorCode.NOT_CONTROLLER, "nobody leads")

    def dispatch(context, request):
        if isinstance(request, Produce):
            seen.append(bytes(request.partitions[0].records))
            return None
        if isinstance(request, DescribeCluster):
            raise ApiError(ErrorCode.INVALID_REQUEST, "no")
        return later()

    connection = await connect(await serve(dispatch))
    connection.send(produce(b"fire and forget", acks=0))
    with pytest.raises(ApiError, match="nobody leads"):
        await connection.request(Metadata())
    with pytest.raises(ApiError, match="INVALID_REQUEST"):
        await connection.request(DescribeCluster())
    assert seen == [b"fire and forget"]
    await connection.close()


async def test_frames_of_all_sizes_pass_the_ring(serve):
    got = []

    def dispatch(context, request):
        records = request.partitions[0].records
        assert not records.readonly
        got.append(bytes(records))
        return produced(len(got))

    server = await serve(dispatch, receive_ring_bytes=8192, request_max_bytes=1 << 20)
    connection = await connect(server)
    sizes = [0, 1, 5000, 8000, 8200, 100_000, 3, 700_000, 4000, 4000, 4000, 20_000] * 4
    wanted = [bytes([index % 251]) * size for index, size in enumerate(sizes)]
    answers = await asyncio.gather(*[connection.request(produce(records)) for records in wanted])
    assert got == wanted
    assert [answer.partitions[0].base_offset for answer in answers] == list(range(1, len(sizes) + 1))
    await connection.close()


async def test_more_requests_than_one_turn_takes_are_all_answered(serve):
    connection = await connect(await serve(lambda context, request: metadata()))
    answers = await asyncio.gather(*[connection.request(Metadata()) for _ in range(2000)])
    assert len(answers) == 2000
    await connection.close()


async def test_requests_in_flight_are_bounded(serve, until):
    waiting = []

    def dispatch(context, request):
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    connection = await connect(await serve(dispatch, in_flight_max=5))
    futures = [connection.request(Metadata()) for _ in range(12)]
    await until(lambda: len(waiting) == 5)
    other = await connect_again(connection)
    await other.request(ApiVersions())  # the loop has turned, and others are served
    assert len(waiting) == 5
    for index in range(12):
        await until(lambda index=index: len(waiting) > index)
        waiting[index].set_result(metadata())
    await asyncio.gather(*futures)
    await connection.close()
    await other.close()


async def test_a_waiting_request_counts_with_all_its_partitions(serve, until):
    """A thousand fetches of twenty thousand partitions each would be gigabytes of this process."""
    waiting = []

    def dispatch(context, request):
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    connection = await connect(await serve(dispatch))
    names = tuple(f"t{number}" for number in range(PARTS_WAITING_MAX // 2))
    futures = [connection.request(Metadata(topics=names)) for _ in range(5)]
    other = await connect_again(connection)
    for index in range(5):
        await until(lambda index=index: len(waiting) > index)
        await other.request(ApiVersions())
        assert len(waiting) <= index + 2
        waiting[index].set_result(metadata())
    await asyncio.gather(*futures)
    await connection.close()
    await other.close()


async def test_readers_that_do_not_read_are_cut_when_together_they_hold_too_much(serve, until):
    payload = bytes(8 << 20)
    response = FetchResponse(
        partitions=(FetchPartitionResponse(topic_id=TOPIC, partition=PartitionIndex(0), records=payload),)
    )
    server = await serve(lambda context, request: response, held_max_bytes=20 << 20)
    other = await connect(server)
    ask = ClientSession(response_max_bytes=16 << 20)
    fetch = Fetch(max_wait_ms=0, min_bytes=1, max_bytes=8 << 20, partitions=())
    with contextlib.ExitStack() as silent:
        for number in range(8):
            reader = silent.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            reader.sendall(PREFACE + b"".join(ask.encode_request(number, "silent", fetch)))
        await until(lambda: 1 < server.connections < 9)
        await until(lambda: server.held_bytes <= 20 << 20)
        await other.request(ApiVersions())
    await other.close()
    await until(lambda: server.connections == 0)


async def connect_again(connection: Connection) -> Connection:
    host, port = connection._transport.get_extra_info("peername")
    return await Connection.open(host, port, client_id="other")


async def test_who_does_not_read_is_not_answered_without_end(serve, until):
    asked = 0
    payload = bytes(1 << 20)

    def dispatch(context, request):
        nonlocal asked
        asked += 1
        return FetchResponse(
            partitions=(FetchPartitionResponse(topic_id=TOPIC, partition=PartitionIndex(0), records=payload),)
        )

    server = await serve(dispatch, unsent_max_bytes=4 << 20)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    session = ClientSession(response_max_bytes=1 << 30)
    fetches = [b"".join(session.encode_request(index, "slow", Fetch(partitions=()))) for index in range(200)]
    writer.write(PREFACE + b"".join(fetches))
    await until(lambda: asked > 3)
    other = await connect(server)
    for _ in range(20):
        await other.request(ApiVersions())
    assert asked < 100  # the kernel's buffers and 4 MiB, not 200 MiB
    total = sum([len(await reader.readexactly(8 + 4)) for _ in range(1)])
    while total < 200 << 20:
        piece = await reader.read(1 << 20)
        assert piece
        total += len(piece)
    assert asked == 200
    writer.close()
    await writer.wait_closed()
    await other.close()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"AMQP\x00\x00\x09\x01", "AMQP"),
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP"),
        (b"\x00\x00\x00\x20\x00\x12\x00\x00", "Kafka"),
        (PREFACE + struct.pack(">II", 1 << 31, 5), "exceeds"),
        (PREFACE + struct.pack(">II", 8, 4) + b"\xff\xff\xff\xff0000", "malformed"),
    ],
)
async def test_strangers_and_broken_frames_cost_their_own_connection_and_one_line(serve, probe, caplog, sent, said):
    server = await serve(lambda context, request: metadata())
    neighbour = await connect(server)
    await neighbour.request(Metadata())
    with caplog.at_level(logging.INFO, "raftkafka.network"):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert [said in record.message for record in caplog.records] == [True]
    assert probe.malformed == 1
    await neighbour.request(Metadata())
    await neighbour.close()


async def test_a_large_frame_is_refused_by_its_length_alone(serve):
    server = await serve(lambda context, request: produced(), request_max_bytes=1000)
    connection = await connect(server)
    with pytest.raises(ConnectionClosedError):
        await connection.request(produce(bytes(2000)))


async def test_a_fault_in_a_handler_is_logged_and_closes_one_connection(serve, caplog):
    def dispatch(context, request):
        if request.topics == ("bug",):
            raise ZeroDivisionError("a bug")
        return metadata()

    server = await serve(dispatch)
    connection, neighbour = await connect(server), await connect(server)
    with pytest.raises(ConnectionClosedError):
        await connection.request(Metadata(topics=("bug",)))
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info[0] is ZeroDivisionError
    await neighbour.request(Metadata())
    await neighbour.close()


async def test_a_fault_in_a_coroutine_is_logged_and_closes_one_connection(serve, caplog):
    async def dispatch_later():
        raise ZeroDivisionError("a bug")

    connection = await connect(await serve(lambda context, request: dispatch_later()))
    with pytest.raises(ConnectionClosedError):
        await connection.request(Metadata())
    assert [record.exc_info[0] for record in caplog.records if record.levelno == logging.ERROR] == [ZeroDivisionError]


async def test_a_response_that_cannot_be_written_closes_the_connection_too(serve, caplog):
    async def later():
        return metadata(name=object())

    for answer in (lambda context, request: metadata(name=object()), lambda context, request: later()):
        caplog.clear()
        connection = await connect(await serve(answer))
        with pytest.raises(ConnectionClosedError):
            await connection.request(Metadata())
        assert ["fault of this node" in record.message for record in caplog.records] == [True]


async def test_who_says_nothing_is_closed(serve, until):
    server = await serve(lambda context, request: metadata(), handshake_timeout_ms=20)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert await reader.read() == b""
    writer.close()
    await until(lambda: server.connections == 0)


async def test_idle_connections_are_closed_but_waiting_ones_are_not(serve, until):
    waiting = []

    def dispatch(context, request):
        if request.topics is None:
            return metadata()
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    server = await serve(dispatch, handshake_timeout_ms=500, idle_timeout_ms=300)
    idle, patient = await connect(server), await connect(server)
    answer = patient.request(Metadata(topics=("later",)))
    await idle.request(Metadata())
    await until(lambda: idle.closed)
    waiting[0].set_result(metadata("late"))
    assert (await answer).cluster_id == "late"
    await until(lambda: patient.closed)


async def test_an_answer_for_who_has_gone_is_dropped(serve, until, caplog):
    waiting = []

    def dispatch(context, request):
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    server = await serve(dispatch)
    connection = await connect(server)
    pending = connection.request(Metadata())
    await until(lambda: bool(waiting))
    connection.abort()
    await until(lambda: server.connections == 0)
    waiting[0].set_result(metadata())
    with pytest.raises(ConnectionClosedError):
        await pending
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


class Heard:
    """An answer that calls back, at once when it is there."""

    def __await__(self):
        raise AssertionError("whoever can hear does not await")
        yield

    def hear(self, on_answer):
        self.end = on_answer


async def test_answers_that_call_back_leave_at_once_and_in_order(serve, until):
    waiting = []

    def dispatch(context, request):
        waiting.append(Heard())
        return waiting[-1]

    server = await serve(dispatch)
    connection = await connect(server)
    futures = [connection.request(Metadata(topics=(name,))) for name in "abc"]
    await until(lambda: len(waiting) == 3)
    for place in (2, 0, 1):
        waiting[place].end(metadata("abc"[place]))
    assert [(await future).cluster_id for future in futures] == ["a", "b", "c"]
    last = connection.request(Metadata())
    await until(lambda: len(waiting) == 4)
    connection.abort()
    await until(lambda: server.connections == 0)
    waiting[3].end(metadata())  # nobody is there, and who tells is not to care
    with pytest.raises(ConnectionClosedError):
        await last


async def test_who_calls_back_does_not_hear_of_faults_of_the_connection(serve, until, caplog):
    waiting = []

    def dispatch(context, request):
        waiting.append(Heard())
        return waiting[-1]

    server = await serve(dispatch)
    connection, neighbour = await connect(server), await connect(server)
    failing, other = connection.request(Metadata()), neighbour.request(Metadata())
    await until(lambda: len(waiting) == 2)
    for answer in waiting:
        answer.end(metadata(name=object()) if answer is waiting[0] else metadata("well"))
    results = await asyncio.gather(failing, other, return_exceptions=True)
    assert sorted(type(each).__name__ for each in results) == ["ConnectionClosedError", "MetadataResponse"]
    assert ["fault of this node" in record.message for record in caplog.records] == [True]
    await neighbour.close()


async def test_who_is_throttled_is_answered_at_once_and_not_listened_to_meanwhile(serve):
    loop = asyncio.get_running_loop()
    taken = []

    def dispatch(context, request):
        taken.append(loop.time())
        if len(taken) == 1:
            context.throttled_s = 0.3
        return metadata()

    connection = await connect(await serve(dispatch))
    first, second = connection.request(Metadata()), connection.request(Metadata())
    await first
    assert len(taken) == 1
    third = connection.request(Metadata())
    await asyncio.gather(second, third)
    assert taken[1] - taken[0] >= 0.29
    other = await connect(await serve(dispatch))
    await other.request(Metadata())
    for each in (connection, other):
        await each.close()


async def test_a_throttle_that_comes_with_a_late_answer_counts_from_then_on(serve):
    loop = asyncio.get_running_loop()
    taken, waiting = [], loop.create_future()

    def dispatch(context, request):
        taken.append(loop.time())
        if len(taken) > 1:
            return metadata()

        async def later():
            answer = await waiting
            context.throttled_s = 0.3
            return answer

        return later()

    connection = await connect(await serve(dispatch))
    first = connection.request(Metadata())
    loop.call_later(0.01, waiting.set_result, metadata())
    await first
    began = loop.time()
    await connection.request(Metadata())
    assert taken[1] - began >= 0.28
    await connection.close()


async def test_a_throttle_outlasts_the_idle_time_and_ends_with_the_connection(serve):
    def dispatch(context, request):
        context.throttled_s = 0.5
        return None if isinstance(request, Produce) else metadata()

    server = await serve(dispatch, idle_timeout_ms=100)
    connection = await connect(server)
    await connection.request(Metadata())
    # Muted for longer than it may be idle, and asked for something all that time: it is no idle connection.
    await connection.request(Metadata())
    connection.send(produce(b"x", acks=0))
    await connection.close()
    await server.stop()
