"""A listener on loopback, and what it serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from raftkafka.listeners.http.access import Access
from raftkafka.listeners.http.app import NodeApp
from raftkafka.listeners.http.hosts import AllowedHosts
from raftkafka.listeners.http.limits import HttpLimits
from raftkafka.listeners.http.server import HttpServer
from raftkafka.model.settings.values import Listener
from raftkafka.ports.access import CALLER

LOCAL = Listener(name="HTTP", host="127.0.0.1", port=0)
LOCAL_NAMES = AllowedHosts(loopback=True, names=frozenset())
COOKIE = "raftkafka_test"


class Pages:
    """Stands for the console: says what was asked, streams for ever at /stream, and answers at /slow when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cancelled = 0
        self.go = asyncio.Event()
        self.stopped = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.asked.append(f"{request.method} {scope['path']}")
        if scope["path"] == "/stream":
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
            )
            await self._until_cancelled(send)
        if scope["path"] == "/slow":
            await self._until_cancelled(None)
        if scope["path"] == "/big":
            await Response(b"x" * 5_000_000)(scope, receive, send)
            return
        caller = scope["state"].get(CALLER)
        await PlainTextResponse("" if caller is None else repr(caller.user))(scope, receive, send)

    async def stop(self) -> None:
        self.stopped = True

    async def _until_cancelled(self, send: Send | None) -> None:
        try:
            while not self.go.is_set():
                if send is not None:
                    await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


@dataclass
class World:
    """A listener, and everything that it was made of."""

    server: HttpServer
    access: Access
    pages: Pages
    ready: tuple[bool, str] = (True, "ready")
    metrics: bytes = b"raftkafka_partitions 3.0\n"
    clock: list[float] = field(default_factory=lambda: [0.0])

    @property
    def port(self) -> int:
        return self.server.port


Make = Callable[..., Awaitable[World]]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """`await make(token=..., hosts=..., limits=..., listener=..., console=True)`: started, and stopped in the end."""
    made: list[World] = []

    async def build(
        *,
        token: bytes | None = None,
        hosts: AllowedHosts = LOCAL_NAMES,
        limits: HttpLimits | None = None,
        listener: Listener = LOCAL,
        console: bool = True,
    ) -> World:
        clock = [0.0]
        access = Access(token=token, cookie_name=COOKIE, now=lambda: clock[0])
        pages = Pages()
        app = NodeApp(
            metrics=lambda: [world.metrics[:7], world.metrics[7:]],
            ready=lambda: world.ready,
            hosts=hosts,
            access=access,
            console=(lambda: pages) if console else None,
        )
        world = World(HttpServer(listener=listener, app=app, limits=limits), access, pages, clock=clock)
        await world.server.start()
        made.append(world)
        return world

    yield build
    for world in made:
        await world.server.stop()


@pytest.fixture
async def world(make: Make) -> World:
    return await make()


async def exchange(port: int, request: bytes) -> bytes:
    """Everything the server says to `request`, until it closes its side."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


def request_of(path: str, *, method: str = "GET", host: str = "localhost", body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "User-Agent: test", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)
