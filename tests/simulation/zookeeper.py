"""ZooKeeper's clients under faults: `python -m tests.simulation.zookeeper --seeds 100 --first 1`.

A scenario of its own, so that the draws of the ordinary seeds stay as they are. Clients die, sleep and are cut off, and take their
sessions up at other nodes; nodes are killed, paused and cut off meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import deque
from dataclasses import replace
from random import Random
from typing import Any

from raftkafka.model.errors import ProtocolError
from raftkafka.model.settings.values import Listener, ZooKeeperSettings
from raftkafka.model.zookeeper.acl import OPEN_ACL
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.events import AddWatchMode, EventType, WatchedEvent
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import Create, CreateResult, ErrorResult, SetData, SetDataResult
from raftkafka.model.zookeeper.requests import AddWatch, Answer, GetData, GetDataResult, Ping, Request, SetWatches, Sync
from raftkafka.model.zookeeper.sessions import NO_PASSWORD, NO_SESSION, ConnectRequest, ConnectResponse
from raftkafka.wire.zookeeper.session import ClientSession, Outcome
from tests.simulation.checkers.zookeeper import ENDS_WITHIN_S, Kind, Look, Told, ZkHistory, violations
from tests.simulation.loop import Incarnation
from tests.simulation.world import World

PORT = 2181
TIMEOUT_S = 4.0
FAULTS_S = 20.0
CLIENTS = 4
PATHS = tuple(f"/plain{number}" for number in range(3))
NUMBERS = "/numbers"
EPHEMERALS = "/live"
LOST = (OSError, EOFError, ProtocolError)
"""What a client takes for a lost connection; TimeoutError is an OSError."""


class Connection(asyncio.Protocol):
    """What arrives is told in `arrived` at once, so that it stands in the history in its order."""

    def __init__(self, arrived: Any) -> None:
        self._arrived = arrived
        self._session = ClientSession()
        self._buffer = bytearray()
        self._found: deque[ConnectResponse | Outcome] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._over = False
        self._xid = 0
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        found, consumed = self._session.receive(memoryview(bytes(self._buffer)))
        del self._buffer[:consumed]
        for each in found:
            if isinstance(each, WatchedEvent):
                self._arrived(each)
            else:
                self._found.append(each)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _next(self) -> Any:
        async with asyncio.timeout(TIMEOUT_S * 2 / 3):
            while not self._found:
                if self._over:
                    raise EOFError
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
        return self._found.popleft()

    async def open(self, request: ConnectRequest) -> ConnectResponse:
        self.transport.write(self._session.encode_connect(request))
        response = await self._next()
        assert isinstance(response, ConnectResponse)
        return response

    async def ask(self, request: Request) -> tuple[int, Answer]:
        self._xid += 1
        self.transport.write(self._session.encode_request(self._xid, request))
        outcome = await self._next()
        return outcome.reply.zxid, outcome.reply.answer


class Client:
    def __init__(self, world: World, history: ZkHistory, name: str, random: Random) -> None:
        self.world, self.history, self.random = world, history, random
        self.process = Incarnation(name)
        self.session = NO_SESSION
        self._password = NO_PASSWORD
        self._connection: Connection | None = None
        self._number = 0
        self._zxid = 0
        self._made = 0
        self._watched: dict[str, int] = {}
        self._told_of: deque[WatchedEvent] = deque()

    def start(self) -> None:
        self.process.keep(self.world.loop.create_task(self._live(), context=self.process.context.copy()))

    def die(self) -> None:
        self.world.tell(f"{self.process.host} dies")
        self.process.alive = False
        self.process.backlog.clear()
        self.world.network.died(self.process.host, power=False)
        for task in self.process.tasks:
            if task.done() and (error := task.exception()) is not None:
                self.world.history.unexpected.append(f"{self.process.host} was told what it cannot be: {error!r}")
        if self.session:
            self.history.silent_since[self.session] = self.world.loop.now

    def tell(self, kind: Kind, **more: Any) -> None:
        self.history.told.append(
            Told(kind=kind, at=self.world.loop.now, session=self.session, connection=self._number, **more)
        )

    async def _live(self) -> None:
        while True:
            try:
                await self._connect()
                while True:
                    await self.work()
                    await asyncio.sleep(self.random.uniform(0.02, 0.3))
            except LOST as error:
                self.world.tell(f"{self.process.host} is disconnected: {error!r}")
            self._close()
            await asyncio.sleep(self.random.uniform(0.05, 0.3))

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.transport.abort()
            self._connection = None

    async def _connect(self) -> None:
        node = self.world.nodes[self.random.choice(list(self.world.nodes))]
        self.history.connections += 1
        number = self.history.connections

        def arrived(event: WatchedEvent) -> None:
            if number == self._number:
                self._hear(event)

        self._number = number
        async with asyncio.timeout(TIMEOUT_S / 3):
            _, self._connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(arrived), node.host, PORT
            )
        request = ConnectRequest(
            timeout_ms=int(TIMEOUT_S * 1000),
            session_id=self.session,
            password=self._password,
            last_zxid_seen=self._zxid,
        )
        response = await self._connection.open(request)
        if response.refused:
            self.world.tell(f"{self.process.host} is told that its session is over")
            self.session, self._password, self._zxid = NO_SESSION, NO_PASSWORD, 0
            self._watched.clear()
            raise EOFError
        if self.session == NO_SESSION:
            self.world.tell(f"{self.process.host} has session {response.session_id:#x}")
        self.session, self._password = response.session_id, response.password
        # Of those that are taken up, one that has changed meanwhile is told of before the answer.
        for path, mzxid in self._watched.items():
            self.tell(Kind.ARMED, path=path, mzxid=mzxid)
        await self.ask(SetWatches(relative_zxid=self._zxid, data=tuple(self._watched)))
        await self.ask(AddWatch(path=NUMBERS, mode=AddWatchMode.PERSISTENT_RECURSIVE))

    def _hear(self, event: WatchedEvent) -> None:
        if event.path.startswith(NUMBERS + "/") and event.kind is EventType.NODE_CREATED:
            self.tell(Kind.NUMBER_EVENT, path=event.path, number=int(event.path[-10:]))
        elif event.kind is EventType.NODE_DATA_CHANGED:
            self._watched.pop(event.path, None)
            self.tell(Kind.DATA_EVENT, path=event.path)

    async def ask(self, request: Request) -> Answer:
        assert self._connection is not None
        zxid, answer = await self._connection.ask(request)
        self.tell(Kind.REPLY, zxid=zxid)
        self._zxid = max(self._zxid, zxid)
        return answer

    async def work(self) -> None:
        path, asked_at = self.random.choice(PATHS), self.world.loop.now
        self._made += 1
        name = f"{self.process.host}-{self._made}"
        match self.random.randrange(10):
            case 0 | 1 | 2:
                await self.read(path, watch=self.random.random() < 0.6)
            case 3 | 4 | 5:
                answer = await self.ask(SetData(path=path, data=name.encode()))
                assert isinstance(answer, SetDataResult), answer
                self.tell(
                    Kind.WRITE,
                    path=path,
                    mzxid=answer.stat.mzxid,
                    version=answer.stat.version,
                    value=name.encode(),
                    asked_at=asked_at,
                )
            case 6 | 7:
                made = f"{EPHEMERALS}/{name}"
                answer = await self.ask(Create(path=made, data=b"", acl=OPEN_ACL, mode=CreateMode.EPHEMERAL))
                assert isinstance(answer, CreateResult), answer
                self.tell(Kind.EPHEMERAL, path=made)
            case 8:
                mode = CreateMode.PERSISTENT_SEQUENTIAL
                answer = await self.ask(Create(path=f"{NUMBERS}/n", data=b"", acl=OPEN_ACL, mode=mode))
                assert isinstance(answer, CreateResult), answer
            case _:
                await self.ask(Sync(path=path) if self.random.random() < 0.5 else Ping())

    async def read(self, path: str, *, watch: bool, kind: Kind = Kind.READ) -> None:
        answer = await self.ask(GetData(path=path, watch=watch))
        assert isinstance(answer, GetDataResult), answer
        stat = answer.stat
        if watch:
            self._watched[path] = stat.mzxid
        self.tell(kind, path=path, mzxid=stat.mzxid, version=stat.version, value=answer.data, watched=watch)

    async def prepare(self) -> None:
        for path in (*PATHS, NUMBERS, EPHEMERALS):
            while True:
                try:
                    if self._connection is None:
                        self.session = NO_SESSION
                        node = next(iter(self.world.nodes.values()))
                        _, self._connection = await asyncio.get_running_loop().create_connection(
                            lambda: Connection(self._hear), node.host, PORT
                        )
                        await self._connection.open(ConnectRequest(timeout_ms=int(TIMEOUT_S * 1000)))
                    answer = await self.ask(Create(path=path, data=b"", acl=OPEN_ACL))
                    exists = isinstance(answer, ErrorResult) and answer.code is ZkErrorCode.NODEEXISTS
                    assert isinstance(answer, CreateResult) or exists, answer
                    break
                except LOST:
                    self._close()
                    await asyncio.sleep(0.2)
        self._close()

    async def look_at_the_end(self) -> None:
        while True:
            try:
                await self._connect()
                await self.ask(Sync(path="/"))
                for path in PATHS:
                    await self.read(path, watch=False, kind=Kind.LAST)
                self._close()
                return
            except LOST:
                self._close()
                await asyncio.sleep(0.2)


class Scenario:
    def __init__(self, world: World, history: ZkHistory, faults_s: float) -> None:
        self.world, self.history, self.faults_s = world, history, faults_s
        self.random = Random(world.random.getrandbits(64))
        self.clients: list[Client] = []
        self.faults: dict[str, int] = {}
        self._born = 0

    def _client(self) -> Client:
        self._born += 1
        return Client(self.world, self.history, f"zk{self._born}", Random(self.random.getrandbits(64)))

    def _start(self) -> None:
        client = self._client()
        self.clients.append(client)
        client.start()

    async def run(self) -> None:
        world, history = self.world, self.history
        history.timeout_s = TIMEOUT_S
        for node_id in world.nodes:
            world.boot(node_id)
        assert await world.until(world.ready, timeout_s=30)
        first = self._client()
        await world.loop.create_task(first.prepare(), context=first.process.context.copy())
        looking = world.loop.create_task(self._look())
        for _ in range(CLIENTS):
            self._start()
        over_at = world.loop.now + self.faults_s
        while world.loop.now < over_at:
            await asyncio.sleep(self.random.expovariate(0.8))
            await self._fault()
        await self._heal()
        await asyncio.sleep(TIMEOUT_S + ENDS_WITHIN_S)
        for client in self.clients:
            history.living_since[client.session] = world.loop.now
        await asyncio.sleep(2 * TIMEOUT_S)
        for client in self.clients:
            client.die()
        last = self._client()
        reading = world.loop.create_task(last.look_at_the_end(), context=last.process.context.copy())
        if not await world.until(reading.done, timeout_s=20):
            world.history.unexpected.append("nobody could be asked at the end")
        looking.cancel()

    async def _heal(self) -> None:
        world = self.world
        world.network.heal_all()
        for client in self.clients:
            self._wake(client)
        for node_id, node in world.nodes.items():
            world.resume(node_id)
            if not node.is_up:
                world.boot(node_id)
        if not await world.until(world.ready, timeout_s=40):
            world.history.unexpected.append("the nodes did not become ready again")
        self.history.healed_at = world.loop.now
        world.tell("everything is healed")

    def _wake(self, client: Client) -> None:
        if client.process.paused:
            self.world.loop.resume(client.process)

    async def _fault(self) -> None:
        world, random = self.world, self.random
        fault = random.choice(("kill", "pause", "isolate", "client cut", "client pause", "client dies", "reset"))
        node = world.nodes[random.choice(list(world.nodes))]
        client = random.choice(self.clients)
        host = client.process.host
        for_s = random.choice((0.3, 1.5, 5.0, 8.0)) * random.uniform(0.5, 1.0)
        self.faults[fault] = self.faults.get(fault, 0) + 1
        match fault:
            case "kill":
                if node.is_up:
                    world.kill(node.node_id)
                    self._later(for_s, lambda: node.is_up or world.boot(node.node_id))
            case "pause":
                world.pause(node.node_id)
                self._later(for_s, lambda: world.resume(node.node_id))
            case "isolate" | "client cut":
                others = [each.host for each in world.nodes.values() if each is not node]
                cut = [node.host] if fault == "client cut" else others
                own = host if fault == "client cut" else node.host
                ways = [way for other in cut for way in ((own, other), (other, own))]
                world.tell(f"{own} is cut off from {cut}")
                world.network.sever(ways)
                self._later(for_s, lambda: world.network.heal(ways))
            case "client pause":
                world.tell(f"{host} is paused")
                client.process.paused = True
                self._later(for_s, lambda: self._wake(client))
            case "client dies":
                self.clients.remove(client)
                client.die()
                self._start()
            case _:
                world.tell(f"connections of {host} to {node.host} break")
                world.network.reset(host, node.host)

    def _later(self, after_s: float, action: Any) -> None:
        self.world.loop.call_later(min(after_s, 8.0), lambda: self.history.healed_at == float("inf") and action())

    async def _look(self) -> None:
        while True:
            tree = self.world.newest_image.znodes
            self.history.looks.append(
                Look(
                    at=self.world.loop.now,
                    sessions=frozenset(session_id for session_id, _ in tree.sessions.items()),
                    ephemerals=frozenset(key for key, _ in tree.ephemerals.items()),
                )
            )
            await asyncio.sleep(0.1)


def simulate(seed: int, *, readable: bool = False, faults_s: float = FAULTS_S) -> tuple[World, ZkHistory, list[str]]:
    world, history = World(seed=seed, readable=readable), ZkHistory()
    for node in world.nodes.values():
        listener = Listener(name="ZOOKEEPER", host=node.host, port=PORT)
        wanted = ZooKeeperSettings(listener=listener, writable=True)
        node.settings = replace(node.settings, zookeeper=wanted)
    found = world.run(Scenario(world, history, faults_s).run())
    return world, history, [*found.unexpected, *violations(history)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.zookeeper")
    parser.add_argument("--seed", type=int, help="run this one and tell its story")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=FAULTS_S, help="of faults, in simulated time")
    options = parser.parse_args()
    one = options.seed is not None
    seeds = [options.seed] if one else range(options.first, options.first + options.seeds)
    failed = 0
    for seed in seeds:
        world, history, wrong = simulate(seed, readable=one, faults_s=options.seconds)
        print("\n".join(world.story), end="\n" if one else "")
        print(
            f"seed {seed}: {len(history.told)} things told, hash {world.hash:08x}, {len(wrong)} violations", flush=True
        )
        for each in wrong[:5]:
            print(f"  {each}", flush=True)
        failed += bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
