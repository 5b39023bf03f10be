"""Fifty thousand watches of one ZooKeeper connection, and a change of the metadata that fires a thousand of them.

A topic with a thousand partitions is there, each state of which is watched by getData; the rest are watches of nodes that are not
there, by exists: they take as much room, and 50,000 partitions on one node would be measured along with them. The change is the
deletion of the topic through the port, by another connection; its clock starts when that is sent and stops with the last event.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from benchmarks.cluster_view import create_topic
from benchmarks.figures import Figure
from benchmarks.nodes import NodeProcess, all_ready, cluster, free_ports
from benchmarks.scenarios.plan import Plan
from raftkafka.model.zookeeper.acl import OPEN_ACL
from raftkafka.model.zookeeper.events import EventType, WatchedEvent
from raftkafka.model.zookeeper.ops import Create, ErrorResult
from raftkafka.model.zookeeper.requests import Exists, GetData, GetDataResult, Request
from raftkafka.model.zookeeper.sessions import ConnectRequest, ConnectResponse
from raftkafka.wire.zookeeper.session import ClientSession, Outcome

WATCHES = 50_000
FIRED = 1_000
TOPICS = "/brokers/topics"
UNDER_WAY = 1_000
"""Requests that are sent before their answers are waited for."""
GIVE_UP_S = 30.0
SETTLE_S = 1.0


async def run(plan: Plan) -> list[Figure]:
    fired = plan.number(FIRED)
    others = plan.number(WATCHES) - fired
    memory = Figure(name=f"memory added by {fired + others:,} watches", unit="MB", target=100, lower_is_better=True)
    setting = Figure(name=f"setting {fired + others:,} watches", unit="s", lower_is_better=True)
    firing = Figure(name=f"a change that fires {fired:,} watches", unit="ms", target=100, lower_is_better=True)
    for _ in range(plan.runs):
        await _one(plan.directory, fired, others, memory, setting, firing)
    return [memory, setting, firing]


async def _one(directory: Path, fired: int, others: int, memory: Figure, setting: Figure, firing: Figure) -> None:
    [port] = free_ports(1)
    with cluster(1, parent=directory, zookeeper_listener=f"127.0.0.1:{port}") as nodes:
        await all_ready(nodes)
        await create_topic(nodes[0], "watched", partitions=fired, replicas=1)
        watcher, tool = await _connected(port), await _connected(port)
        states = [f"{TOPICS}/watched/partitions/{at}/state" for at in range(fired)]
        await _warm(watcher, nodes[0], states[-1])
        before_mb = nodes[0].resident_mb()
        began = time.perf_counter()
        seen = await watcher.ask([GetData(path=path, watch=True) for path in states])
        if not all(isinstance(each, GetDataResult) for each in seen):
            raise RuntimeError(f"a state was not read: {seen[0]}")
        absent = [f"{TOPICS}/topic-{at // 50}/partitions/{at % 50}/state" for at in range(others)]
        await watcher.ask([Exists(path=path, watch=True) for path in absent])
        setting.runs.append(time.perf_counter() - began)
        await asyncio.sleep(SETTLE_S)
        memory.runs.append(nodes[0].resident_mb() - before_mb)
        firing.runs.append(await _fire(watcher, tool, states) * 1e3)
        tool.close()
        watcher.close()


async def _warm(watcher: _Client, node: NodeProcess, path: str) -> None:
    """Until the last partition is there, and what is imported and allocated once has been."""
    deadline = time.monotonic() + GIVE_UP_S
    while isinstance((await watcher.ask([GetData(path=path, watch=False)]))[0], ErrorResult):
        if time.monotonic() > deadline:
            raise RuntimeError("the topic is not there")
        await asyncio.sleep(0.1)
    await watcher.ask([Exists(path="/none", watch=False)] * UNDER_WAY)
    await asyncio.sleep(2 * SETTLE_S)


async def _fire(watcher: _Client, tool: _Client, paths: list[str]) -> float:
    """Seconds until everybody who watches one of these paths has heard that it is gone."""
    missing = set(paths)
    over = asyncio.Event()

    def heard(event: WatchedEvent) -> None:
        assert event.kind is EventType.NODE_DELETED
        missing.discard(event.path)
        if not missing:
            over.set()

    watcher.heard = heard
    began = time.perf_counter()
    asked = asyncio.ensure_future(tool.ask([Create(path="/admin/delete_topics/watched", data=None, acl=OPEN_ACL)]))
    async with asyncio.timeout(GIVE_UP_S):
        await over.wait()
    took_s = time.perf_counter() - began
    [answer] = await asked
    if isinstance(answer, ErrorResult):
        raise RuntimeError(f"the topic was not deleted: {answer}")
    return took_s


class _Client(asyncio.Protocol):
    """One session. `heard` is called with each event."""

    def __init__(self) -> None:
        self.heard: Callable[[WatchedEvent], None] = lambda event: None
        self._session = ClientSession()
        self._buffer = bytearray()
        self._waiting: deque[asyncio.Future[object]] = deque()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's are only shaped like asyncio.Transport

    def connection_lost(self, exc: Exception | None) -> None:
        for each in self._waiting:
            if not each.done():
                each.set_exception(ConnectionError("the node has closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        found, consumed = self._session.receive(memoryview(bytes(self._buffer)))
        del self._buffer[:consumed]
        for each in found:
            if isinstance(each, WatchedEvent):
                self.heard(each)
            else:
                self._waiting.popleft().set_result(each)

    async def open(self) -> None:
        response = await self._send([self._session.encode_connect(ConnectRequest(timeout_ms=40_000))])
        assert isinstance(response[0], ConnectResponse)
        if response[0].refused:
            raise RuntimeError("no session was opened")

    async def ask(self, requests: list[Request]) -> list[object]:
        """Their answers."""
        answers: list[object] = []
        for at in range(0, len(requests), UNDER_WAY):
            part = requests[at : at + UNDER_WAY]
            outcomes = await self._send([self._session.encode_request(at + n + 1, each) for n, each in enumerate(part)])
            answers += [each.reply.answer for each in outcomes if isinstance(each, Outcome)]
        return answers

    async def _send(self, frames: list[bytes]) -> list[object]:
        loop = asyncio.get_running_loop()
        waiting = [loop.create_future() for _ in frames]
        self._waiting += waiting
        assert self._transport is not None
        self._transport.write(b"".join(frames))
        return [await each for each in waiting]

    def close(self) -> None:
        assert self._transport is not None
        self._transport.abort()


async def _connected(port: int) -> _Client:
    _, client = await asyncio.get_running_loop().create_connection(_Client, "127.0.0.1", port)
    await client.open()
    return client
