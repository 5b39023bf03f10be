"""The gate before a port of a node: it passes bytes on in both directions, and holds up those of a node that is cut off.

Floor 6. Held up means not read: the bytes wait in the kernel, both ends go on believing in their connection, and all of it
arrives when the cut is healed, as with TCP over a broken network. A new connection of a node that is cut off is taken, as a kernel
with a lost SYN would leave it, and never answered. Invariant: no byte is lost, invented or overtaken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from raftkafka.cli.layout import HOST
from raftkafka.testing.callers import Identify
from raftkafka.testing.ports import Door


class Gate:
    """One port of one node. `is_cut` says of a node id whether its traffic is held up here."""

    def __init__(self, *, door: Door, identify: Identify, is_cut: Callable[[int], bool]) -> None:
        self.identify: Final = identify
        self.is_cut: Final = is_cut
        self.target: Final = door.inside.number
        self._port = door.outside.number
        self._server: asyncio.Server | None = None
        self._relays: dict[_Relay, None] = {}

    async def open(self) -> None:
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._accept, HOST, self._port)

    def close(self) -> None:
        """The node is down: who connects is refused, and every connection breaks."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for relay in list(self._relays):
            relay.abort()

    def refresh(self) -> None:
        """The cuts have changed."""
        for relay in list(self._relays):
            relay.refresh()

    @property
    def relays(self) -> int:
        """Connections that pass through, those that are held up included."""
        return len(self._relays)

    def forget(self, relay: _Relay) -> None:
        self._relays.pop(relay, None)

    def _accept(self) -> asyncio.Protocol:
        relay = _Relay(self)
        self._relays[relay] = None
        return relay.near


class _Relay:
    """One connection: `near` is the end of who called, `far` that of the node behind the gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.near = _End(self)
        self.far = _End(self)
        self._first = bytearray()
        self._caller: int | None = None
        self._connecting: asyncio.Task[None] | None = None

    def received(self, end: _End, data: bytes) -> None:
        if end is self.far:
            self.near.write(data)
        elif self.far.is_open:
            self.far.write(data)
        else:
            self._first += data
            self.refresh()

    def refresh(self) -> None:
        if self._caller is None:
            self._caller = self._gate.identify(bytes(self._first))
        if self._caller is not None and not self._is_held and self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        self.flow()

    @property
    def _is_held(self) -> bool:
        return self._caller is not None and self._gate.is_cut(self._caller)

    def flow(self) -> None:
        """Read where the other end takes what is read: all that waits does so in the kernel."""
        self.near.read(self._caller is None or (self.far.is_open and self.far.writable and not self._is_held))
        self.far.read(self.near.writable and not self._is_held)

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.far, HOST, self._gate.target)
        except OSError:
            self.abort()

    def opened(self, end: _End) -> None:
        if end is self.far:
            end.write(bytes(self._first))
            self._first.clear()
            self.flow()

    def lost(self, end: _End, error: Exception | None) -> None:
        other = self.near if end is self.far else self.far
        if not other.is_open:
            self._end()
        elif error is not None or self._is_held:
            other.abort()
        else:
            # In order: what has been read is written first.
            other.close()

    def abort(self) -> None:
        self._end()
        self.near.abort()
        self.far.abort()

    def _end(self) -> None:
        self._gate.forget(self)
        if self._connecting is not None and not self.far.was_open:
            self._connecting.cancel()


class _End(asyncio.Protocol):
    def __init__(self, relay: _Relay) -> None:
        self._relay = relay
        self._transport: asyncio.Transport | None = None
        self.was_open = False
        self.writable = True
        self._aborted = False

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, no check: uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self.was_open = True
        if self._aborted:
            # The gate was closed between the accept and this turn of the loop.
            self._transport.abort()
            return
        self._relay.opened(self)

    def data_received(self, data: bytes) -> None:
        self._relay.received(self, data)

    def pause_writing(self) -> None:
        self.writable = False
        self._relay.flow()

    def resume_writing(self) -> None:
        self.writable = True
        self._relay.flow()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._relay.lost(self, exc)

    # For the relay

    def write(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)

    def read(self, wanted: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or transport.is_reading() == wanted:
            return
        if wanted:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        self._aborted = True
        if self._transport is not None:
            self._transport.abort()
