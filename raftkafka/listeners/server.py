"""One listening socket of the native protocol and the connections that came by it.

Floor 4. Invariant: no more connections than `max.connections`, in total and per address; a connection above the limit is
closed before anything of it is read.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from raftkafka.listeners.complaints import Complaints
from raftkafka.listeners.connection import ConnectionSurroundings, Dispatch, ServerConnection
from raftkafka.listeners.held_bytes import HELD_MAX_BYTES, HeldBytes
from raftkafka.model.errors import StartupError
from raftkafka.model.ids import NodeId
from raftkafka.model.settings.values import Listener, NetworkSettings
from raftkafka.ports.probe import Probe

_LOG: Final = logging.getLogger("raftkafka.network")
BACKLOG: Final = 1_024
STOP_TIMEOUT_S: Final = 1.0


class BrokerServer:
    """`authentication_required`: before a node has proved itself, only ApiVersions and SASL are answered."""

    def __init__(
        self,
        *,
        listener: Listener,
        dispatch: Dispatch,
        settings: NetworkSettings,
        node_id: NodeId,
        cluster_secret: bytes,
        probe: Probe,
        cluster_id: Callable[[], str] = lambda: "",
        authentication_required: bool = False,
        held_max_bytes: int = HELD_MAX_BYTES,
    ) -> None:
        self._listener = listener
        self._settings = settings
        self._surroundings = ConnectionSurroundings(
            listener=listener.name,
            dispatch=dispatch,
            settings=settings,
            node_id=node_id,
            cluster_secret=cluster_secret,
            cluster_id=cluster_id,
            probe=probe,
            authentication_required=authentication_required,
            admit=self._admit,
            gone=self._gone,
            held=HeldBytes(held_max_bytes),
            complaints=Complaints(_LOG),
        )
        self._connections: dict[ServerConnection, None] = {}
        self._per_address: Counter[str] = Counter()
        self._full_logged = False
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()
        self._stopping = False

    async def start(self) -> None:
        """Listen.

        Raises:
            StartupError: the port is in use, or the address is not ours.
        """
        self._stopping = False
        host, port = self._listener.host, self._listener.port
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: ServerConnection(self._surroundings), host or None, port, backlog=BACKLOG
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StartupError(f"port {port} on {host} is in use by another program") from error
            raise StartupError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error

    @property
    def port(self) -> int:
        """The port in force, also where the listener asked for port 0."""
        assert self._server is not None, "the server has not been started"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        return len(self._connections)

    @property
    def held_bytes(self) -> int:
        """As far as heavy connections have reported it; see `held_bytes.HeldBytes`."""
        return self._surroundings.held.total

    async def stop(self) -> None:
        """Stop listening, send what is ready, close all connections; returns within about a second."""
        if self._server is None:
            return
        self._stopping = True
        self._server.close()
        for connection in list(self._connections):
            connection.close()
        self._empty.clear()
        if self._connections:
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._empty.wait()
            except TimeoutError:
                for connection in list(self._connections):
                    connection.abort()
        self._server = None

    def _admit(self, connection: ServerConnection, address: str) -> bool:
        if self._stopping:
            return False  # accepted before `stop`, made after it
        total, mine = len(self._connections), self._per_address[address]
        if total >= self._settings.connections_max or mine >= self._settings.connections_per_ip_max:
            # One line per episode: a flood of connections must not become a flood of lines.
            if not self._full_logged:
                self._full_logged = True
                _LOG.warning(
                    "refusing a connection of %s on %s: %d are open, %d of them from there",
                    *(address, self._listener, total, mine),
                )
            return False
        self._connections[connection] = None
        self._per_address[address] += 1
        return True

    def _gone(self, connection: ServerConnection, address: str) -> None:
        self._connections.pop(connection, None)
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]
        self._full_logged = False
        if not self._connections:
            self._empty.set()
