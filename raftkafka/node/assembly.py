"""One node, put together once: every dependency enters here and nowhere else.

Floor 5. Nothing is started here; `lifecycle` does that, in order.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final
from uuid import UUID

from raftkafka.adapters.peers import NodePeers
from raftkafka.adapters.prometheus import PrometheusProbe
from raftkafka.adapters.raft.consensus import RaftConsensus
from raftkafka.adapters.tracing import Tracing
from raftkafka.broker.cleaner import LogCleaner
from raftkafka.broker.client_quotas import ClientQuotas
from raftkafka.broker.controller import Controller
from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.broker.controller_queue import ControllerQueue
from raftkafka.broker.dispatch import Dispatch
from raftkafka.broker.fetch_sessions import FetchSessions
from raftkafka.broker.fetcher import Fetchers, LeaderFetcher
from raftkafka.broker.groups.coordinator import GroupCoordinator
from raftkafka.broker.groups.offsets_topic import OffsetsTopic
from raftkafka.broker.handlers.committed_offsets import CommittedOffsetsHandler
from raftkafka.broker.handlers.configs import ConfigsHandler
from raftkafka.broker.handlers.controller import ControllerHandler
from raftkafka.broker.handlers.delete_records import DeleteRecordsHandler
from raftkafka.broker.handlers.fetch import FetchHandler
from raftkafka.broker.handlers.groups import GroupsHandler
from raftkafka.broker.handlers.log_dirs import LogDirsHandler
from raftkafka.broker.handlers.membership import MembershipHandler
from raftkafka.broker.handlers.metadata import MetadataHandler
from raftkafka.broker.handlers.offsets import OffsetsHandler
from raftkafka.broker.handlers.partitions import PartitionsHandler
from raftkafka.broker.handlers.produce import ProduceHandler
from raftkafka.broker.handlers.producers import ProducersHandler
from raftkafka.broker.handlers.quorum import QuorumHandler
from raftkafka.broker.handlers.quotas import QuotasHandler
from raftkafka.broker.handlers.topics import TopicsHandler
from raftkafka.broker.housekeeping import Duty, Housekeeping
from raftkafka.broker.isr import IsrProposer
from raftkafka.broker.live_settings import LiveSettings
from raftkafka.broker.log_dirs import LogDirs
from raftkafka.broker.membership import Membership
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.producer_ids import ProducerIds
from raftkafka.broker.reconciler import Reconciler
from raftkafka.broker.replica_selector import RackAwareReplicaSelector
from raftkafka.broker.replica_throttle import ReplicaThrottles
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.broker.statistics import StatisticsReader
from raftkafka.broker.zookeeper.service import ZooKeeperService
from raftkafka.client.polling import busy_poll
from raftkafka.listeners.http.server import HttpServer
from raftkafka.listeners.server import BrokerServer
from raftkafka.listeners.zookeeper.server import ZooKeeperLimits, ZooKeeperServer
from raftkafka.model.features import SUPPORTED, FeatureRange
from raftkafka.model.ids import BrokerEpoch, NodeId, TopicId
from raftkafka.model.settings.validate import validate
from raftkafka.model.settings.values import FlushPolicy, ReplicaSelector, Settings, TracesExporter
from raftkafka.model.zookeeper.sessions import PASSWORD_BYTES
from raftkafka.node.http_port import http_port
from raftkafka.node.loop_delay import LoopDelayMeter
from raftkafka.ports.clock import Clock
from raftkafka.ports.disk import Disk

if TYPE_CHECKING:
    from raftkafka.broker.tracing import TracedDispatch

CONNECT_TIMEOUT_S: Final = 1.0
RECOVERY_CHECKPOINT_INTERVAL_S: Final = 60.0
LOG_START_CHECKPOINT_INTERVAL_S: Final = 60.0
RAFT_DISK_CHECK_INTERVAL_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a node is made of, in the order in which it is put together."""

    probe: PrometheusProbe
    replicas: ReplicaTable
    log_dirs: LogDirs
    store: MetadataStore
    consensus: RaftConsensus
    peers: NodePeers
    controller: Controller
    membership: Membership
    isr: IsrProposer
    fetchers: Fetchers
    reconciler: Reconciler
    groups: GroupCoordinator
    servers: tuple[BrokerServer, ...]
    http: HttpServer | None
    zookeeper: tuple[ZooKeeperService, ZooKeeperServer] | None
    housekeeping: Housekeeping
    loop_delay: LoopDelayMeter
    tracing: Tracing | None


