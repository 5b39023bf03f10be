"""The HTTP listener: two paths, a console behind it, and everything a stranger may try on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from raftkafka.listeners.http.hosts import AllowedHosts
from raftkafka.listeners.http.limits import HttpLimits
from raftkafka.model.errors import StartupError
from raftkafka.model.settings.values import Listener
from tests.unit.listeners.http.conftest import Make, World, body, exchange, request_of, status, until


async def test_metrics(world: World) -> None:
    answer = await exchange(world.port, request_of("/metrics"))
    assert status(answer) == 200
    assert b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n" in answer
    assert b"content-length: 25\r\n" in answer
    assert body(answer) == b"raftkafka_partitions 3.0\n"


async def test_a_large_answer_arrives_whole(world: World) -> None:
    world.metrics = b"x" * 3_000_000
    assert body(await exchange(world.port, request_of("/metrics"))) == world.metrics


async def test_head_has_no_body(world: World) -> None:
    answer = await exchange(world.port, request_of("/metrics", method="HEAD"))
    assert status(answer) == 200
    assert b"content-length: 25\r\n" in answer
    assert body(answer) == b""


async def test_health(world: World) -> None:
    assert body(await exchange(world.port, request_of("/health/live"))) == b"alive\n"
    assert status(await exchange(world.port, request_of("/health/ready?verbose"))) == 200
    world.ready = (False, "not registered yet")
    answer = await exchange(world.port, request_of("/health/ready"))
    assert status(answer) == 503
    assert body(answer) == b"not registered yet\n"


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (request_of("/"), 200),
        (request_of("/metrics", method="POST"), 405),
        (request_of("/", method="POST"), 405),
        (request_of("/", method="OPTIONS"), 405),
        (b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
        (b"GET /metrics\r\n\r\n", 400),
        (b"\x00\x00\x00\x10 garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (request_of("/", Transfer_Encoding="chunked", Content_Length="5"), 400),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (request_of("/metrics", host="evil.example"), 421),
        (request_of("/", host="evil.example"), 421),
        (request_of("/metrics", host="127.0.0.1.evil.example"), 421),
        (request_of("/metrics", host="LOCALHOST:9644"), 200),
        (request_of("/metrics", host="[::1]:9644"), 200),
        (request_of("/metrics", host="127.0.0.1:9644"), 200),
        (b"GET /" + b"a" * HttpLimits().head_max_bytes, 431),
        (request_of("/" + "a" * HttpLimits().head_max_bytes), 431),
        (request_of("/?" + "a" * HttpLimits().head_max_bytes), 431),
        (request_of("/", X="a" * HttpLimits().head_max_bytes), 431),
    ],
)
async def test_answers_by_request(world: World, request_bytes: bytes, expected: int) -> None:
    answer = await exchange(world.port, request_bytes)
    assert status(answer) == expected
    assert b"x-content-type-options: nosniff" in answer.lower()
    assert b"default-src 'self'" in answer


async def test_a_body_of_two_lengths_hides_no_request(world: World) -> None:
    hidden = b"0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % len(
        hidden
    )
    answer = await exchange(world.port, head + hidden)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer.lower()


async def test_escapes_in_a_path_reach_nothing_else(world: World) -> None:
    for path in ("/%6detrics", "/health%2Flive", "/x/../metrics"):
        assert body(await exchange(world.port, request_of(path))) == b""
    assert world.pages.asked == ["GET /%6detrics", "GET /health%2Flive", "GET /x/../metrics"]


async def test_without_a_console_there_are_metrics_and_health_only(make: Make) -> None:
    world = await make(console=False)
    assert status(await exchange(world.port, request_of("/metrics"))) == 200
    for path in ("/", "/api/v1/topics", "/api/v1/session"):
        answer = await exchange(world.port, request_of(path))
        assert status(answer) == 404
        assert b"there are /metrics" in answer


async def test_any_name_is_served_where_it_is_allowed(make: Make) -> None:
    every = AllowedHosts(loopback=False, names=frozenset(), every=True)
    world = await make(listener=Listener(name="HTTP", host="", port=0), hosts=every)
    assert status(await exchange(world.port, request_of("/metrics", host="node1.example"))) == 200


async def test_a_request_in_pieces(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    for byte in request_of("/health/live"):
        writer.write(bytes([byte]))
        await writer.drain()
    assert status(await asyncio.wait_for(reader.read(), 20)) == 200
    writer.close()


async def test_a_connection_serves_one_request_after_the_other(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    writer.write(request * 3)
    for _ in range(3):
        assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"alive\n"), 20)
    writer.close()


async def test_an_idle_connection_is_closed(make: Make) -> None:
    world = await make(limits=HttpLimits(idle_s=0.05))
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"alive" in await asyncio.wait_for(reader.read(), 20)
    writer.close()


@pytest.mark.parametrize("sent", [b"GET /metrics HTT", request_of("/slow")[:-1], request_of("/slow")])
async def test_a_slow_connection_is_cut_at_its_deadline(make: Make, sent: bytes) -> None:
    world = await make(limits=HttpLimits(head_s=0.05, exchange_s=0.05))
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(sent)
    with contextlib.suppress(ConnectionResetError):  # an orderly end is as good as a reset
        assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()
    await until(lambda: world.server.connections == 0)
    assert world.pages.cancelled == len(world.pages.asked)


async def test_who_reads_slowly_is_cut(make: Make) -> None:
    world = await make(limits=HttpLimits(head_s=0.1, exchange_s=0.1))
    world.metrics = b"x" * 20_000_000
    _, writer = await asyncio.open_connection("127.0.0.1", world.port, limit=1024)
    writer.write(request_of("/metrics"))
    await until(lambda: world.server.connections == 1)
    await until(lambda: world.server.connections == 0)
    writer.close()


async def test_a_stream_outlives_the_deadline_and_ends_with_its_connection(make: Make) -> None:
    world = await make(limits=HttpLimits(head_s=0.1, exchange_s=0.1))
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(request_of("/stream"))
    loop = asyncio.get_running_loop()
    started = loop.time()
    while loop.time() - started < 0.5:
        assert await asyncio.wait_for(reader.read(100), 20)
    writer.close()
    await until(lambda: world.pages.cancelled == 1)
    await until(lambda: world.server.connections == 0)


async def test_too_many_connections_are_told_so_and_room_comes_back(make: Make) -> None:
    world = await make(limits=HttpLimits(connections_max=3, refusals_max=2, refusal_s=5))
    held = [await asyncio.open_connection("127.0.0.1", world.port) for _ in range(3)]
    await until(lambda: world.server.connections == 3)
    refused = [await asyncio.open_connection("127.0.0.1", world.port) for _ in range(2)]
    for reader, _ in refused:
        answer = await asyncio.wait_for(reader.read(), 20)
        assert status(answer) == 503
        assert b"TOO_MANY_CONNECTIONS" in answer
    with contextlib.suppress(ConnectionResetError):
        assert await exchange(world.port, b"") == b""
    for _, writer in [*held, *refused]:
        writer.close()
    await until(lambda: world.server.connections == 0)
    assert status(await exchange(world.port, request_of("/health/live"))) == 200


async def test_a_refused_body_is_read_so_that_the_answer_arrives(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    size = 4_000_000
    writer.write(f"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode())
    for _ in range(size // 40_000):
        writer.write(b"x" * 40_000)
        await writer.drain()
    assert b"405" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    writer.close()


async def test_garbage_while_a_stream_runs_ends_it_quietly(world: World, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(b"GET /stream HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b"data: x"), 20)
    writer.write(b"this is no chunk\r\n")
    await until(lambda: world.server.connections == 0 and world.pages.cancelled == 1)
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    writer.close()


async def test_stop_cuts_what_is_open(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    world = await make()
    connections = []
    for path in ("/stream", "/slow", "/health/live"):
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        connections.append((reader, writer))
    await until(lambda: len(world.pages.asked) == 2)
    await asyncio.wait_for(world.server.stop(), 20)
    assert world.pages.cancelled == 2
    assert world.pages.stopped
    assert world.server.connections == 0
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    for reader, writer in connections:
        with contextlib.suppress(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 20)
        writer.close()


async def test_a_port_in_use_is_a_startup_error(world: World, make: Make) -> None:
    with pytest.raises(StartupError, match=rf"127\.0\.0\.1:{world.port}: the port is in use"):
        await make(listener=Listener(name="HTTP", host="127.0.0.1", port=world.port))
