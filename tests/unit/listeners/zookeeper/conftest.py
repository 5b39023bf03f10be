"""A ZooKeeper listener on a free port, a service whose answers the test gives, and clients that are raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from raftkafka.adapters.clock import SystemClock
from raftkafka.listeners.zookeeper.server import ZooKeeperLimits, ZooKeeperServer
from raftkafka.model.settings.values import Listener
from raftkafka.model.zookeeper.ops import Create, CreateResult, Delete, DeleteResult
from raftkafka.model.zookeeper.requests import (
    Auth,
    CloseSession,
    Done,
    Ping,
    Reply,
    Request,
    Sync,
    SyncResult,
    WhoAmI,
    WhoAmIResult,
)
from raftkafka.model.zookeeper.sessions import ConnectRequest, ConnectResponse
from raftkafka.model.zookeeper.status import SessionStatus, TreeStatus
from raftkafka.wire.zookeeper.session import ClientSession

PASSWORD = b"0123456789abcdef"


class Service:
    """Answers at once, but for changes while `held` and for what `answers` says otherwise."""

    def __init__(self) -> None:
        self.links = []
        self.connects: list[ConnectRequest] = []
        self.asked: list[Request] = []
        self.waiting: list[Callable[[Reply], None]] = []
        self.gone_links = []
        self.heard_count = 0
        self.held = False
        self.response: ConnectResponse | None = ConnectResponse(timeout_ms=10_000, session_id=0x77, password=PASSWORD)
        self.answer_connects = True
        self.answers: dict[type, Callable[[Request], Reply]] = {}

    def connect(self, link, request, answer):
        self.links.append(link)
        self.connects.append(request)
        if self.answer_connects:
            answer(self.response)

    def heard(self, link):
        self.heard_count += 1

    def handle(self, link, request, answer):
        self.asked.append(request)
        if self.held and isinstance(request, Create | Delete):
            self.waiting.append(answer)
        else:
            answer(self.reply(request))

    def reply(self, request: Request) -> Reply:
        if type(request) in self.answers:
            return self.answers[type(request)](request)
        match request:
            case Create():
                return Reply(answer=CreateResult(path=request.path), zxid=len(self.asked))
            case Delete():
                return Reply(answer=DeleteResult(), zxid=len(self.asked))
            case Sync():
                return Reply(answer=SyncResult(path=request.path), zxid=len(self.asked))
            case WhoAmI():
                return Reply(answer=WhoAmIResult(identities=()))
            case Ping() | CloseSession() | Auth():
                return Reply(answer=Done(), zxid=1)
        raise RuntimeError(f"a bug behind the port: {request}")

    def gone(self, link):
        self.gone_links.append(link)

    def status(self) -> TreeStatus:
        return TreeStatus(
            serving=True,
            mode="follower",
            zxid=0x1_0000_0007,
            znodes=12,
            ephemerals=1,
            data_bytes=345,
            watches=3,
            watching=1,
            watched=2,
            sessions=2,
            server_id=1,
        )

    def sessions(self):
        return (SessionStatus(session_id=0x77, timeout_ms=10_000, ephemerals=("/e",), watches=("/a", "/b")),)


class Client:
    """One socket. `next` gives what the server sends, in order; None at the end of the connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.session = ClientSession()
        self._found = []
        self._received = b""

    def send(self, *requests: Request, first_xid: int = 1) -> None:
        self.writer.write(
            b"".join(self.session.encode_request(xid, each) for xid, each in enumerate(requests, first_xid))
        )

    async def next(self):
        async with asyncio.timeout(10):
            while not self._found:
                received = await self._read()
                if not received:
                    return None
                self._received += received
                self._found, consumed = self.session.receive(memoryview(self._received))
                self._received = self._received[consumed:]
        return self._found.pop(0)

    async def _read(self) -> bytes:
        try:
            return await self.reader.read(1 << 16)
        except ConnectionResetError:
            return b""

    async def answers(self, count: int) -> list:
        return [(await self.next()).reply.answer for _ in range(count)]

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):  # cut by the server, as some tests want it
            await self.writer.wait_closed()


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def port(service, probe) -> AsyncIterator[Callable]:
    """Starts a listener; `connect` opens a socket to it, with a session unless `raw`."""
    servers, clients = [], []

    class Port:
        server: ZooKeeperServer

        async def start(self, *, host="127.0.0.1", writable=None, **limits) -> ZooKeeperServer:
            self.server = ZooKeeperServer(
                listener=Listener(name="ZOOKEEPER", host=host, port=0),
                service=service,
                limits=ZooKeeperLimits(**limits),
                probe=probe,
                clock=SystemClock(),
                writable=writable,
                conf=lambda: (("clientPort", 2181), ("maxSessionTimeout", 40_000)),
            )
            await self.server.start()
            servers.append(self.server)
            return self.server

        async def connect(self, *, raw: bool = False) -> Client:
            client = Client(*await asyncio.open_connection("127.0.0.1", self.server.port))
            clients.append(client)
            if not raw:
                client.writer.write(client.session.encode_connect(ConnectRequest(timeout_ms=10_000)))
                assert await client.next() == service.response
            return client

    yield Port()
    for client in clients:
        await client.close()
    for server in servers:
        await server.stop()
