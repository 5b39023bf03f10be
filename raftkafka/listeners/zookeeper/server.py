"""The listening socket of the ZooKeeper port, and the connections that came by it.

Floor 4. Invariant: no more connections than the limit, in total and per address; one above it is closed before anything of it is
read. Beyond loopback only those four-letter words are answered that name no client, no session and no path.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from raftkafka.listeners.complaints import Complaints
from raftkafka.listeners.door import Door
from raftkafka.listeners.held_bytes import HELD_MAX_BYTES, HeldBytes
from raftkafka.listeners.zookeeper.connection import ConnectionSurroundings, ZooKeeperConnection
from raftkafka.listeners.zookeeper.traffic import Traffic
from raftkafka.model.settings.validate import is_loopback
from raftkafka.model.settings.values import Listener
from raftkafka.ports.clock import Clock
from raftkafka.ports.probe import Probe, ZooKeeperStatistics
from raftkafka.ports.zookeeper import ZooKeeperService
from raftkafka.wire.zookeeper import reports
from raftkafka.wire.zookeeper.words import Word

_LOG: Final = logging.getLogger("raftkafka.zookeeper")
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
        clock: Clock,
        writable: bool | None = None,
        conf: Callable[[], tuple[tuple[str, object], ...]] = lambda: (),
    ) -> None:
        self._service = service
        self._limits = limits
        self._conf = conf
        self._local = is_loopback(listener.host)
        self.writable = self._local if writable is None else writable
        self._traffic = Traffic()
        self._started_s = 0.0
        self._door: Door[ZooKeeperConnection] = Door(
            listener=listener, limits=limits, log=_LOG, setting="zookeeper.listener"
        )
        self._surroundings = ConnectionSurroundings(
            service=service,
            writable=self.writable,
            handshake_timeout_s=limits.handshake_timeout_ms / 1000,
            probe=probe,
            admit=self._door.admit,
            gone=self._door.left,
            words=self._word,
            clock=clock,
            held=HeldBytes(limits.held_max_bytes),
            complaints=Complaints(_LOG),
            traffic=self._traffic,
        )

    async def start(self) -> None:
        """Listen.

        Raises:
            StartupError: the port is in use, or the address is not ours.
        """
        self._started_s = asyncio.get_running_loop().time()
        await self._door.open(lambda: ZooKeeperConnection(self._surroundings))

    @property
    def port(self) -> int:
        """The port in force, also where the listener asked for port 0."""
        return self._door.port

    @property
    def connections(self) -> int:
        return len(self._door)

    def statistics(self) -> ZooKeeperStatistics:
        """For the metrics: the same numbers as of the words `mntr`, `srvr` and `stat`."""
        tree = self._service.status()
        return ZooKeeperStatistics(
            outstanding=self._outstanding(),
            watches=tree.watches,
            sessions=tree.sessions,
            nodes=tree.znodes,
            ephemerals=tree.ephemerals,
            data_bytes=tree.data_bytes,
        )

    def _uptime_ms(self) -> int:
        return round((asyncio.get_running_loop().time() - self._started_s) * 1000)

    def _outstanding(self) -> int:
        return sum(each.outstanding for each in self._door)

    async def stop(self) -> None:
        """Stop listening, send what is ready, close all connections; returns within about a second."""
        await self._door.close()

    # Four-letter words

    def _word(self, word: Word) -> str:
        if not self._local and word not in HARMLESS_WORDS:
            return reports.refused(word.value.decode())
        return _ANSWERS[word](self)

    def _tree_word(self, word: Word) -> str:
        tree, connections = self._service.status(), len(self._door)
        traffic = self._traffic.status(outstanding=self._outstanding())
        if word is Word.SRVR:
            return reports.srvr(tree, traffic, connections=connections)
        if word is Word.MNTR:
            return reports.mntr(tree, traffic, connections=connections, uptime_ms=self._uptime_ms())
        if word is Word.ISRO:
            return reports.isro(tree, writable=self.writable)
        return reports.stat(tree, traffic, [each.status() for each in self._door])

    def _reset(self) -> str:
        self._traffic.reset()
        return reports.srst()

    def _reset_connections(self) -> str:
        for connection in self._door:
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
    Word.CONS: lambda server: reports.cons([each.status() for each in server._door]),
    Word.DUMP: lambda server: reports.dump(server._service.sessions()),
    Word.WCHS: lambda server: reports.wchs(server._service.status()),
    Word.WCHC: lambda server: reports.wchc(server._service.sessions()),
    Word.WCHP: lambda server: reports.wchp(server._service.sessions()),
    Word.SRST: lambda server: server._reset(),
    Word.CRST: lambda server: server._reset_connections(),
}