def assemble(
    settings: Settings,
    *,
    disk: Disk,
    clock: Clock,
    random: Random,
    on_fatal: Callable[[BaseException], None],
    on_registered: Callable[[str, BrokerEpoch], None],
    ready: Callable[[], tuple[bool, str]],
    features: FeatureRange = SUPPORTED,
) -> Parts:
    """Build a node on the running loop.

    Raises:
        ConfigurationError: the settings contradict each other, or open what has to stay closed.
        StartupError: a log directory is locked, another broker's, or damaged.
    """
    validate(settings)
    node_id = settings.node_id
    timeout_s = settings.controller.request_timeout_ms / 1000
    # A cluster of one talks to itself; it needs a secret, but nobody else needs to know it.
    secret = settings.cluster_secret or secrets.token_bytes(32)
    now = asyncio.get_running_loop().time
    polling = busy_poll(settings.network.busy_poll_us)

    def new_id() -> bytes:
        # From the node's own randomness, so that one seed is one history.
        return UUID(int=random.getrandbits(128), version=4).bytes

    def cluster_id() -> str:
        # What the disk says, where it does: the image may be that of another cluster's log.
        return log_dirs.cluster_id or store.image.cluster_id

    # First: whoever asks for traces without what they need is told before anything is touched.
    traced = settings.tracing.exporter is not TracesExporter.NONE
    tracing = Tracing.to_collector(settings.tracing, node_id=node_id) if traced else None
    probe = PrometheusProbe()
    replicas = ReplicaTable()
    store = MetadataStore(features=features)
    live = LiveSettings(settings, store)
    log_dirs = LogDirs(
        disk=disk,
        live=live,
        clock=clock,
        probe=probe,
        now=now,
        new_id=new_id,
        # The proposer needs the controller, which needs half the node: it is there long before a partition leads.
        isr_may_change=lambda partition: isr.consider(partition),  # noqa: PLW0108
        went_offline=lambda: membership.report_soon(),  # noqa: PLW0108
        on_all_failed=on_fatal,
    )
    consensus = RaftConsensus(
        node_id=node_id,
        cluster_secret=secret,
        voters=settings.voters,
        listen=settings.controller_listener,
        settings=settings.controller,
        directory=str((settings.metadata_log_dir or settings.log_dirs[0] / "__cluster_metadata").absolute()),
        disk=disk,
        machine=store,
        probe=probe,
        random=Random(random.getrandbits(64)),
        cluster_id=cluster_id,
        on_fatal=on_fatal,
    )
    peers = NodePeers(
        node_id=node_id,
        cluster_secret=secret,
        resolve=lambda each: _address(store, each),
        client_id=f"node-{node_id}",
        connect_timeout_s=CONNECT_TIMEOUT_S,
        cluster_id=cluster_id,
        busy_poll=polling,
    )
    controller = Controller(
        settings=settings,
        consensus=consensus,
        queue=_controller_queue(consensus, store, probe, timeout_s=timeout_s, clock=clock, tracing=tracing),
        store=store,
        peers=peers,
        probe=probe,
        random=Random(random.getrandbits(64)),
        known_features=features,
        new_cluster_id=lambda: new_id().hex(),
        new_topic_id=lambda: TopicId(new_id()),
        now_ms=clock.now_ms,
    )
    channel = ControllerChannel(consensus=consensus, controller=controller, peers=peers)
    membership = Membership(
        node_id=node_id,
        cluster_id=log_dirs.cluster_id,
        incarnation_id=new_id(),
        rack=settings.rack,
        channel=channel,
        store=store,
        settings=settings.controller,
        disks=log_dirs,
        offline_replicas=lambda: reconciler.offline(),  # noqa: PLW0108
        on_registered=on_registered,
        on_fatal=on_fatal,
        features=features,
    )
    consensus.on_leader_change(lambda leader, term: membership.report_soon())
    isr = IsrProposer(
        node_id=node_id,
        broker_epoch=lambda: membership.broker_epoch,
        is_eligible=lambda each: store.image.is_active(each),  # noqa: PLW0108 - the image of that moment
        channel=channel,
        probe=probe,
        timeout_s=timeout_s,
    )

    throttles = ReplicaThrottles(live=live, store=store, now=now)
    fetchers = Fetchers(
        lambda leader_id: LeaderFetcher(
            node_id=node_id,
            leader_id=leader_id,
            broker_epoch=lambda: membership.broker_epoch,
            peers=peers,
            settings=settings.replica,
            flush_policy=settings.log.flush_policy,
            flusher_of=log_dirs.flusher_of,
            now_ms=clock.now_ms,
            throttle=throttles.follower,
        )
    )
    groups = GroupCoordinator(
        store=store,
        topic=OffsetsTopic(
            store=store,
            channel=channel,
            settings=settings.groups,
            replication_factor=settings.groups.replication_factor(len(settings.voters)),
            timeout_s=timeout_s,
        ),
        settings=settings.groups,
        clock=clock,
        has_lease=membership.has_lease,
        new_uuid=lambda: str(UUID(bytes=new_id())),
    )
    reconciler = Reconciler(
        node_id=node_id,
        store=store,
        replicas=replicas,
        logs=log_dirs,
        fetchers=fetchers,
        live=live,
        role_changed=groups.role_changed,
    )
    fetch = FetchHandler(
        replicas=replicas,
        store=store,
        sessions=FetchSessions(
            slots=settings.fetch_session_slots,
            random=Random(random.getrandbits(64)),
            hurries=settings.replica_selector is not ReplicaSelector.LEADER,
        ),
        select_replica=RackAwareReplicaSelector(node_id=node_id, store=store)
        if settings.replica_selector is ReplicaSelector.RACK_AWARE
        else None,
        throttle=throttles.leader,
    )

    def throttle_anew() -> None:
        throttles.renew()
        fetchers.set_throttle(throttles.follower)
        fetch.throttle = throttles.leader

    live.on_change.append(throttle_anew)
    dispatch = Dispatch(
        produce=ProduceHandler(replicas=replicas, store=store, clock=clock, has_lease=membership.has_lease),
        fetch=fetch,
        offsets=OffsetsHandler(replicas=replicas, store=store),
        delete_records=DeleteRecordsHandler(
            replicas=replicas, store=store, save=log_dirs.save_log_starts, has_lease=membership.has_lease
        ),
        metadata=MetadataHandler(
            store=store,
            consensus=consensus,
            channel=channel,
            auto_create_topics=settings.auto_create_topics_enable,
            is_current=lambda: reconciler.is_current,
            timeout_s=timeout_s,
        ),
        topics=TopicsHandler(channel=channel, store=store),
        partitions=PartitionsHandler(channel=channel, store=store),
        controller=ControllerHandler(controller=controller),
        producers=ProducersHandler(
            ids=ProducerIds(
                node_id=node_id,
                broker_epoch=lambda: membership.broker_epoch,
                channel=channel,
                timeout_s=timeout_s,
            )
        ),
        quorum=QuorumHandler(channel=channel),
        configs=ConfigsHandler(settings=settings, store=store, channel=channel),
        log_dirs=LogDirsHandler(logs=log_dirs),
        quotas=QuotasHandler(store=store, channel=channel),
        client_quotas=ClientQuotas(
            store=store,
            probe=probe,
            now=now,
            window_num=settings.quota_window_num,
            window_size_s=settings.quota_window_size_s,
        ),
        groups=GroupsHandler(coordinator=groups, store=store),
        membership=MembershipHandler(coordinator=groups),
        committed_offsets=CommittedOffsetsHandler(coordinator=groups, store=store),
        probe=probe,
        now=now,
    )
    zookeeper = _zookeeper_port(
        settings,
        store=store,
        channel=channel,
        consensus=consensus,
        membership=membership,
        probe=probe,
        clock=clock,
        random=random,
        secret=secret,
    )
    probe.watch(
        StatisticsReader(
            consensus=consensus,
            store=store,
            replicas=replicas,
            log_dirs=log_dirs,
            membership=membership,
            groups=groups,
            clock=clock,
            zookeeper=None if zookeeper is None else zookeeper[1].statistics,
            traces=None if tracing is None else tracing.statistics,
        )
    )
    servers = tuple(
        BrokerServer(
            listener=listener,
            dispatch=dispatch if tracing is None else _traced(dispatch, tracing, store),
            settings=settings.network,
            node_id=node_id,
            cluster_secret=secret,
            cluster_id=cluster_id,
            probe=probe,
            busy_poll=polling,
        )
        for listener in settings.listeners
    )
    return Parts(
        probe=probe,
        replicas=replicas,
        log_dirs=log_dirs,
        store=store,
        consensus=consensus,
        peers=peers,
        controller=controller,
        membership=membership,
        isr=isr,
        fetchers=fetchers,
        reconciler=reconciler,
        groups=groups,
        servers=servers,
        http=http_port(
            settings,
            store=store,
            consensus=consensus,
            clock=clock,
            now=now,
            replicas=replicas,
            probe=probe,
            ready=ready,
            own_port=lambda: servers[0].port,
        ),
        zookeeper=zookeeper,
        housekeeping=Housekeeping(
            [
                *_duties(
                    settings, log_dirs, isr, replicas, LogCleaner(logs=log_dirs, settings=lambda: live.log, clock=clock)
                ),
                Duty(name="Raft's directory", interval_s=RAFT_DISK_CHECK_INTERVAL_S, work=consensus.check_disk),
                Duty(
                    name="expiry of committed offsets",
                    interval_s=settings.groups.offsets_retention_check_interval_ms / 1000,
                    work=groups.expire_offsets,
                ),
            ]
        ),
        loop_delay=LoopDelayMeter(probe),
        tracing=tracing,
    )


