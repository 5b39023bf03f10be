"""A cluster of voters in one process: virtual time, a network and disks that fail, all explained by one seed.

The nodes run unmodified: connections come from the running loop, files from the disk they are given. Whatever a node
schedules carries its incarnation in the context; killing the incarnation makes everything it still had to do vanish, as
SIGKILL does.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from raftkafka.adapters.raft.consensus import RaftConsensus
from raftkafka.adapters.raft.mends import Mends
from raftkafka.model.errors import StorageError
from raftkafka.model.ids import NodeId, RaftIndex, Term
from raftkafka.model.settings.values import ControllerSettings, Voter
from raftkafka.ports.probe import NullProbe

SECRET = b"a secret of the simulated cluster"


class Incarnation:
    """One life of a node."""

    def __init__(self, node_id: int) -> None:
        self.node_id = node_id
        self.alive = True


OWNER: contextvars.ContextVar[Incarnation | None] = contextvars.ContextVar("owner", default=None)


class _NoSelector:
    """Nothing happens outside: instead of waiting for events, time jumps."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, "the simulated world stands still: nothing is scheduled"
        self._loop.now += timeout
        return []

    def close(self) -> None: ...


class SimLoop(asyncio.BaseEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self._clock_resolution = 1e-9
        self._selector = _NoSelector(self)
        self.network: SimNetwork
        self.tasks: list[asyncio.Task[Any]] = []
        self.set_task_factory(self._make_task)

    def _make_task(self, loop: Any, coroutine: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **kwargs)
        if OWNER.get() is not None or kwargs.get("context") is not None:
            self.tasks.append(task)
        return task

    def time(self) -> float:
        return self.now

    def _process_events(self, event_list: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:
        return super().call_soon(self._guarded(callback, context), *args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_at(when, self._guarded(callback, context), *args, context=context)

    @staticmethod
    def _guarded(callback: Any, context: contextvars.Context | None) -> Any:
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is None:
            return callback

        def run(*args: Any) -> None:
            if owner.alive:
                callback(*args)

        return run

    async def create_server(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return self.network.listen(factory, host, port)

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return await self.network.connect(factory, host, port)

    def finish(self) -> None:
        """Close coroutines of the dead, so that nobody complains about them later."""
        for task in self.tasks:
            coroutine = task.get_coro()
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            try:
                coroutine.close()  # type: ignore[union-attr]
            except (RuntimeError, StorageError, ValueError):
                continue
        self.close()


class SimTransport(asyncio.Transport):
    """One end of a connection. Bytes arrive in order, late, in pieces, or, while the way is cut, not before it heals."""

    def __init__(self, network: SimNetwork, own: int, other: int, context: contextvars.Context) -> None:
        super().__init__()
        self.network = network
        self.own, self.other = own, other
        self.context = context
        self.protocol: asyncio.Protocol
        self.remote: SimTransport
        self.closing = False
        self.held: list[bytes] = []
        self.arrives_at = 0.0
        self.unsent = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (f"node{self.other}", 0) if name == "peername" else default

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: Any) -> None:
        if not self.closing:
            self.unsent += len(data)
            self.network.carry(self, bytes(data))

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self.closing:
            self.network.close(self, tell_owner=True)


@dataclass
class _Server:
    network: SimNetwork
    address: tuple[str, int]
    factory: Any
    context: contextvars.Context
    owner: int

    def close(self) -> None:
        if self.network.servers.get(self.address) is self:
            del self.network.servers[self.address]


class SimNetwork:
    def __init__(self, loop: SimLoop, random: Random) -> None:
        self.loop = loop
        self.random = random
        self.delay_s = 0.0005
        self.jitter_s = 0.001
        self.servers: dict[tuple[str, int], _Server] = {}
        self.cut: set[tuple[int, int]] = set()
        self.connections: list[SimTransport] = []

    def listen(self, factory: Any, host: str, port: int) -> _Server:
        owner = OWNER.get()
        assert owner is not None
        if (host, port) in self.servers:
            raise OSError(98, "Address already in use")
        server = _Server(self, (host, port), factory, contextvars.copy_context(), owner.node_id)
        self.servers[host, port] = server
        return server

    async def connect(self, factory: Any, host: str, port: int) -> Any:
        owner = OWNER.get()
        assert owner is not None
        own, other = owner.node_id, int(host.removeprefix("node"))
        await asyncio.sleep(self.latency() + self.latency())
        if (own, other) in self.cut or (other, own) in self.cut:
            await asyncio.sleep(3600)
        server = self.servers.get((host, port))
        if server is None:
            raise ConnectionRefusedError(111, "Connection refused")
        near = SimTransport(self, own, other, contextvars.copy_context())
        far = SimTransport(self, other, own, server.context)
        near.remote, far.remote = far, near
        near.protocol, far.protocol = factory(), server.context.run(server.factory)
        self.connections += [near, far]
        server.context.run(far.protocol.connection_made, far)
        near.protocol.connection_made(near)
        return near, near.protocol

    def latency(self) -> float:
        return self.delay_s + self.jitter_s * self.random.random()

    def carry(self, end: SimTransport, data: bytes) -> None:
        if (end.own, end.other) in self.cut:
            end.held.append(data)
            return
        pieces = [data]
        if len(data) > 1 and self.random.random() < 0.05:
            at = self.random.randrange(1, len(data))
            pieces = [data[:at], data[at:]]
        for piece in pieces:
            end.arrives_at = max(self.loop.now + self.latency(), end.arrives_at + 1e-7)
            self.loop.call_at(end.arrives_at, self._arrive, end, piece, context=end.remote.context)

    @staticmethod
    def _arrive(end: SimTransport, data: bytes) -> None:
        end.unsent -= len(data)
        if not end.remote.closing:
            end.remote.protocol.data_received(data)

    def close(self, end: SimTransport, *, tell_owner: bool, tell_remote: bool = True) -> None:
        end.closing = True
        if end in self.connections:
            self.connections.remove(end)
        if tell_owner:
            self.loop.call_soon(end.protocol.connection_lost, None, context=end.context)
        if tell_remote and (end.own, end.other) not in self.cut:
            at = max(self.loop.now + self.latency(), end.arrives_at + 1e-7)
            self.loop.call_at(at, self._closed_by_remote, end.remote, context=end.remote.context)

    def _closed_by_remote(self, end: SimTransport) -> None:
        if not end.closing:
            end.closing = True
            if end in self.connections:
                self.connections.remove(end)
            end.protocol.connection_lost(None)

    def heal(self, ways: set[tuple[int, int]]) -> None:
        self.cut -= ways
        for end in list(self.connections):
            if (end.own, end.other) in ways:
                held, end.held = end.held, []
                for data in held:
                    self.carry(end, data)
                if end.remote.closing:
                    self.close(end, tell_owner=True, tell_remote=False)

    def reset(self, one: int, two: int) -> None:
        """The connections between both break, at both ends, whatever was under way."""
        for end in list(self.connections):
            if (end.own, end.other) == (one, two):
                self.close(end, tell_owner=True)

    def died(self, node_id: int, *, silently: bool) -> None:
        for address, server in list(self.servers.items()):
            if server.owner == node_id:
                del self.servers[address]
        for end in list(self.connections):
            if end.own == node_id:
                self.close(end, tell_owner=False, tell_remote=not silently)


@dataclass
class Inode:
    data: bytearray = field(default_factory=bytearray)
    durable: int = 0


class SimFile:
    def __init__(self, disk: SimDisk, path: str, inode: Inode) -> None:
        self.disk, self.path, self.inode = disk, path, inode

    @property
    def size(self) -> int:
        return len(self.inode.data)

    def append(self, buffers: Any) -> None:
        self.disk.check("append", self.path)
        for buffer in buffers:
            self.inode.data += buffer

    def read(self, position: int, count: int) -> bytes:
        return bytes(self.inode.data[position : position + count])

    def truncate(self, size: int) -> None:
        self.disk.check("truncate", self.path)
        del self.inode.data[size:]
        self.inode.durable = min(self.inode.durable, size)

    def close(self) -> None: ...


class SimLock:
    def __init__(self, disk: SimDisk, path: str) -> None:
        self.disk, self.path = disk, path

    def release(self) -> None:
        self.disk.locked.discard(self.path)


class SimDisk:
    """Implements `ports.disk.Disk` as far as Raft uses it; `power_loss` forgets what was not synced, or half of it.

    `on_step` is called with a name before every change and every sync: raising there is a crash at that step.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.names: dict[str, Inode] = {}
        self.durable_names: dict[str, Inode] = {}
        self.locked: set[str] = set()
        self.sync_s: tuple[float, float] = (0.0002, 0.003)
        self.on_step: Callable[[str, str], None] = lambda step, path: None

    def check(self, step: str, path: str) -> None:
        self.on_step(step, path)

    def make_dir(self, path: str) -> None: ...

    def lock(self, path: str) -> SimLock:
        assert path not in self.locked
        self.locked.add(path)
        return SimLock(self, path)

    def list_dir(self, path: str) -> list[str]:
        return sorted(os.path.basename(name) for name in self.names if os.path.dirname(name) == path)

    def exists(self, path: str) -> bool:
        return path in self.names

    def read_file(self, path: str) -> bytes:
        return bytes(self.names[path].data)

    def open(self, path: str, *, create: bool = False) -> SimFile:
        if path not in self.names:
            if not create:
                raise StorageError(f"no {path}")
            self.check("create", path)
            self.names[path] = Inode()
        return SimFile(self, path, self.names[path])

    def remove(self, path: str) -> None:
        if path in self.names:
            self.check("remove", path)
            del self.names[path]

    def rename(self, source: str, target: str) -> None:
        self.check("rename", target)
        self.names[target] = self.names.pop(source)

    def sync_dir(self, path: str) -> None:
        self.check("sync_dir", path)
        self.durable_names = dict(self.names)

    def write_atomic(self, path: str, data: Any) -> None:
        self.check("write_atomic", path)
        inode = Inode(bytearray(data), len(data))
        self.names[path] = inode
        self.sync_dir(os.path.dirname(path))

    async def sync(self, files: Any) -> None:
        sizes = [(file, file.size) for file in files]
        await asyncio.sleep(self.random.uniform(*self.sync_s))
        for file, size in sizes:
            self.check("sync", file.path)
            file.inode.durable = max(file.inode.durable, min(size, file.size))
            if file.path not in self.durable_names and self.names.get(file.path) is file.inode:
                self.durable_names[file.path] = file.inode

    def power_loss(self) -> None:
        """Directory entries: all as synced, or all as written. Contents: the synced part and a torn rest."""
        if self.random.random() < 0.5:
            self.names = dict(self.durable_names)
        for inode in self.names.values():
            unsynced = len(inode.data) - inode.durable
            keep = self.random.choice([0, unsynced, self.random.randint(0, unsynced)])
            del inode.data[inode.durable + keep :]
            if keep and self.random.random() < 0.5:
                # Pages reach the disk in any order: a hole in what remained.
                hole = inode.durable + self.random.randrange(keep)
                end = min(len(inode.data), hole + self.random.randint(1, 64))
                inode.data[hole:end] = bytes(end - hole)
            inode.durable = len(inode.data)
        self.durable_names = dict(self.names)
        self.locked.clear()


class Violation(AssertionError):
    """An invariant of Raft does not hold."""


class Machine:
    """A state machine that is its own log, and compares it with everybody's."""

    def __init__(self, world: World, node_id: int) -> None:
        self.world = world
        self.node_id = node_id
        self.log: list[tuple[int, bytes]] = []
        self.restores = 0

    def apply(self, index: RaftIndex, command: bytes) -> object:
        if self.log and index <= self.log[-1][0]:
            raise Violation(f"node {self.node_id} applies {index} after {self.log[-1][0]}")
        self.world.check_applied(self.node_id, index, command)
        self.log.append((index, command))
        return index

    def snapshot(self) -> bytes:
        return b"".join(b"%d %s\n" % each for each in self.log)

    def restore(self, index: RaftIndex, snapshot: bytes) -> None:
        self.restores += 1
        lines = [line.split(b" ", 1) for line in snapshot.splitlines()]
        self.log = [(int(number), command) for number, command in lines]
        for number, command in self.log:
            self.world.check_applied(self.node_id, number, command)


@dataclass
class Node:
    node_id: int
    disk: SimDisk
    incarnation: Incarnation | None = None
    context: contextvars.Context | None = None
    consensus: RaftConsensus | None = None
    machine: Machine | None = None
    fatal: list[BaseException] = field(default_factory=list)

    @property
    def is_up(self) -> bool:
        return self.incarnation is not None and self.incarnation.alive


class World:
    def __init__(
        self,
        *,
        seed: int,
        nodes: int = 3,
        settings: ControllerSettings | None = None,
        mends: Mends | None = None,
    ) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.loop = SimLoop()
        self.loop.set_exception_handler(self._loop_exception)
        self.network = SimNetwork(self.loop, Random(self.random.random()))
        self.loop.network = self.network
        self.settings = settings or ControllerSettings(snapshot_min_entries=40)
        self.mends = mends
        self.voters = tuple(Voter(node_id=NodeId(i), host=f"node{i}", port=9093) for i in range(1, nodes + 1))
        self.nodes = {i: Node(i, SimDisk(Random(self.random.random()))) for i in range(1, nodes + 1)}
        self.applied: dict[int, bytes] = {}
        self.leaders: dict[int, int] = {}
        self.acknowledged: dict[bytes, int] = {}
        self.refused: set[bytes] = set()
        self.errors: list[str] = []

    def _loop_exception(self, loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.errors.append(f"{self.loop.now:.3f} {context.get('message')}: {error!r}")

    # Lives of nodes

    async def boot(self, node_id: int) -> None:
        node = self.nodes[node_id]
        node.incarnation = Incarnation(node_id)
        node.machine = Machine(self, node_id)
        node.context = contextvars.copy_context()
        node.context.run(OWNER.set, node.incarnation)
        consensus = node.context.run(
            lambda: RaftConsensus(
                node_id=NodeId(node_id),
                cluster_secret=SECRET,
                voters=self.voters,
                listen=None,
                settings=self.settings,
                directory=f"/raft{node_id}",
                disk=node.disk,  # type: ignore[arg-type]
                machine=node.machine,
                probe=NullProbe(),
                random=Random(self.random.random()),
                on_fatal=node.fatal.append,
                mends=self.mends,
            )
        )
        node.consensus = consensus
        consensus.on_leader_change(lambda leader, term: self.check_leader(leader, term))
        await self.inside(node_id, consensus.start())

    async def inside(self, node_id: int, coroutine: Coroutine[Any, Any, Any], *, timeout_s: float = 10) -> Any:
        """Run it as a task of the node; TimeoutError when the node died, or was too slow."""
        task = self.loop.create_task(coroutine, context=self.nodes[node_id].context)
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
        if not done:
            raise TimeoutError
        return task.result()

    def kill(self, node_id: int, *, power_loss: bool = False, silently: bool = False) -> None:
        node = self.nodes[node_id]
        assert node.incarnation is not None
        node.incarnation.alive = False
        self.network.died(node_id, silently=silently)
        node.disk.locked.clear()
        if power_loss:
            node.disk.power_loss()

    # What must hold

    def check_applied(self, node_id: int, index: int, command: bytes) -> None:
        if self.applied.setdefault(index, command) != command:
            raise Violation(f"index {index}: node {node_id} applies {command!r}, another {self.applied[index]!r}")

    def check_leader(self, leader: NodeId | None, term: Term) -> None:
        if leader is not None and self.leaders.setdefault(term, leader) != leader:
            raise Violation(f"term {term} has the leaders {self.leaders[term]} and {leader}")

    def check_all(self) -> None:
        """At the end, after a quiet time with all nodes up."""
        fatal = {i: node.fatal for i, node in self.nodes.items() if node.fatal}
        assert not fatal, f"seed {self.seed}: {fatal}"
        assert not self.errors, f"seed {self.seed}: {self.errors[:3]}"
        logs = [node.machine.log for node in self.nodes.values() if node.machine]
        assert all(log == logs[0] for log in logs), (
            f"seed {self.seed}: not converged: {[(len(log), log[-1:]) for log in logs]} "
            f"{[node.consensus.waiting_for for node in self.nodes.values() if node.consensus]}"
        )
        final = {command: index for index, command in logs[0]}
        assert len(final) == len(logs[0]), f"seed {self.seed}: a command was applied twice"
        lost = [c for c, index in self.acknowledged.items() if final.get(c) != index]
        assert not lost, f"seed {self.seed}: acknowledged and lost: {lost[:5]}"
        false_refusals = [c for c in self.refused if c in final]
        assert not false_refusals, f"seed {self.seed}: refused, but applied: {false_refusals[:5]}"

    # Looking

    def up(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.is_up and node.consensus is not None]

    def leader(self) -> Node | None:
        leading = [node for node in self.up() if node.consensus and node.consensus.is_leader]
        for node in leading:
            assert node.consensus
            self.check_leader(node.consensus.node_id, node.consensus.term)
        return max(leading, key=lambda node: node.consensus.term if node.consensus else 0, default=None)

    async def until(self, condition: Callable[[], Any], *, timeout_s: float = 10, what: str = "") -> float:
        """Wait in virtual time; returns how long it took, in seconds."""
        started = self.loop.now
        while not condition():
            if self.loop.now - started > timeout_s:
                raise AssertionError(f"seed {self.seed}: {what or 'it'} did not happen within {timeout_s} s")
            await asyncio.sleep(0.001)
        return self.loop.now - started

    def run(self, scenario: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self.loop.run_until_complete(scenario)
        finally:
            self.loop.finish()
