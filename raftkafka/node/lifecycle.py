"""A node's life: start, wait for the others, run, stop in order.

Floor 5. Start order: lock the directories, bind the listeners (a port in use is said before anything changes), start Raft,
let the reconciler open the logs, register. Stop order is the reverse, with the leaderships moved away first.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Coroutine
from random import Random
from typing import Any, Final

from raftkafka.adapters.clock import SystemClock
from raftkafka.adapters.disk import OsDisk
from raftkafka.metadata.image import Image
from raftkafka.model.api.broker_lifecycle import ListenerEndpoint
from raftkafka.model.errors import RaftKafkaError
from raftkafka.model.features import SUPPORTED, FeatureRange
from raftkafka.model.ids import BrokerEpoch
from raftkafka.model.settings.values import Listener, Settings
from raftkafka.node.assembly import Parts, assemble
from raftkafka.node.http_port import ONLY_METRICS, serves_console
from raftkafka.ports.clock import Clock
from raftkafka.ports.disk import Disk

_log = logging.getLogger("raftkafka.node")

CONTROLLED_SHUTDOWN_S: Final = 5.0
NOTICE_INTERVAL_S: Final = 1.0


class Node:
    """A broker, a voter and, while it leads Raft, the controller, in one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        disk: Disk | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        features: FeatureRange = SUPPORTED,
    ) -> None:
        self.settings = settings
        self._features = features
        self._disk = disk if disk is not None else OsDisk()
        self._clock = clock if clock is not None else SystemClock()
        self._random = random if random is not None else Random(secrets.randbits(64))
        self._failure: asyncio.Future[None] | None = None
        self._parts: Parts | None = None
        self._background: set[asyncio.Task[None]] = set()

    # What others may ask of a running node

    @property
    def parts(self) -> Parts:
        """What the node is made of, while it runs."""
        assert self._parts is not None, "the node has not been started"
        return self._parts

    @property
    def broker_port(self) -> int:
        return self.parts.servers[0].port

    @property
    def http_port(self) -> int | None:
        return self.parts.http.port if self.parts.http is not None else None

    @property
    def zookeeper_port(self) -> int | None:
        return self.parts.zookeeper[1].port if self.parts.zookeeper is not None else None

    @property
    def image(self) -> Image:
        return self.parts.store.image

    async def failure(self) -> None:
        """Raises what stopped the node, when something does."""
        assert self._failure is not None
        await asyncio.shield(self._failure)

    def fail(self, error: BaseException) -> None:
        """Let `failure` raise `error`; the node goes on until somebody stops it."""
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)
            # Whoever embeds the node may not be looking; the log always tells.
            _log.critical("the node stops: %s", error)

    def ready(self) -> tuple[bool, str]:
        """Whether this node takes part, and what it waits for where not."""
        waiting_for = self.parts.consensus.waiting_for
        if waiting_for is not None:
            return False, waiting_for
        if self.parts.membership.fenced:
            return False, f"not registered yet: {self.parts.membership.last_error}"
        return True, "ready"

    # Life

    async def start(self) -> None:
        """Bring the node up; it may still wait for other voters when this returns.

        Raises:
            StartupError: it cannot run here; nothing was changed.
        """
        self._failure = asyncio.get_running_loop().create_future()
        parts = assemble(
            self.settings,
            disk=self._disk,
            clock=self._clock,
            random=self._random,
            on_fatal=self.fail,
            on_registered=self._registered,
            ready=self.ready,
            features=self._features,
        )
        self._parts = parts
        try:
            for server in parts.servers:
                await server.start()
            if parts.http is not None:
                await parts.http.start()
            if parts.zookeeper is not None:
                await parts.zookeeper[1].start()
            await parts.consensus.start()
        except RaftKafkaError:
            await self._stop_parts(parts)
            parts.log_dirs.abandon()
            self._parts = None
            raise
        parts.reconciler.start()
        parts.membership.start(_advertised(self.settings, [server.port for server in parts.servers]))
        parts.housekeeping.start()
        parts.loop_delay.start()
        for listener, server in zip(self.settings.listeners, parts.servers, strict=True):
            _log.info("node %d listens on %s:%d", self.settings.node_id, listener.host or "*", server.port)
        if parts.http is not None:
            said = "metrics, health and the console" if serves_console(self.settings) else ONLY_METRICS
            _log.info("%s on http port %d", said, parts.http.port)
        if parts.zookeeper is not None:
            _log.info("tools that know only ZooKeeper connect to port %d", parts.zookeeper[1].port)
        self._spawn(self._say_what_is_missing())

    async def stop(self) -> None:
        """Stop cleanly: leaderships move first, everything is synced, and the logs are marked as cleanly closed."""
        if self._parts is None:
            return
        parts, background = self._parts, list(self._background)
        for task in background:
            task.cancel()
        if len(parts.store.image.brokers) > 1:
            await parts.membership.leave(timeout_s=CONTROLLED_SHUTDOWN_S)
        await self._stop_parts(parts)
        await parts.log_dirs.close(broker_epoch=parts.membership.broker_epoch)
        self._parts = None

    async def crash(self) -> None:
        """Go as a process that is killed: nobody is told, no log is synced nor marked as cleanly closed.

        For tests that run nodes inside their own process; the files can be opened by another `Node` afterwards.
        """
        if self._parts is None:
            return
        parts = self._parts
        for task in list(self._background):
            task.cancel()
        # First, so that it decides nothing about the connections that close now.
        await parts.controller.stop()
        await self._stop_parts(parts)
        parts.log_dirs.drop()
        self._parts = None

    @staticmethod
    async def _stop_parts(parts: Parts) -> None:
        parts.loop_delay.stop()
        await parts.housekeeping.stop()
        for server in parts.servers:
            await server.stop()
        if parts.http is not None:
            await parts.http.stop()
        if parts.zookeeper is not None:
            service, port = parts.zookeeper
            await port.stop()
            await service.stop()
        await parts.membership.stop()
        parts.groups.stop()
        parts.fetchers.stop()
        await parts.isr.stop()
        await parts.reconciler.stop()
        await parts.controller.stop()
        await parts.peers.close()
        await parts.consensus.stop()
        if parts.tracing is not None:
            await parts.tracing.stop()

    async def _say_what_is_missing(self) -> None:
        """A node that waits says for what, whenever that changes."""
        said = ""
        while True:
            ready, reason = self.ready()
            if ready:
                _log.info("node %d is ready", self.settings.node_id)
                return
            if reason != said:
                said = reason
                _log.info("%s", reason)
            await asyncio.sleep(NOTICE_INTERVAL_S)

    # What the parts call back

    def _registered(self, cluster_id: str, broker_epoch: BrokerEpoch) -> None:
        try:
            self.parts.log_dirs.stamp(cluster_id)
        except RaftKafkaError as error:
            self.fail(error)
            return
        self._spawn(self._tell_when_current(broker_epoch))

    async def _tell_when_current(self, broker_epoch: BrokerEpoch) -> None:
        """Once the registration is applied here, the image is current: what it does not name is gone for good."""
        parts, own = self.parts, self.settings.node_id

        def applied(image: Image) -> bool:
            broker = image.brokers.get(own)
            return broker is not None and broker.epoch >= broker_epoch

        while not await parts.store.wait_for(applied, timeout_s=60):
            _log.info("waiting for this broker's registration to be applied")
        parts.reconciler.image_is_current()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _advertised(settings: Settings, ports: list[int]) -> tuple[ListenerEndpoint, ...]:
    """What clients are told: `advertised.listeners` where given, else the listeners with the ports that were bound."""
    given = {listener.name: listener for listener in settings.advertised_listeners}
    endpoints: list[ListenerEndpoint] = []
    for listener, port in zip(settings.listeners, ports, strict=True):
        shown = given.get(listener.name) or Listener(name=listener.name, host=_reachable(listener.host), port=0)
        endpoints.append(ListenerEndpoint(name=shown.name, host=shown.host, port=shown.port or port))
    return tuple(endpoints)


def _reachable(host: str) -> str:
    """The address to advertise for a listener: all interfaces are not an address, this host's name is."""
    return socket.gethostname() if host in {"", "0.0.0.0", "::"} else host
