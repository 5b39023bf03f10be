"""TCP between named hosts: late, slow, in pieces, cut one way or both, reset, or half-open after a power loss.

Bytes of one connection arrive in their order or not at all. A cut holds what is under way (TCP sends it again) until it
heals; the other end of a connection to a host that lost its power learns of it only when it sends something to the host
after that is up again.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from random import Random
from typing import Any

from tests.simulation.loop import OWNER, Incarnation, SimLoop, Soon

WINDOW_BYTES = 256 << 10
"""What may be under way, or unread at the receiver, in one direction of a connection."""
HIGH_WATER_BYTES = 64 << 10
SYN_TIMEOUT_S = 60.0


class SimTransport(asyncio.Transport):
    """One end of a connection. The kernel takes what fits into the window, the rest waits here."""

    def __init__(self, network: SimNetwork, number: int, own: str, other: str, context: contextvars.Context) -> None:
        super().__init__()
        self.network = network
        self.number, self.own, self.other = number, own, other
        self.context = context
        owner = context.get(OWNER)
        assert owner is not None
        self.owner: Incarnation = owner
        self.protocol: Any = None
        self.remote: SimTransport
        self.closing = False  # this side will neither send nor read any more
        self.gone = False  # the kernel has let go of it
        self.unsent: deque[bytes] = deque()
        self.unsent_bytes = 0
        self.window = WINDOW_BYTES
        self.held: list[bytes | None] = []  # stopped by a cut; None is the end of the stream
        self.unacknowledged = 0
        self.arrives_at = 0.0
        self.inbox: deque[bytes | None] = deque()  # in the receiver's kernel
        self.reading = True
        self.high = HIGH_WATER_BYTES
        self.low = HIGH_WATER_BYTES // 4
        self.writing_paused = False
        self.flushing_to_close = False

    # asyncio.Transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peername":
            return (self.other, 40_000)
        return (self.own, 40_001) if name == "sockname" else default

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self.low, self.high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = HIGH_WATER_BYTES if high is None else high
        self.low = self.high // 4 if low is None else low

    def get_protocol(self) -> Any:
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.closing

    def is_reading(self) -> bool:
        return self.reading and not self.closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        if not self.reading:
            self.reading = True
            if self.inbox:
                self.network.loop.call_soon(self._deliver, context=self.context)

    def write(self, data: Any) -> None:
        self.writelines((data,))

    def writelines(self, list_of_data: Any) -> None:
        if self.closing:
            return
        data = b"".join(list_of_data)
        if data:
            self.unsent.append(data)
            self.unsent_bytes += len(data)
            self.network.pump(self)
            if self.unsent_bytes > self.high and not self.writing_paused:
                self.writing_paused = True
                self.protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        if self.closing:
            return
        self.closing = True
        self.flushing_to_close = True
        if not self.unsent:
            self.network.finish(self)

    def abort(self) -> None:
        if not self.gone:
            self.closing = True
            self.network.reset_end(self, None)

    # The receiving half; runs in the context of this end's process

    def _deliver(self) -> None:
        protocol = self.protocol
        buffered = isinstance(protocol, asyncio.BufferedProtocol)
        while self.inbox and self.reading and not self.closing:
            data = self.inbox.popleft()
            if data is None:
                self.closing = True
                self.network.end_of_stream(self)
                return
            self.network.acknowledge(self, len(data))
            if not buffered:
                protocol.data_received(data)
                continue
            view = memoryview(data)
            while view and not self.gone:
                buffer = protocol.get_buffer(-1)
                assert len(buffer), f"{self.number}: no room in the buffer of the protocol"
                count = min(len(buffer), len(view))
                buffer[:count] = view[:count]
                view = view[count:]
                protocol.buffer_updated(count)
                if view and not self.reading:
                    self.inbox.appendleft(bytes(view))
                    break


class _Server:
    def __init__(self, network: SimNetwork, address: tuple[str, int], factory: Any) -> None:
        owner = OWNER.get()
        assert owner is not None
        self.network, self.address, self.factory, self.owner = network, address, factory, owner
        self.sockets = (self,)

    def getsockname(self) -> tuple[str, int]:
        return self.address

    def close(self) -> None:
        if self.network.servers.get(self.address) is self:
            del self.network.servers[self.address]

    async def wait_closed(self) -> None: ...


class SimNetwork:
    """Delays in seconds, `bytes_per_s` per direction of a pair of hosts. `piece_chance` tears a write into pieces."""

    def __init__(self, loop: SimLoop, random: Random) -> None:
        self.loop = loop
        self.random = random
        self.delay_s = 0.0003
        self.jitter_s = 0.0007
        self.piece_chance = 0.05
        self.extra_delay_s: dict[tuple[str, str], float] = {}
        self.bytes_per_s: dict[tuple[str, str], float] = {}
        self.cut: dict[tuple[str, str], int] = {}
        self.down: dict[str, bool] = {}  # hosts without power
        self.servers: dict[tuple[str, int], _Server] = {}
        self.ends: dict[SimTransport, None] = {}
        self.connections = 0
        self.trace: Any = lambda *_: None
        self.count: Any = lambda *_: None

    # Connections

    def listen(self, factory: Any, host: str, port: int) -> _Server:
        if (host, port) in self.servers:
            raise OSError(98, "Address already in use")
        server = _Server(self, (host, port), factory)
        self.servers[host, port] = server
        return server

    async def connect(self, factory: Any, host: str, port: int) -> Any:
        owner = OWNER.get()
        assert owner is not None
        own = owner.host
        await asyncio.sleep(self.latency(own, host) + self.latency(host, own))
        waited = 0.0
        while (own, host) in self.cut or (host, own) in self.cut or self.down.get(host):
            await asyncio.sleep(0.2)  # SYN is sent again and again
            waited += 0.2
            if waited > SYN_TIMEOUT_S:
                raise TimeoutError(110, "Connection timed out")
        server = self.servers.get((host, port))
        if server is None:
            raise ConnectionRefusedError(111, "Connection refused")
        self.connections += 1
        self.trace("connect", self.connections, own, host, port)
        near = SimTransport(self, 2 * self.connections, own, host, contextvars.copy_context())
        far = SimTransport(self, 2 * self.connections + 1, host, own, server.owner.context.copy())
        near.remote, far.remote = far, near
        self.ends[near] = self.ends[far] = None
        # The far process accepts when it gets to it: its kernel has completed the handshake already.
        self.loop.call_soon(self._accept, server, far, context=far.context)
        near.protocol = factory()
        near.protocol.connection_made(near)
        return near, near.protocol

    def _accept(self, server: _Server, far: SimTransport) -> None:
        if far.gone:
            return
        far.protocol = server.factory()
        far.protocol.connection_made(far)
        if far.inbox:
            far._deliver()

    def latency(self, own: str, other: str) -> float:
        extra = self.extra_delay_s.get((own, other), 0.0) if self.extra_delay_s else 0.0
        return self.delay_s + extra + self.jitter_s * self.random.random()

    # Bytes

    def pump(self, end: SimTransport) -> None:
        """Give the kernel what the window lets it take."""
        while end.unsent and end.window > 0 and not end.gone:
            data = end.unsent.popleft()
            if len(data) > end.window:
                end.unsent.appendleft(data[end.window :])
                data = data[: end.window]
            elif len(data) > 1 and self.piece_chance and self.random.random() < self.piece_chance:
                at = self.random.randrange(1, len(data))
                end.unsent.appendleft(data[at:])
                data = data[:at]
            end.unsent_bytes -= len(data)
            end.window -= len(data)
            self._carry(end, data)
        if end.writing_paused and end.unsent_bytes <= end.low and not end.gone:
            end.writing_paused = False
            self.loop.call_soon(end.protocol.resume_writing, context=end.context)
        if end.flushing_to_close and not end.unsent and not end.gone:
            self.finish(end)

    def _carry(self, end: SimTransport, data: bytes | None) -> None:
        way = (end.own, end.other)
        if way in self.cut or self.down.get(end.other):
            end.held.append(data)
            return
        at = max(self.loop.now + self.latency(*way), end.arrives_at + 1e-7)
        if self.bytes_per_s and data and way in self.bytes_per_s:
            at += len(data) / self.bytes_per_s[way]
        end.arrives_at = at
        self.loop.arrive(at, self._arrive, end, data, context=_KERNEL)

    def _arrive(self, end: SimTransport, data: bytes | None) -> None:
        far = end.remote
        if self.down.get(end.other):
            end.held.append(data)
            return
        if far.gone:
            # Nobody has this connection open any more: its host says so.
            if not end.gone and data is not None:
                self._reset_later(end)
            return
        self.count(end.number, -1 if data is None else len(data))
        far.inbox.append(data)
        if far.reading and far.protocol is not None:
            owner = far.owner
            if owner.paused:
                owner.backlog.append(_Arrived(far._deliver, (), self.loop, far.context))
            elif owner.alive:
                # The process is woken by this, so it reads now: another handle would only cost time.
                self.loop.run_in(far.context, far._deliver)

    def acknowledge(self, reader: SimTransport, count: int) -> None:
        writer = reader.remote
        if (reader.own, reader.other) in self.cut:
            writer.unacknowledged += count
        else:
            writer.window += count
            if writer.unsent and not writer.gone:
                self.pump(writer)

    # Ends of connections

    def finish(self, end: SimTransport) -> None:
        """An orderly close: everything was given to the kernel, the end of the stream follows it."""
        end.flushing_to_close = False
        self._carry(end, None)
        self._let_go(end, None)

    def end_of_stream(self, end: SimTransport) -> None:
        """The other side closed; `eof_received` of all our protocols closes this one."""
        self._let_go(end, None)

    def reset_end(self, end: SimTransport, error: Exception | None, *, tell_remote: bool = True) -> None:
        """This end drops the connection."""
        if end.gone:
            return
        self._let_go(end, error)
        if tell_remote:
            self._reset_later(end.remote)

    def _reset_later(self, end: SimTransport) -> None:
        """A reset is on its way to `end`."""
        if (end.other, end.own) in self.cut or self.down.get(end.own):
            return  # lost; `end` learns of it when it sends something after the cut
        at = max(self.loop.now + self.latency(end.other, end.own), end.remote.arrives_at + 1e-7)
        self.loop.arrive(at, self._on_reset, end, context=_KERNEL)

    def _on_reset(self, end: SimTransport) -> None:
        if not end.gone:
            end.closing = True
            self._let_go(end, ConnectionResetError(104, "Connection reset by peer"))

    def _let_go(self, end: SimTransport, error: Exception | None) -> None:
        if end.gone:
            return
        self.count(end.number, -2)
        end.gone = end.closing = True
        end.unsent.clear()
        end.unsent_bytes = 0
        end.inbox.clear()
        self.ends.pop(end, None)
        if end.protocol is not None:
            self.loop._ready.append(_Arrived(end.protocol.connection_lost, (error,), self.loop, end.context))

    # Faults

    def sever(self, ways: list[tuple[str, str]]) -> None:
        """Cut these ways; cuts of several faults add up."""
        for way in ways:
            self.cut[way] = self.cut.get(way, 0) + 1

    def heal(self, ways: list[tuple[str, str]]) -> None:
        for way in ways:
            left = self.cut.get(way, 0) - 1
            if left > 0:
                self.cut[way] = left
            elif way in self.cut:
                del self.cut[way]
        self._resend()

    def heal_all(self) -> None:
        self.cut.clear()
        self.extra_delay_s.clear()
        self.bytes_per_s.clear()
        self._resend()

    def _resend(self) -> None:
        for end in list(self.ends):
            if (end.own, end.other) not in self.cut:
                held, end.held = end.held, []
                for data in held:
                    self._carry(end, data)
            if (end.other, end.own) not in self.cut and end.unacknowledged:
                end.window += end.unacknowledged
                end.unacknowledged = 0
                self.pump(end)
            if end.remote.gone and not end.gone and (end.other, end.own) not in self.cut and end.remote.held:
                # What the other side had still to say, its end of the stream included, is sent again.
                held, end.remote.held = end.remote.held, []
                for data in held:
                    self._carry(end.remote, data)

    def reset(self, one: str, two: str) -> None:
        """Every connection between the two breaks, at both ends, whatever was under way."""
        for end in list(self.ends):
            if (end.own, end.other) in {(one, two), (two, one)} and not end.gone:
                self._let_go(end, ConnectionResetError(104, "Connection reset by peer"))

    def died(self, host: str, *, power: bool) -> None:
        """The process on `host` is gone. Its kernel says so, unless the host has lost its power."""
        for address, server in list(self.servers.items()):
            if server.owner.host == host:
                del self.servers[address]
        if power:
            self.down[host] = True
        for end in list(self.ends):
            if end.own == host:
                end.gone = end.closing = True
                end.unsent.clear()
                end.held.clear()
                self.ends.pop(end, None)
                if not power:
                    self._reset_later(end.remote)

    def power_on(self, host: str) -> None:
        """The host answers again: with resets, to whatever is sent on connections of its former life."""
        if self.down.pop(host, None):
            for end in list(self.ends):
                if end.other == host and end.held:
                    held, end.held = end.held, []
                    for data in held:
                        self._carry(end, data)


class _Arrived(Soon):
    """A callback for bytes that a process finds in its kernel."""

    __slots__ = ()


_KERNEL = contextvars.Context()
