"""The listening socket of the ZooKeeper port, and the connections that came by it.

Floor 4. Invariant: no more connections than the limit, in total and per address; one above it is closed before anything of it is
read. Beyond loopback only those four-letter words are answered that name no client, no session and no path.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from raftkafka.listeners.complaints import Complaints
from raftkafka.listeners.held_bytes import HELD_MAX_BYTES, HeldBytes
from raftkafka.listeners.zookeeper.connection import ConnectionSurroundings, ZooKeeperConnection
from raftkafka.listeners.zookeeper.traffic import Traffic
from raftkafka.model.errors import StartupError
from raftkafka.model.settings.validate import is_loopback
from raftkafka.model.settings.values import Listener
from raftkafka.ports.probe import Probe
from raftkafka.ports.zookeeper import ZooKeeperService
from raftkafka.wire.zookeeper import reports
from raftkafka.wire.zookeeper.words import Word

_LOG: Final = logging.getLogger("raftkafka.zookeeper")
BACKLOG: Final = 1_024
STOP_TIMEOUT_S: Final = 1.0
HARMLESS_WORDS: Final = frozenset({Word.RUOK, Word.SRVR, Word.ISRO, Word.ENVI, Word.MNTR, Word.CONF, Word.WCHS})
"""Answered to anybody. The others tell who is connected and what is watched, or reset counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooKeeperLimits:
    connections_max: int = 1_000
    connections_per_ip_max: int = 1_000
    handshake_timeout_ms: int = 10_000
    held_max_bytes: int = HELD_MAX_BYTES


class ZooKeeperServer:
    """`writable` None: on loopback. `conf` gives the pairs of the word `conf`."""

    def __init__(
        self,
        *,
        listener: Listener,
        service: ZooKeeperService,
        limits: ZooKeeperLimits,
        probe: Probe,
        writable: bool | None = None,
        conf: Callable[[], tuple[tuple[str, object], ...]] = lambda: (),
    ) -> None:
        self._listener = listener
        self._service = service
        self._limits = limits
        self._conf = conf
        self._local = is_loopback(listener.host)
        self.writable = self._local if writable is None else writable
        self._traffic = Traffic()
        self._surroundings = ConnectionSurroundings(
            service=service,
            writable=self.writable,
            handshake_timeout_s=limits.handshake_timeout_ms / 1000,
            probe=probe,
            admit=self._admit,
            gone=self._gone,
            words=self._word,
            held=HeldBytes(limits.held_max_bytes),
            complaints=Complaints(_LOG),
            traffic=self._traffic,
        )
        self._connections: dict[ZooKeeperConnection, None] = {}
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
        loop = asyncio.get_running_loop()
        port = self._listener.port
        # No host is every interface, IPv6 and IPv4; with a free port those would be two ports, so IPv4 alone then.
        host = self._listener.host or (None if port else "0.0.0.0")
        try:
            self._server = await loop.create_server(
                lambda: ZooKeeperConnection(self._surroundings), host, port, backlog=BACKLOG
            )
        except OSError as error:
            why = "the port is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
            raise StartupError(f"zookeeper.listener: cannot listen on {self._listener}: {why}") from error

    @property
    def port(self) -> int:
        """The port in force, also where the listener asked for port 0."""
        assert self._server is not None, "the server has not been started"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        return len(self._connections)

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

    def _admit(self, connection: ZooKeeperConnection, address: str) -> bool:
        if self._stopping:
            return False  # accepted before `stop`, made after it
        total, mine = len(self._connections), self._per_address[address]
        if total >= self._limits.connections_max or mine >= self._limits.connections_per_ip_max:
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

    def _gone(self, connection: ZooKeeperConnection, address: str) -> None:
        self._connections.pop(connection, None)
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]
        self._full_logged = False
        if not self._connections:
            self._empty.set()

    # Four-letter words

    def _word(self, word: Word) -> str:
        if not self._local and word not in HARMLESS_WORDS:
            return reports.refused(word.value.decode())
        return _ANSWERS[word](self)

    def _tree_word(self, word: Word) -> str:
        tree, connections = self._service.status(), len(self._connections)
        traffic = self._traffic.status(outstanding=sum(each.outstanding for each in self._connections))
        if word is Word.SRVR:
            return reports.srvr(tree, traffic, connections=connections)
        if word is Word.MNTR:
            return reports.mntr(tree, traffic, connections=connections)
        if word is Word.ISRO:
            return reports.isro(tree, writable=self.writable)
        return reports.stat(tree, traffic, [each.status() for each in self._connections])

    def _reset(self) -> str:
        self._traffic.reset()
        return reports.srst()

    def _reset_connections(self) -> str:
        for connection in self._connections:
            connection.reset_traffic()
        return reports.crst()


_ANSWERS: Final[dict[Word, Callable[[ZooKeeperServer], str]]] = {
    Word.RUOK: lambda _: reports.ruok(),
    Word.ENVI: lambda _: reports.envi(()),
    Word.CONF: lambda server: reports.conf(server._conf()),
    Word.SRVR: lambda server: server._tree_word(Word.SRVR),
    Word.MNTR: lambda server: server._tree_word(Word.MNTR),
    Word.ISRO: lambda server: server._tree_word(Word.ISRO),
    Word.STAT: lambda server: server._tree_word(Word.STAT),
    Word.CONS: lambda server: reports.cons([each.status() for each in server._connections]),
    Word.DUMP: lambda server: reports.dump(server._service.sessions()),
    Word.WCHS: lambda server: reports.wchs(server._service.sessions()),
    Word.WCHC: lambda server: reports.wchc(server._service.sessions()),
    Word.WCHP: lambda server: reports.wchp(server._service.sessions()),
    Word.SRST: lambda server: server._reset(),
    Word.CRST: lambda server: server._reset_connections(),
}
