"""The HTTP listener: two paths, and everything a stranger may try on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from raftkafka.listeners.http import CONNECTIONS_MAX, REQUEST_MAX_BYTES, HttpServer
from raftkafka.model.errors import StartupError
from raftkafka.model.settings.values import Listener

LOCAL = Listener(name="HTTP", host="127.0.0.1", port=0)


class Node:
    """What the server asks about."""

    ready = (True, "ready")
    metrics = b"raftkafka_partitions 3.0\n"


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
async def server(node: Node) -> AsyncIterator[HttpServer]:
    server = HttpServer(listener=LOCAL, metrics=lambda: node.metrics, ready=lambda: node.ready)
    await server.start()
    yield server
    await server.stop()


async def exchange(port: int, request: bytes) -> bytes:
    """Everything the server says to `request`, until it closes its side."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


def get(path: str, *, host: str = "localhost", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: test\r\n\r\n".encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


async def test_metrics(server: HttpServer) -> None:
    answer = await exchange(server.port, get("/metrics"))
    assert status(answer) == 200
    assert b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n" in answer
    assert b"Content-Length: 25\r\n" in answer
    assert body(answer) == b"raftkafka_partitions 3.0\n"


async def test_a_large_answer_arrives_whole(server: HttpServer, node: Node) -> None:
    node.metrics = b"x" * 3_000_000
    assert body(await exchange(server.port, get("/metrics"))) == node.metrics


async def test_head_has_no_body(server: HttpServer) -> None:
    answer = await exchange(server.port, get("/metrics", method="HEAD"))
    assert status(answer) == 200
    assert b"Content-Length: 25\r\n" in answer
    assert body(answer) == b""


async def test_health(server: HttpServer, node: Node) -> None:
    assert body(await exchange(server.port, get("/health/live"))) == b"alive\n"
    assert status(await exchange(server.port, get("/health/ready?verbose"))) == 200
    node.ready = (False, "not registered yet")
    answer = await exchange(server.port, get("/health/ready"))
    assert status(answer) == 503
    assert body(answer) == b"not registered yet\n"


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (get("/"), 404),
        (get("/metrics/../etc/passwd"), 404),
        (get("/metrics", method="POST"), 405),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
        (b"GET /metrics\r\n\r\n", 400),
        (b"\x00\x00\x00\x10 garbage\r\n\r\n", 400),
        (get("/metrics", host="evil.example"), 421),
        (get("/metrics", host="127.0.0.1.evil.example"), 421),
        (get("/metrics", host="LOCALHOST:9644"), 200),
        (get("/metrics", host="[::1]:9644"), 200),
        (get("/metrics", host="127.0.0.1:9644"), 200),
        (b"GET /" + b"a" * REQUEST_MAX_BYTES, 431),
    ],
)
async def test_answers_by_request(server: HttpServer, request_bytes: bytes, expected: int) -> None:
    assert status(await exchange(server.port, request_bytes)) == expected


async def test_any_name_is_served_beyond_loopback(node: Node) -> None:
    server = HttpServer(
        listener=Listener(name="HTTP", host="", port=0), metrics=lambda: node.metrics, ready=lambda: node.ready
    )
    await server.start()
    try:
        assert status(await exchange(server.port, get("/metrics", host="node1.example"))) == 200
    finally:
        await server.stop()


async def test_a_request_in_pieces(server: HttpServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for byte in get("/health/live"):
        writer.write(bytes([byte]))
        await writer.drain()
    assert status(await asyncio.wait_for(reader.read(), 20)) == 200
    writer.close()


async def test_a_silent_connection_is_cut_at_its_deadline(node: Node) -> None:
    server = HttpServer(listener=LOCAL, metrics=lambda: b"", ready=lambda: node.ready, deadline_s=0.05)
    await server.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /metrics HTT")
        with contextlib.suppress(ConnectionResetError):  # an orderly end is as good as a reset
            assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
    finally:
        await server.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def test_too_many_connections_are_refused_and_room_comes_back(server: HttpServer) -> None:
    writers = [(await asyncio.open_connection("127.0.0.1", server.port))[1] for _ in range(CONNECTIONS_MAX)]
    await until(lambda: len(server._connections) == CONNECTIONS_MAX)
    with contextlib.suppress(ConnectionResetError):
        assert await exchange(server.port, b"") == b""
    for writer in writers:
        writer.close()
    await until(lambda: not server._connections)
    assert status(await exchange(server.port, get("/health/live"))) == 200


async def test_a_port_in_use_is_a_startup_error(server: HttpServer) -> None:
    other = HttpServer(
        listener=Listener(name="HTTP", host="127.0.0.1", port=server.port), metrics=bytes, ready=lambda: (True, "")
    )
    with pytest.raises(StartupError, match=rf"127\.0\.0\.1:{server.port}: the port is in use"):
        await other.start()
    await other.stop()