# What traces is loaded where somebody traces; elsewhere nothing of it is on the way of a request.


def _controller_queue(
    consensus: RaftConsensus,
    store: MetadataStore,
    probe: PrometheusProbe,
    *,
    timeout_s: float,
    clock: Clock,
    tracing: Tracing | None,
) -> ControllerQueue:
    if tracing is None:
        return ControllerQueue(consensus=consensus, store=store, probe=probe, timeout_s=timeout_s, now_ms=clock.now_ms)
    from raftkafka.broker.tracing import TracedControllerQueue

    return TracedControllerQueue(
        consensus=consensus,
        store=store,
        probe=probe,
        timeout_s=timeout_s,
        now_ms=clock.now_ms,
        tracer=tracing.tracer,
    )


def _traced(dispatch: Dispatch, tracing: Tracing, store: MetadataStore) -> TracedDispatch:
    from raftkafka.broker.tracing import TracedDispatch

    def topic_name(topic_id: TopicId) -> str | None:
        topic = store.image.topics.get(topic_id)
        return None if topic is None else topic.name

    return TracedDispatch(dispatch, tracer=tracing.tracer, topic_name=topic_name)


def _zookeeper_port(
    settings: Settings,
    *,
    store: MetadataStore,
    channel: ControllerChannel,
    consensus: RaftConsensus,
    membership: Membership,
    probe: PrometheusProbe,
    clock: Clock,
    random: Random,
    secret: bytes,
) -> tuple[ZooKeeperService, ZooKeeperServer] | None:
    """None where no listener is configured: then nothing of it exists on this node."""
    wanted = settings.zookeeper
    if wanted.listener is None:
        return None

    def new_session() -> tuple[int, bytes]:
        # The password by the secret, as ZooKeeper's own: from `random`, whose numbers clients see, it could be worked out.
        session_id = random.getrandbits(61) + 1
        return session_id, hmac.digest(secret, b"zookeeper session %d" % session_id, "sha256")[:PASSWORD_BYTES]

    def mode() -> str:
        if consensus.is_leader:
            return "leader" if len(store.image.brokers) > 1 else "standalone"
        votes = any(each.node_id == settings.node_id for each in consensus.voters())
        return "follower" if votes else "observer"

    service = ZooKeeperService(
        node_id=settings.node_id,
        store=store,
        channel=channel,
        settings=wanted,
        mode=mode,
        has_lease=membership.has_lease,
        new_session=new_session,
        timeout_s=settings.controller.request_timeout_ms / 1000,
    )
    server = ZooKeeperServer(
        listener=wanted.listener,
        service=service,
        limits=ZooKeeperLimits(
            connections_max=wanted.connections_max,
            connections_per_ip_max=min(wanted.connections_max, settings.network.connections_per_ip_max),
            handshake_timeout_ms=settings.network.handshake_timeout_ms,
        ),
        probe=probe,
        clock=clock,
        writable=wanted.writable,
        conf=lambda: (
            ("clientPort", server.port),
            ("maxClientCnxns", wanted.connections_max),
            ("minSessionTimeout", wanted.min_session_timeout_ms),
            ("maxSessionTimeout", wanted.max_session_timeout_ms),
            ("serverId", settings.node_id),
        ),
    )
    return service, server


