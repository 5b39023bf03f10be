"""One node, put together once: every dependency enters here and nowhere else.

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
from typing import Any
from uuid import uuid4

from raftkafka.adapters.clock import SystemClock
from raftkafka.adapters.disk import OsDisk
from raftkafka.adapters.peers import NodePeers
from raftkafka.adapters.prometheus import PrometheusProbe
from raftkafka.adapters.raft.consensus import RaftConsensus
from raftkafka.broker.controller import Controller
from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.broker.controller_queue import ControllerQueue
from raftkafka.broker.dispatch import Dispatch
from raftkafka.broker.fetcher import Fetchers, LeaderFetcher
from raftkafka.broker.handlers.controller import ControllerHandler
from raftkafka.broker.handlers.fetch import FetchHandler
from raftkafka.broker.handlers.metadata import MetadataHandler
from raftkafka.broker.handlers.offsets import OffsetsHandler
from raftkafka.broker.handlers.produce import ProduceHandler
from raftkafka.broker.handlers.topics import TopicsHandler
from raftkafka.broker.housekeeping import Duty, Housekeeping
from raftkafka.broker.isr import IsrProposer
from raftkafka.broker.log_dirs import LogDirs
from raftkafka.broker.membership import Membership
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.broker.reconciler import Reconciler
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.broker.statistics import StatisticsReader
from raftkafka.listeners.http import HttpServer
from raftkafka.listeners.server import BrokerServer
from raftkafka.metadata.image import Image
from raftkafka.model.api.broker_lifecycle import ListenerEndpoint
from raftkafka.model.errors import RaftKafkaError
from raftkafka.model.ids import BrokerEpoch, NodeId, TopicId
from raftkafka.model.settings.values import FlushPolicy, Listener, Settings
from raftkafka.node.loop_delay import LoopDelayMeter
from raftkafka.ports.clock import Clock
from raftkafka.ports.disk import Disk

_log = logging.getLogger("raftkafka.node")

CONTROLLED_SHUTDOWN_S = 5.0
CONNECT_TIMEOUT_S = 1.0
RECOVERY_CHECKPOINT_INTERVAL_S = 60.0


class Node:
    """A broker, a voter and, while it leads Raft, the controller, in one event loop."""

    def __init__(
        self, settings: Settings, *, disk: Disk | None = None, clock: Clock | None = None, random: Random | None = None
    ) -> None:
        self.settings = settings
        self._disk = disk if disk is not None else OsDisk()
        self._clock = clock if clock is not None else SystemClock()
        self._random = random if random is not None else Random(secrets.randbits(64))
        # A cluster of one talks to itself; it needs a secret, but nobody else needs to know it.
        self._secret = settings.cluster_secret or secrets.token_bytes(32)
        self._failure: asyncio.Future[None] | None = None
        self._started = False
        self._background: set[asyncio.Task[None]] = set()

    # What others may ask of a running node

    @property
    def broker_port(self) -> int:
        return self._servers[0].port

    @property
    def http_port(self) -> int | None:
        return self._http.port if self._http is not None else None

    @property
    def image(self) -> Image:
        return self._store.image

    async def failure(self) -> None:
        """Raises what stopped the node, when something does."""
        assert self._failure is not None
        await asyncio.shield(self._failure)

    def ready(self) -> tuple[bool, str]:
        """Whether this node takes part, and what it waits for where not."""
        waiting_for = self._consensus.waiting_for
        if waiting_for is not None:
            return False, waiting_for
        if self._membership.fenced:
            return False, f"not registered yet: {self._membership.last_error}"
        return True, "ready"

    # Life

    async def start(self) -> None:
        """Bring the node up; it may still wait for other voters when this returns.

        Raises:
            StartupError: it cannot run here; nothing was changed.
        """
        self._failure = asyncio.get_running_loop().create_future()
        self._probe = PrometheusProbe()
        self._replicas = ReplicaTable()
        self._log_dirs = self._open_log_dirs()
        self._assemble()
        try:
            for server in self._servers:
                await server.start()
            if self._http is not None:
                await self._http.start()
            await self._consensus.start()
        except RaftKafkaError:
            await self._stop_parts()
            raise
        self._reconciler.start()
        self._membership.start(self._advertised())
        self._housekeeping.start()
        self._loop_delay.start()
        self._started = True
        for listener, server in zip(self.settings.listeners, self._servers, strict=True):
            _log.info("node %d listens on %s:%d", self.settings.node_id, listener.host or "*", server.port)
        if self._http is not None:
            _log.info("metrics and health on http port %d", self._http.port)
        self._spawn(self._say_what_is_missing())

    async def stop(self) -> None:
        """Stop cleanly: leaderships move first, everything is synced, and the logs are marked as cleanly closed."""
        if not self._started:
            return
        self._started = False
        for task in list(self._background):
            task.cancel()
        if len(self._store.image.brokers) > 1:
            await self._membership.leave(timeout_s=CONTROLLED_SHUTDOWN_S)
        await self._stop_parts()

    async def _stop_parts(self) -> None:
        self._loop_delay.stop()
        await self._housekeeping.stop()
        for server in self._servers:
            await server.stop()
        if self._http is not None:
            await self._http.stop()
        await self._membership.stop()
        self._fetchers.stop()
        await self._isr.stop()
        await self._reconciler.stop()
        await self._controller.stop()
        await self._peers.close()
        await self._consensus.stop()
        await self._log_dirs.close(broker_epoch=self._membership.broker_epoch)

    async def _say_what_is_missing(self) -> None:
        """A node that waits says for what, once a second at first, then whenever it changes."""
        said = ""
        while True:
            ready, reason = self.ready()
            if ready:
                _log.info("node %d is ready", self.settings.node_id)
                return
            if reason != said:
                said = reason
                _log.info("%s", reason)
            await asyncio.sleep(1)

    def _fail(self, error: BaseException) -> None:
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)
            # Whoever embeds the node may not be looking; the log always tells.
            _log.critical("the node stops: %s", error)

    # Assembly

    def _open_log_dirs(self) -> LogDirs:
        """Raises StartupError for a directory that is locked, another broker's, or damaged."""
        return LogDirs(
            disk=self._disk,
            settings=self.settings,
            clock=self._clock,
            probe=self._probe,
            now=asyncio.get_running_loop().time,
            new_id=lambda: uuid4().bytes,
            isr_may_change=self._consider_isr,
            on_all_failed=self._fail,
        )

    def _assemble(self) -> None:
        settings = self.settings
        node_id = settings.node_id
        timeout_s = settings.controller.request_timeout_ms / 1000
        self._store = MetadataStore()
        self._consensus = RaftConsensus(
            node_id=node_id,
            cluster_secret=self._secret,
            voters=settings.voters,
            listen=settings.controller_listener,
            settings=settings.controller,
            directory=str(settings.metadata_log_dir or settings.log_dirs[0] / "__cluster_metadata"),
            disk=self._disk,
            machine=self._store,
            probe=self._probe,
            random=Random(self._random.getrandbits(64)),
            on_fatal=self._fail,
        )
        self._peers = NodePeers(
            node_id=node_id,
            cluster_secret=self._secret,
            resolve=self._resolve,
            client_id=f"node-{node_id}",
            connect_timeout_s=CONNECT_TIMEOUT_S,
        )
        queue = ControllerQueue(consensus=self._consensus, store=self._store, probe=self._probe, timeout_s=timeout_s)
        self._controller = Controller(
            settings=settings,
            consensus=self._consensus,
            queue=queue,
            store=self._store,
            peers=self._peers,
            probe=self._probe,
            random=Random(self._random.getrandbits(64)),
            new_cluster_id=lambda: uuid4().hex,
            new_topic_id=lambda: TopicId(uuid4().bytes),
        )
        channel = ControllerChannel(consensus=self._consensus, controller=self._controller, peers=self._peers)
        self._membership = Membership(
            node_id=node_id,
            cluster_id=self._log_dirs.cluster_id,
            incarnation_id=uuid4().bytes,
            rack=settings.rack,
            channel=channel,
            store=self._store,
            settings=settings.controller,
            previous_broker_epoch=self._log_dirs.previous_broker_epoch,
            on_registered=self._registered,
            on_fatal=self._fail,
        )
        self._consensus.on_leader_change(lambda leader, term: self._membership.controller_changed())
        self._isr = IsrProposer(
            node_id=node_id,
            broker_epoch=self._broker_epoch,
            is_eligible=self._is_active,
            channel=channel,
            probe=self._probe,
            timeout_s=timeout_s,
        )
        self._fetchers = Fetchers(self._make_fetcher)
        self._reconciler = Reconciler(
            node_id=node_id,
            store=self._store,
            replicas=self._replicas,
            logs=self._log_dirs,
            fetchers=self._fetchers,
            min_insync_replicas=settings.log.min_insync_replicas,
        )
        self._assemble_listeners(channel, timeout_s)
        self._housekeeping = Housekeeping(self._duties())
        self._loop_delay = LoopDelayMeter(self._probe)
        self._probe.watch(
            StatisticsReader(
                consensus=self._consensus, store=self._store, replicas=self._replicas, membership=self._membership
            )
        )

    def _assemble_listeners(self, channel: ControllerChannel, timeout_s: float) -> None:
        settings = self.settings
        dispatch = Dispatch(
            produce=ProduceHandler(
                replicas=self._replicas,
                store=self._store,
                clock=self._clock,
                has_lease=self._membership.has_lease,
            ),
            fetch=FetchHandler(replicas=self._replicas, store=self._store),
            offsets=OffsetsHandler(replicas=self._replicas, store=self._store),
            metadata=MetadataHandler(
                store=self._store,
                consensus=self._consensus,
                channel=channel,
                auto_create_topics=settings.auto_create_topics_enable,
                timeout_s=timeout_s,
            ),
            topics=TopicsHandler(channel=channel, store=self._store),
            controller=ControllerHandler(controller=self._controller),
            probe=self._probe,
            now=asyncio.get_running_loop().time,
        )
        self._servers = [
            BrokerServer(
                listener=listener,
                dispatch=dispatch,
                settings=settings.network,
                node_id=settings.node_id,
                cluster_secret=self._secret,
                probe=self._probe,
            )
            for listener in settings.listeners
        ]
        self._http = (
            None
            if settings.http_listener is None
            else HttpServer(listener=settings.http_listener, metrics=self._probe.expose, ready=self.ready)
        )

    def _make_fetcher(self, leader_id: NodeId) -> LeaderFetcher:
        return LeaderFetcher(
            node_id=self.settings.node_id,
            leader_id=leader_id,
            broker_epoch=self._broker_epoch,
            peers=self._peers,
            settings=self.settings.replica,
            flush_policy=self.settings.log.flush_policy,
            flusher_of=self._log_dirs.flusher_of,
        )

    def _duties(self) -> list[Duty]:
        settings = self.settings
        replica = settings.replica
        duties = [
            Duty(
                name="high watermark checkpoint",
                interval_s=replica.high_watermark_checkpoint_interval_ms / 1000,
                work=self._log_dirs.checkpoint_watermarks,
            ),
            Duty(
                name="recovery point checkpoint",
                interval_s=RECOVERY_CHECKPOINT_INTERVAL_S,
                work=self._log_dirs.checkpoint_recovery_points,
            ),
            Duty(
                name="retention",
                interval_s=settings.log.retention_check_interval_ms / 1000,
                work=self._log_dirs.delete_old_segments,
            ),
            Duty(name="ISR", interval_s=replica.lag_time_max_ms / 2000, work=self._sweep_isr),
        ]
        if settings.log.flush_policy is FlushPolicy.INTERVAL:
            duties.append(
                Duty(name="flush", interval_s=settings.log.flush_interval_ms / 1000, work=self._log_dirs.flush_all)
            )
        return duties

    async def _sweep_isr(self) -> None:
        self._isr.sweep(self._replicas)

    # Wiring that needs the whole node

    def _broker_epoch(self) -> BrokerEpoch:
        return self._membership.broker_epoch

    def _consider_isr(self, partition: Partition) -> None:
        self._isr.consider(partition)

    def _is_active(self, node_id: NodeId) -> bool:
        return self._store.image.is_active(node_id)

    def _resolve(self, node_id: NodeId) -> tuple[str, int] | None:
        broker = self._store.image.brokers.get(node_id)
        return None if broker is None else (broker.listeners[0].host, broker.listeners[0].port)

    def _registered(self, cluster_id: str, broker_epoch: BrokerEpoch) -> None:
        try:
            self._log_dirs.stamp(cluster_id)
        except RaftKafkaError as error:
            self._fail(error)
            return
        self._spawn(self._delete_strays_when_current(broker_epoch))

    async def _delete_strays_when_current(self, broker_epoch: BrokerEpoch) -> None:
        """Once the registration is applied here, the image is current: what it does not name is gone for good."""
        own = self.settings.node_id

        def applied(image: Image) -> bool:
            broker = image.brokers.get(own)
            return broker is not None and broker.epoch >= broker_epoch

        while not await self._store.wait_for(applied, timeout_s=60):
            _log.info("waiting for this broker's registration to be applied")
        self._reconciler.delete_strays()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _advertised(self) -> tuple[ListenerEndpoint, ...]:
        given = {listener.name: listener for listener in self.settings.advertised_listeners}
        endpoints: list[ListenerEndpoint] = []
        for listener, server in zip(self.settings.listeners, self._servers, strict=True):
            shown = given.get(listener.name) or Listener(name=listener.name, host=_reachable(listener.host), port=0)
            endpoints.append(ListenerEndpoint(name=shown.name, host=shown.host, port=shown.port or server.port))
        return tuple(endpoints)


def _reachable(host: str) -> str:
    """The address to advertise for a listener: all interfaces are not an address, this host's name is."""
    return socket.gethostname() if host in {"", "0.0.0.0", "::"} else host
