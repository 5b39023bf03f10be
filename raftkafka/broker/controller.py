"""The controller: the duties of whichever node leads Raft.

Floor 3. It hears brokers (soft state), fences those that fall silent, and lets `metadata.decide` say what a request
changes. It acts only between a barrier in its own term and the loss of its leadership. A closed connection is news: the
broker behind it is probed at once and fenced when it does not answer, so that fail-over need not wait for a session to
run out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final

from raftkafka.broker.controller_queue import ControllerQueue, Decide
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.sessions import Sessions
from raftkafka.metadata.decide import Decision, brokers, partitions, topics
from raftkafka.metadata.image import Broker, Image
from raftkafka.model.api import Request, Response
from raftkafka.model.api.broker_lifecycle import (
    AlterPartition,
    BrokerHeartbeat,
    BrokerHeartbeatResponse,
    BrokerRegistration,
)
from raftkafka.model.api.topics import CreateTopics, DeleteTopics
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId, Term, TopicId
from raftkafka.model.settings.values import Settings
from raftkafka.ports.consensus import Consensus
from raftkafka.ports.peer import Peers
from raftkafka.ports.probe import Probe

_log = logging.getLogger("raftkafka.controller")

INITIALIZE_RETRY_S: Final = 0.1


class Controller:
    """Asleep on every node but the one that leads Raft."""

    def __init__(
        self,
        *,
        settings: Settings,
        consensus: Consensus,
        queue: ControllerQueue,
        store: MetadataStore,
        peers: Peers,
        probe: Probe,
        random: Random,
        new_cluster_id: Callable[[], str],
        new_topic_id: Callable[[], TopicId],
    ) -> None:
        self._settings = settings
        self._consensus = consensus
        self._queue = queue
        self._store = store
        self._peers = peers
        self._probe = probe
        self._random = random
        self._new_cluster_id = new_cluster_id
        self._new_topic_id = new_topic_id
        self._sessions = Sessions(timeout_s=settings.controller.broker_session_timeout_ms / 1000)
        self._tasks: set[asyncio.Task[None]] = set()
        self._probing: set[NodeId] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.active = False
        consensus.on_leader_change(self._leader_changed)
        consensus.on_peer_change(self._peer_changed)

    async def handle(self, request: Request) -> Response:
        """Answer what only the controller may answer.

        Raises:
            ApiError: NOT_CONTROLLER when this node is not (any more) the one.
        """
        if not self.active:
            raise ApiError(ErrorCode.NOT_CONTROLLER, "this node is not the controller")
        match request:
            case BrokerHeartbeat():
                return await self._heartbeat(request)
            case BrokerRegistration():
                return await self._register(request)
            case AlterPartition():
                return await self._submit(lambda image: partitions.decide_alter_partition(image, request))
            case CreateTopics():
                return await self._submit(lambda image: self._create_topics(image, request))
            case DeleteTopics():
                enabled = self._settings.delete_topic_enable
                return await self._submit(
                    lambda image: topics.decide_delete_topics(image, request, delete_topic_enable=enabled)
                )
            case _:
                raise ApiError(ErrorCode.INVALID_REQUEST, f"{type(request).__name__} is not for the controller")

    async def stop(self) -> None:
        self._resign()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # Taking and leaving office

    def _leader_changed(self, leader: NodeId | None, term: Term) -> None:
        if leader == self._consensus.node_id:
            self._take_office(term)
        elif self.active:
            _log.info("no longer the controller, term %d", term)
            self._resign()

    def _take_office(self, term: Term) -> None:
        _log.info("this node is the controller, term %d", term)
        self.active = True
        now = self._now()
        image = self._store.image
        self._sessions.begin([broker.node_id for broker in image.brokers.values() if not broker.fenced], now)
        if self._timer is None:
            self._tick()
        if not image.cluster_id:
            self._spawn(self._initialize())
        # The link to a broker that died together with the old controller is down already and will not be news again.
        linked = {voter.node_id for voter in self._consensus.voters() if voter.connected}
        for broker in image.brokers.values():
            if not broker.fenced and broker.node_id not in linked and broker.node_id != self._consensus.node_id:
                self._spawn(self._probe_and_fence(broker.node_id))

    def _resign(self) -> None:
        self.active = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._queue.fail_all(ApiError(ErrorCode.NOT_CONTROLLER, "this node is no longer the controller"))

    async def _initialize(self) -> None:
        """Name the cluster; repeated until it has a name, by this controller or another."""
        cluster_id = self._new_cluster_id()
        while self.active and not self._store.image.cluster_id:
            try:
                await self._submit(lambda image: brokers.decide_initialize_cluster(image, cluster_id))
            except ApiError as error:
                _log.info("the cluster has no id yet: %s", error)
                await asyncio.sleep(INITIALIZE_RETRY_S)

    # Brokers

    async def _register(self, request: BrokerRegistration) -> Response:
        alive = await self._earlier_incarnation_lives(request)
        unclean = self._settings.log.unclean_leader_election_enable
        answer = await self._submit(
            lambda image: brokers.decide_register(image, request, alive=alive, unclean_default=unclean)
        )
        self._sessions.touch(request.broker_id, self._now())
        return answer

    async def _earlier_incarnation_lives(self, request: BrokerRegistration) -> bool:
        """True when another process holds this broker id: unfenced, at another address, and answering there."""
        known = self._store.image.brokers.get(request.broker_id)
        if known is None or known.fenced or known.incarnation_id == request.incarnation_id:
            return False
        if known.listeners == request.listeners:
            # Who listens there now is the one that asks: two processes cannot share an address.
            return False
        return await self._peers.probe(request.broker_id, timeout_s=self._probe_timeout_s)

    async def _heartbeat(self, request: BrokerHeartbeat) -> BrokerHeartbeatResponse:
        broker = self._store.image.brokers.get(request.broker_id)
        if broker is None:
            return BrokerHeartbeatResponse(error_code=ErrorCode.BROKER_ID_NOT_REGISTERED)
        if broker.epoch != request.broker_epoch:
            return BrokerHeartbeatResponse(error_code=ErrorCode.STALE_BROKER_EPOCH)
        self._sessions.touch(request.broker_id, self._now())
        if request.want_shut_down and not broker.in_controlled_shutdown:
            await self._submit(lambda image: brokers.decide_controlled_shutdown(image, request.broker_id))
        elif broker.fenced and request.applied_index >= broker.epoch and not request.want_shut_down:
            await self._unfence(broker)
        return brokers.heartbeat_response(self._store.image, request.broker_id, request.broker_epoch)

    async def _unfence(self, broker: Broker) -> None:
        unclean = self._settings.log.unclean_leader_election_enable
        await self._submit(
            lambda image: brokers.decide_unfence(image, broker.node_id, broker.epoch, unclean_default=unclean)
        )

    async def _fence(self, node_id: NodeId, reason: str) -> None:
        broker = self._store.image.brokers.get(node_id)
        if broker is None or broker.fenced:
            return
        _log.warning("fencing broker %d: %s", node_id, reason)
        unclean = self._settings.log.unclean_leader_election_enable
        led = sum(1 for _ in self._store.image.led_by(node_id))
        try:
            await self._submit(
                lambda image: brokers.decide_fence(image, node_id, broker.epoch, unclean_default=unclean)
            )
        except ApiError as error:
            _log.warning("broker %d could not be fenced: %s", node_id, error)
            return
        self._sessions.forget(node_id)
        for _ in range(led):
            self._probe.leader_election()

    def _peer_changed(self, node_id: NodeId, connected: bool) -> None:
        if self.active and not connected:
            self._spawn(self._probe_and_fence(node_id))

    async def _probe_and_fence(self, node_id: NodeId) -> None:
        broker = self._store.image.brokers.get(node_id)
        if broker is None or broker.fenced or node_id in self._probing:
            return
        self._probing.add(node_id)
        try:
            answers = await self._peers.probe(node_id, timeout_s=self._probe_timeout_s)
        finally:
            self._probing.discard(node_id)
        if self.active and not answers:
            await self._fence(node_id, "its connection was closed and it does not answer")

    # Topics

    def _create_topics(self, image: Image, request: CreateTopics) -> Decision:
        settings = self._settings
        return topics.decide_create_topics(
            image,
            request,
            default_partitions=settings.num_partitions,
            default_replication_factor=settings.default_replication_factor,
            new_topic_id=self._new_topic_id,
            random=self._random,
        )

    # Time

    @property
    def _probe_timeout_s(self) -> float:
        return self._settings.controller.probe_timeout_ms / 1000

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _tick(self) -> None:
        """Ten times per session time-out: who has fallen silent?"""
        interval = self._settings.controller.broker_session_timeout_ms / 10_000
        self._timer = asyncio.get_running_loop().call_later(interval, self._tick)
        for node_id in self._sessions.expired(self._now()):
            self._sessions.touch(node_id, self._now())
            self._spawn(self._fence(node_id, "no heartbeat within broker.session.timeout.ms"))

    async def _submit(self, decide: Decide) -> Response:
        return await self._queue.submit(decide)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
