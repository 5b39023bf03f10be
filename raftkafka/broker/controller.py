"""The controller: the duties of whichever node leads Raft.

Floor 3. It hears brokers (soft state), fences those that fall silent, and lets `metadata.decide` say what a request
changes. It acts only between a barrier in its own term and the loss of its leadership. A closed connection is news: the
broker behind it is probed at once and fenced when it does not answer, so that fail-over need not wait for a session to
run out. The probe is repeated while the link stays down, because a process that dies may still have answered the first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final

from raftkafka.broker import background
from raftkafka.broker.controller_queue import ControllerQueue, Decide
from raftkafka.broker.leader_balance import LeaderBalance
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.sessions import Sessions
from raftkafka.broker.zookeeper.upkeep import ZooKeeperUpkeep
from raftkafka.metadata.decide import (
    Decision,
    brokers,
    configs,
    elections,
    features,
    new_partitions,
    partitions,
    producers,
    quotas,
    reassignments,
    topics,
    znodes,
)
from raftkafka.metadata.decide.kafka_nodes import Rules
from raftkafka.metadata.image import Broker, Defaults, Image
from raftkafka.metadata.znodes.kafka_nodes import CONTROLLER
from raftkafka.model.api import Request, Response
from raftkafka.model.api.broker_lifecycle import (
    AlterPartition,
    BrokerHeartbeat,
    BrokerHeartbeatResponse,
    BrokerRegistration,
)
from raftkafka.model.api.configs import IncrementalAlterConfigs
from raftkafka.model.api.elections import ElectLeaders
from raftkafka.model.api.features import UpdateFeatures
from raftkafka.model.api.partitions import CreatePartitions
from raftkafka.model.api.producers import AllocateProducerIds
from raftkafka.model.api.quorum import (
    NO_DIRECTORY,
    AddRaftVoter,
    AddRaftVoterResponse,
    RemoveRaftVoter,
    RemoveRaftVoterResponse,
)
from raftkafka.model.api.quotas import AlterClientQuotas
from raftkafka.model.api.reassignments import AlterPartitionReassignments, ListPartitionReassignments
from raftkafka.model.api.topics import CreateTopics, DeleteTopics
from raftkafka.model.api.znodes import AlterZkSession, ChangeZnodes, TouchZkSessions
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.features import SUPPORTED, FeatureRange
from raftkafka.model.ids import NodeId, Term, TimestampMs, TopicId
from raftkafka.model.settings.values import Settings
from raftkafka.ports.consensus import Consensus, NotLeaderError, OutcomeUnknownError, RaftVoter
from raftkafka.ports.peer import Peers
from raftkafka.ports.probe import Probe

_log = logging.getLogger("raftkafka.controller")

INITIALIZE_RETRY_S: Final = 0.1
BARRIER_RETRY_S: Final = 0.02
PROBES: Final = 2
"""Probes of a broker whose link was closed, as long as each is answered and the link stays down."""
PROBE_AGAIN_S: Final = 0.2
VOTER_PATIENCE_MAX_S: Final = 60.0
"""For an observer that catches up, whatever the request allows."""


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
        known_features: FeatureRange = SUPPORTED,
        new_cluster_id: Callable[[], str],
        new_topic_id: Callable[[], TopicId],
        now_ms: Callable[[], TimestampMs],
    ) -> None:
        self._settings = settings
        self._consensus = consensus
        self._queue = queue
        self._store = store
        self._peers = peers
        self._probe = probe
        self._random = random
        self._features = known_features
        self._new_cluster_id = new_cluster_id
        self._new_topic_id = new_topic_id
        self._sessions = Sessions(timeout_s=settings.controller.broker_session_timeout_ms / 1000)
        self._tasks: set[asyncio.Task[None]] = set()
        self._suspected: dict[NodeId, int] = {}
        self._fencing: set[NodeId] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._term: Term | None = None
        self._next_tick = 0.0
        self._vacated = -1
        self._balance = LeaderBalance(settings=settings.controller, store=store, submit=queue.submit, probe=probe)
        self._zookeeper = ZooKeeperUpkeep(
            store=store,
            submit=queue.submit,
            now=self._now,
            now_ms=now_ms,
            probe=probe,
            delete_topic_enable=settings.delete_topic_enable,
        )
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
            case AddRaftVoter() | RemoveRaftVoter():
                return await self._change_voters(request)
            case UpdateFeatures():
                return await self._submit(
                    lambda image: features.decide_update_features(image, request, known=self._features)
                )
            case CreateTopics():
                return await self._submit(lambda image: self._create_topics(image, request))
            case DeleteTopics():
                enabled = self._settings.delete_topic_enable
                return await self._submit(
                    lambda image: topics.decide_delete_topics(image, request, delete_topic_enable=enabled)
                )
            case AllocateProducerIds():
                return await self._submit(lambda image: producers.decide_allocate_producer_ids(image, request))
            case CreatePartitions():
                return await self._submit(
                    lambda image: new_partitions.decide_create_partitions(image, request, random=self._random)
                )
            case AlterPartitionReassignments():
                return await self._submit(lambda image: reassignments.decide_reassign(image, request))
            case ListPartitionReassignments():
                return await self._submit(lambda _: reassignments.decide_list_reassignments(request))
            case IncrementalAlterConfigs():
                return await self._submit(lambda image: configs.decide_alter_configs(image, request))
            case AlterClientQuotas():
                return await self._submit(lambda image: quotas.decide_alter_quotas(image, request))
            case AlterZkSession():
                return await self._submit(lambda image: znodes.decide_alter_session(image, request))
            case ChangeZnodes():
                answer = await self._submit(lambda image: znodes.decide_change_znodes(image, request, self._rules()))
                self._look_for_resignation()
                return answer
            case TouchZkSessions():
                return self._zookeeper.heard(request)
            case ElectLeaders():
                return await self._submit(lambda image: elections.decide_elect_leaders(image, request))
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
        elected = leader == self._consensus.node_id
        if elected and term == self._term:
            return
        if self._term is not None:
            _log.info("no longer the controller of term %d", self._term)
            self._resign()
        if elected:
            self._term = term
            self._spawn(self._enter_office(term))

    async def _enter_office(self, term: Term) -> None:
        """The image of a new leader may be behind what earlier ones committed: decide nothing before it has caught up."""
        timeout_s = self._settings.controller.request_timeout_ms / 1000
        while self._term == term:
            try:
                await self._consensus.barrier(timeout_s=timeout_s)
            except (NotLeaderError, OutcomeUnknownError) as error:
                _log.info("elected in term %d, but not in office yet: %s", term, error)
                await asyncio.sleep(BARRIER_RETRY_S)
            else:
                break
        if self._term == term:
            self._take_office(term)

    def _take_office(self, term: Term) -> None:
        _log.info("this node is the controller, term %d", term)
        self.active = True
        now = self._now()
        image = self._store.image
        self._sessions.begin(self._unfenced(), now)
        self._zookeeper.begin()
        self._next_tick = now
        self._tick()
        self._spawn(self._initialize(term))
        self._balance.begin()
        # The link to a broker that died before this moment is down already and will not be news again.
        for broker in image.brokers.values():
            if not broker.fenced and broker.node_id != self._consensus.node_id and not self._linked(broker.node_id):
                self._suspect(broker.node_id)

    def _resign(self) -> None:
        self.active = False
        self._term = None
        self._balance.end()
        self._zookeeper.end()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._queue.fail_all(ApiError(ErrorCode.NOT_CONTROLLER, "this node is no longer the controller"))

    async def _initialize(self, term: Term) -> None:
        """Name the cluster, make it agree on this controller's settings, say who that is; repeated until that is so."""
        cluster_id, level = self._new_cluster_id(), self._features.highest
        log = self._settings.log
        defaults = Defaults(
            min_insync_replicas=log.min_insync_replicas, unclean_leader_election=log.unclean_leader_election_enable
        )

        def settled(image: Image) -> bool:
            named = bool(image.cluster_id) and image.configured_defaults == defaults
            return named and not brokers.is_vacant(image, self._consensus.node_id, term)

        while self.active and self._term == term and not settled(self._store.image):
            try:
                await self._submit(
                    lambda image: brokers.decide_initialize_cluster(image, cluster_id, feature_level=level)
                )
                await self._submit(lambda image: brokers.decide_defaults(image, defaults))
                await self._submit(lambda image: brokers.decide_take_office(image, self._consensus.node_id, term))
            except ApiError as error:
                _log.info("the cluster has no id yet, or other settings than these: %s", error)
                await asyncio.sleep(INITIALIZE_RETRY_S)

    def _look_for_resignation(self) -> None:
        """A ZooKeeper client may have deleted /controller: as in Kafka somebody takes office anew, here who leads Raft still."""
        term = self._term
        if term is None or not self.active or self._store.image.znodes.get(CONTROLLER) is not None:
            return
        if self._store.image.controller_epoch < term:
            # It has not been said yet that this node is the controller.
            return
        if self._vacated != self._store.image.controller_epoch:
            self._vacated = self._store.image.controller_epoch
            _log.warning("a ZooKeeper client has deleted /controller: taking office again, in the same term %d", term)
            self._resign()
            self._term = term
            self._take_office(term)

    # Brokers

    async def _register(self, request: BrokerRegistration) -> Response:
        alive = await self._earlier_incarnation_lives(request)
        answer = await self._submit(lambda image: brokers.decide_register(image, request, alive=alive))
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
        if any(True for _ in partitions.losses(self._store.image, request)):
            await self._submit(lambda image: partitions.decide_lose_replicas(image, request))
        if request.want_shut_down and not broker.in_controlled_shutdown:
            await self._submit(lambda image: brokers.decide_controlled_shutdown(image, request.broker_id))
        elif broker.fenced and request.applied_index >= broker.epoch and not request.want_shut_down:
            await self._unfence(broker)
        return brokers.heartbeat_response(self._store.image, request.broker_id, request.broker_epoch)

    async def _unfence(self, broker: Broker) -> None:
        await self._submit(lambda image: brokers.decide_unfence(image, broker.node_id, broker.epoch))

    async def _fence(self, broker: Broker, reason: str, *, silent: bool) -> bool:
        """Fence this registration of a broker, not one that came after it; True when nothing is left to do."""
        node_id = broker.node_id
        _log.warning("fencing broker %d: %s", node_id, reason)
        led = sum(1 for _ in self._store.image.led_by(node_id))
        try:
            await self._submit(lambda image: brokers.decide_fence(image, node_id, broker.epoch, silent=silent))
        except ApiError as error:
            _log.warning("broker %d could not be fenced: %s", node_id, error)
            return False
        after = self._store.image.brokers.get(node_id)
        if after is None or after.fenced:
            self._sessions.forget(node_id)
        for _ in range(led):
            self._probe.leader_election()
        return True

    def _peer_changed(self, node_id: NodeId, connected: bool) -> None:
        if self.active and not connected:
            self._suspect(node_id)

    def _linked(self, node_id: NodeId) -> bool:
        return self._consensus.is_connected(node_id)

    def _suspect(self, node_id: NodeId) -> None:
        """Find out whether this broker lives; one task per broker, and every piece of news begins its count anew."""
        running = node_id in self._suspected
        self._suspected[node_id] = PROBES
        if not running:
            self._spawn(self._investigate(node_id))

    async def _investigate(self, node_id: NodeId) -> None:
        try:
            while self.active and self._suspected[node_id]:
                self._suspected[node_id] -= 1
                broker = self._store.image.brokers.get(node_id)
                if broker is None or broker.fenced:
                    return
                answers = await self._peers.probe(node_id, timeout_s=self._probe_timeout_s)
                if not answers and self.active:
                    if await self._fence(broker, "its connection was closed and it does not answer", silent=False):
                        return
                    # Nothing is known of the outcome: look again.
                    self._suspected[node_id] = PROBES
                if self._suspected[node_id]:
                    await asyncio.sleep(PROBE_AGAIN_S)
                    if self._linked(node_id):
                        return
        finally:
            del self._suspected[node_id]

    # Voters

    async def _change_voters(self, request: AddRaftVoter | RemoveRaftVoter) -> Response:
        """What the log says of the voters is Raft's own; the metadata and its queue have no part in it."""
        cluster_id, timeout_s = self._store.image.cluster_id, min(request.timeout_ms / 1000, VOTER_PATIENCE_MAX_S)
        if request.cluster_id not in (None, cluster_id):
            raise ApiError(ErrorCode.INCONSISTENT_CLUSTER_ID, f"this is cluster {cluster_id}")
        directory_id = b"" if request.voter_directory_id == NO_DIRECTORY else request.voter_directory_id
        try:
            if isinstance(request, RemoveRaftVoter):
                await self._consensus.remove_voter(request.voter_id, directory_id, timeout_s=timeout_s)
                return RemoveRaftVoterResponse()
            voter = RaftVoter(node_id=request.voter_id, host=request.host, port=request.port, directory_id=directory_id)
            await self._consensus.add_voter(voter, timeout_s=timeout_s)
            return AddRaftVoterResponse()
        except NotLeaderError as error:
            raise ApiError(ErrorCode.NOT_CONTROLLER, str(error)) from error
        except OutcomeUnknownError as error:
            raise ApiError(ErrorCode.REQUEST_TIMED_OUT, f"the outcome is unknown: {error}") from error

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

    def _rules(self) -> Rules:
        return Rules(
            delete_topic_enable=self._settings.delete_topic_enable,
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
        now = self._now()
        timeout_s = self._settings.controller.broker_session_timeout_ms / 1000
        late_s, self._next_tick = now - self._next_tick, now + timeout_s / 10
        self._timer = asyncio.get_running_loop().call_at(self._next_tick, self._tick)
        if late_s > timeout_s / 2:
            # This node slept. Heartbeats may be waiting unread in its sockets, so nobody's silence means anything.
            self._sessions.begin(self._unfenced(), now)
            self._zookeeper.begin()
            return
        if self._zookeeper.due():
            self._spawn(self._zookeeper.work())
        for node_id in self._sessions.expired(now):
            broker = self._store.image.brokers.get(node_id)
            if broker is None or broker.fenced:
                self._sessions.forget(node_id)
            elif node_id not in self._fencing:
                self._fencing.add(node_id)
                self._spawn(self._fence_silent(broker))

    async def _fence_silent(self, broker: Broker) -> None:
        try:
            await self._fence(broker, "no heartbeat within broker.session.timeout.ms", silent=True)
        finally:
            self._fencing.discard(broker.node_id)

    def _unfenced(self) -> list[NodeId]:
        return [broker.node_id for broker in self._store.image.brokers.values() if not broker.fenced]

    async def _submit(self, decide: Decide) -> Response:
        return await self._queue.submit(decide)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = background.start(work, name="controller")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