def _address(store: MetadataStore, node_id: NodeId) -> tuple[str, int] | None:
    broker = store.image.brokers.get(node_id)
    return None if broker is None else (broker.listeners[0].host, broker.listeners[0].port)


def _duties(
    settings: Settings, log_dirs: LogDirs, isr: IsrProposer, replicas: ReplicaTable, cleaner: LogCleaner
) -> list[Duty]:
    async def sweep_isr() -> None:
        isr.sweep(replicas)

    duties = [
        Duty(
            name="high watermark checkpoint",
            interval_s=settings.replica.high_watermark_checkpoint_interval_ms / 1000,
            work=log_dirs.checkpoint_watermarks,
        ),
        Duty(
            name="recovery point checkpoint",
            interval_s=RECOVERY_CHECKPOINT_INTERVAL_S,
            work=log_dirs.checkpoint_recovery_points,
        ),
        Duty(
            name="log start checkpoint",
            interval_s=LOG_START_CHECKPOINT_INTERVAL_S,
            work=log_dirs.checkpoint_log_starts,
        ),
        Duty(
            name="retention",
            interval_s=settings.log.retention_check_interval_ms / 1000,
            work=log_dirs.delete_old_segments,
        ),
        Duty(
            name="producer id expiration",
            interval_s=settings.log.producer_id_expiration_check_interval_ms / 1000,
            work=log_dirs.expire_producers,
        ),
        Duty(name="compaction", interval_s=settings.log.cleaner_backoff_ms / 1000, work=cleaner.clean_all),
        Duty(name="ISR", interval_s=settings.replica.lag_time_max_ms / 2000, work=sweep_isr),
    ]
    if settings.log.flush_policy is FlushPolicy.INTERVAL:
        interval_s = settings.log.flush_interval_ms / 1000
        duties.append(Duty(name="flush", interval_s=interval_s, work=log_dirs.flush_all))
    return duties
