"""A running server on a free port with a dispatch of the test's choice, and raw sockets to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from raftkafka.listeners.server import BrokerServer
from raftkafka.model.ids import NodeId
from raftkafka.model.settings.values import Listener, NetworkSettings
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.ports.probe import NullProbe

BOTH_LOOPS = {"test_busy_polling", "test_connection", "test_authentication", "test_server", "test_zookeeper_connection"}


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(config, item):
    """A node runs on uvloop, an embedding program may not: the connection shell is tested on both."""
    if item.path.stem in BOTH_LOOPS:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


class CountingProbe(NullProbe):
    def __init__(self) -> None:
        self.opened = self.closed = self.malformed = 0
        self.zookeeper: list[tuple[str, ZkErrorCode]] = []

    def connection_opened(self, listener: str) -> None:
        self.opened += 1

    def connection_closed(self, listener: str) -> None:
        self.closed += 1

    def malformed_frame(self, listener: str) -> None:
        self.malformed += 1

    def zookeeper_request(self, operation: str, error: ZkErrorCode, seconds: float) -> None:
        assert seconds >= 0
        self.zookeeper.append((operation, error))


@pytest.fixture
def probe() -> CountingProbe:
    return CountingProbe()


@pytest.fixture
async def serve(probe) -> AsyncIterator[Callable[..., Awaitable[BrokerServer]]]:
    servers = []

    async def start(
        dispatch,
        *,
        secret: bytes = b"",
        authentication_required: bool = False,
        held_max_bytes=1 << 30,
        busy_poll=None,
        **settings: int,
    ):
        server = BrokerServer(
            listener=Listener(name="PLAINTEXT", host="127.0.0.1", port=0),
            dispatch=dispatch,
            settings=NetworkSettings(**settings),
            node_id=NodeId(2),
            cluster_secret=secret,
            probe=probe,
            authentication_required=authentication_required,
            held_max_bytes=held_max_bytes,
            busy_poll=busy_poll,
        )
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.002)

    return wait
