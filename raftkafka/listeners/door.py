"""One listening socket: who may come in by it, who is in, and how all leave.

Floor 4. Invariant: no more connections than the limits say, in total and per address; one above them is closed before anything of it is
read. Shared by the servers of the native protocol and of the ZooKeeper port.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, Generic, Protocol, TypeVar

from raftkafka.model.errors import StartupError
from raftkafka.model.settings.values import Listener

BACKLOG: Final = 1_024
STOP_TIMEOUT_S: Final = 1.0
EVERY_IPV4: Final = "0.0.0.0"


class Visitor(Protocol):
    """What a connection has to offer so that it can be shown out."""

    def close(self) -> None: ...
    def abort(self) -> None: ...


class Limits(Protocol):
    @property
    def connections_max(self) -> int: ...
    @property
    def connections_per_ip_max(self) -> int: ...


V = TypeVar("V", bound=Visitor)


class Door(Generic[V]):
    """`log` hears of connections that are refused, one line per episode; `setting` is named where it cannot listen."""

    def __init__(self, *, listener: Listener, limits: Limits, log: logging.Logger, setting: str = "") -> None:
        self._listener = listener
        self._limits = limits
        self._log = log
        self._said_first = f"{setting}: " if setting else ""
        self._inside: dict[V, None] = {}
        self._per_address: Counter[str] = Counter()
        self._full_logged = False
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()
        self._closing = False

    async def open(self, make: Callable[[], asyncio.BaseProtocol]) -> None:
        """Listen; `make` makes the protocol of a connection.

        Raises:
            StartupError: the port is in use, or the address is not ours.
        """
        self._closing = False
        port = self._listener.port
        # No host is every interface, IPv6 and IPv4; with a free port those would be two ports, so IPv4 alone then.
        host = self._listener.host or (None if port else EVERY_IPV4)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(make, host, port, backlog=BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                why = f"port {port} on {self._listener.host} is in use by another program"
            else:
                why = f"cannot listen on {self._listener.host}:{port}: {error.strerror or error}"
            raise StartupError(self._said_first + why) from error

    @property
    def port(self) -> int:
        """The port in force, also where the listener asked for port 0."""
        assert self._server is not None, "the server has not been started"
        return int(self._server.sockets[0].getsockname()[1])

    def __iter__(self) -> Iterator[V]:
        """The connections, the oldest first."""
        return iter(list(self._inside))

    def __len__(self) -> int:
        return len(self._inside)

    async def close(self) -> None:
        """Let nobody in any more, send what is ready, close all connections; returns within about a second."""
        if self._server is None:
            return
        self._closing = True
        self._server.close()
        for visitor in self:
            visitor.close()
        self._empty.clear()
        if self._inside:
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._empty.wait()
            except TimeoutError:
                for visitor in self:
                    visitor.abort()
        self._server = None

    def admit(self, visitor: V, address: str) -> bool:
        """Whether the connection from `address` may stay; `left` has to be called for it then."""
        if self._closing:
            return False  # accepted before `close`, made after it
        total, mine = len(self._inside), self._per_address[address]
        if total >= self._limits.connections_max or mine >= self._limits.connections_per_ip_max:
            # A flood of connections must not become a flood of lines.
            if not self._full_logged:
                self._full_logged = True
                self._log.warning(
                    "refusing a connection of %s on %s: %d are open, %d of them from there",
                    *(address, self._listener, total, mine),
                )
            return False
        self._inside[visitor] = None
        self._per_address[address] += 1
        return True

    def left(self, visitor: V, address: str) -> None:
        self._inside.pop(visitor, None)
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]
        self._full_logged = False
        if not self._inside:
            self._empty.set()
