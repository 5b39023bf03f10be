"""Connections between simulated nodes: late, in pieces, cut one way or both, broken, or half-open after a power loss."""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.simulation.raft.clock import OWNER, SimLoop


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
