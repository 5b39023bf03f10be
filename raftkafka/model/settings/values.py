"""The settings of a node, parsed once into one frozen value. Keys in `server.properties` are named beside each field.

Floor 0. Defaults are Kafka's unless a comment says why not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from raftkafka.model.ids import NodeId

INT64_MAX: Final = (1 << 63) - 1
"""Kafka's way of saying that there is no limit."""


class FlushPolicy(Enum):
    """`log.flush.policy`: what an acknowledgement with acks=all has survived.

    GROUP: synced to the disks of the leader and of the in-sync replicas, one sync serving all batches that wait.
    OS: in the page caches (Kafka's default). INTERVAL: as OS, and synced every `log.flush.interval.ms`.
    """

    GROUP = "group"
    OS = "os"
    INTERVAL = "interval"


class ReplicaSelector(Enum):
    """`replica.selector.class`: from which replica a consumer with a `client_rack` reads (KIP-392).

    LEADER: from the leader. RACK_AWARE: from an in-sync one in its rack, if there is any.
    """

    LEADER = "LeaderSelector"
    RACK_AWARE = "RackAwareReplicaSelector"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where to listen, or what to advertise.

    Host "" is every interface (an advertised "" is this host's name). Port 0 (tests, embedding) takes a free one.
    """

    name: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Voter:
    """One entry of `controller.quorum.voters` (`1@host:9093`)."""

    node_id: NodeId
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Defaults of topics; a topic's own config of the same name goes first."""

    segment_bytes: int = 1 << 30  # log.segment.bytes
    segment_ms: int = 168 * 3_600_000  # log.roll.ms / log.roll.hours
    segment_jitter_ms: int = 0  # log.roll.jitter.ms / .hours
    retention_ms: int = 168 * 3_600_000  # log.retention.ms / .minutes / .hours; -1 = for ever
    retention_bytes: int = -1  # log.retention.bytes
    retention_check_interval_ms: int = 300_000  # log.retention.check.interval.ms
    cleanup_policy: str = "delete"  # log.cleanup.policy
    cleaner_backoff_ms: int = 15_000  # log.cleaner.backoff.ms
    cleaner_dedupe_buffer_bytes: int = 128 << 20  # log.cleaner.dedupe.buffer.size
    cleaner_delete_retention_ms: int = 86_400_000  # log.cleaner.delete.retention.ms
    cleaner_min_cleanable_ratio: float = 0.5  # log.cleaner.min.cleanable.ratio
    cleaner_min_compaction_lag_ms: int = 0  # log.cleaner.min.compaction.lag.ms
    cleaner_max_compaction_lag_ms: int = INT64_MAX  # log.cleaner.max.compaction.lag.ms
    index_interval_bytes: int = 4096  # log.index.interval.bytes
    index_size_max_bytes: int = 10 << 20  # log.index.size.max.bytes
    message_max_bytes: int = 1_048_588  # message.max.bytes
    compression_type: str = "producer"  # compression.type
    message_timestamp_type: str = "CreateTime"  # log.message.timestamp.type
    message_timestamp_before_max_ms: int = INT64_MAX  # log.message.timestamp.before.max.ms
    message_timestamp_after_max_ms: int = 3_600_000  # log.message.timestamp.after.max.ms
    message_timestamp_difference_max_ms: int = INT64_MAX  # log.message.timestamp.difference.max.ms
    open_segments_max: int = 1_024  # log.open.segments.max (ours)
    flush_policy: FlushPolicy = FlushPolicy.GROUP  # log.flush.policy (ours)
    flush_interval_ms: int = 1_000  # log.flush.interval.ms, under INTERVAL
    min_insync_replicas: int = 1  # min.insync.replicas
    unclean_leader_election_enable: bool = False  # unclean.leader.election.enable
    producer_id_expiration_ms: int = 86_400_000  # producer.id.expiration.ms
    producer_id_expiration_check_interval_ms: int = 600_000  # producer.id.expiration.check.interval.ms


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSettings:
    lag_time_max_ms: int = 30_000  # replica.lag.time.max.ms
    fetch_max_bytes: int = 1 << 20  # replica.fetch.max.bytes, per partition
    fetch_response_max_bytes: int = 10 << 20  # replica.fetch.response.max.bytes
    fetch_wait_max_ms: int = 500  # replica.fetch.wait.max.ms
    fetch_min_bytes: int = 1  # replica.fetch.min.bytes
    fetch_backoff_ms: int = 100  # replica.fetch.backoff.ms; Kafka 1000: failover would wait for it
    high_watermark_checkpoint_interval_ms: int = 5_000  # replica.high.watermark.checkpoint.interval.ms
    leader_throttled_rate: int = (1 << 63) - 1  # leader.replication.throttled.rate, bytes per second
    follower_throttled_rate: int = (1 << 63) - 1  # follower.replication.throttled.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    broker_session_timeout_ms: int = 9_000  # broker.session.timeout.ms
    broker_heartbeat_interval_ms: int = 2_000  # broker.heartbeat.interval.ms
    probe_timeout_ms: int = 150  # controller.probe.timeout.ms (ours): after a closed connection
    election_timeout_min_ms: int = 200  # controller.quorum.election.timeout.ms is the lower bound
    election_timeout_max_ms: int = 400  # twice the lower bound
    raft_heartbeat_ms: int = 50  # controller.quorum.heartbeat.interval.ms (ours)
    request_timeout_ms: int = 2_000  # controller.quorum.request.timeout.ms
    auto_leader_rebalance_enable: bool = True  # auto.leader.rebalance.enable
    leader_imbalance_check_interval_s: int = 300  # leader.imbalance.check.interval.seconds
    leader_imbalance_per_broker_percentage: int = 10  # leader.imbalance.per.broker.percentage
    snapshot_min_entries: int = 20_000  # metadata.log.max.record.entries.between.snapshots (ours)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    request_max_bytes: int = 100 << 20  # socket.request.max.bytes
    unauthenticated_request_max_bytes: int = 64 << 10  # on listeners that demand authentication
    receive_ring_bytes: int = 1 << 20  # socket.receive.ring.bytes (ours)
    in_flight_max: int = 1_000  # max.in.flight.requests per connection on the broker's side (ours)
    unsent_max_bytes: int = 64 << 20  # a reader who does not read: above it no further request is taken
    connections_max: int = 10_000  # max.connections
    connections_per_ip_max: int = 10_000  # max.connections.per.ip
    idle_timeout_ms: int = 600_000  # connections.max.idle.ms
    handshake_timeout_ms: int = 10_000  # socket.connection.setup.timeout.ms
    busy_poll_us: int = 200  # socket.busy.poll.us (ours); 0: sleep at once


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """Of consumer groups and of the topic in which they are kept."""

    min_session_timeout_ms: int = 6_000  # group.min.session.timeout.ms
    max_session_timeout_ms: int = 1_800_000  # group.max.session.timeout.ms
    initial_rebalance_delay_ms: int = 3_000  # group.initial.rebalance.delay.ms
    max_size: int = (1 << 31) - 1  # group.max.size
    offsets_retention_ms: int = 10_080 * 60_000  # offsets.retention.minutes
    offsets_retention_check_interval_ms: int = 600_000  # offsets.retention.check.interval.ms
    offset_metadata_max_bytes: int = 4_096  # offset.metadata.max.bytes
    offsets_commit_timeout_ms: int = 5_000  # offsets.commit.timeout.ms
    offsets_topic_num_partitions: int = 50  # offsets.topic.num.partitions
    offsets_topic_replication_factor: int | None = None  # offsets.topic.replication.factor; see replication_factor
    offsets_topic_segment_bytes: int = 100 << 20  # offsets.topic.segment.bytes

    def replication_factor(self, voters: int) -> int:
        """Kafka's default is 3, and with it a single broker has no groups; here, fewer voters take fewer replicas."""
        given = self.offsets_topic_replication_factor
        return given if given is not None else min(3, max(1, voters))


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooKeeperSettings:
    """Of the port for tools that know only ZooKeeper (all ours but the session time-outs, which are ZooKeeper's)."""

    listener: Listener | None = None  # zookeeper.listener
    writable: bool | None = None  # zookeeper.writable; None: on loopback
    connections_max: int = 1_000  # zookeeper.max.connections
    sessions_max: int = 5_000  # zookeeper.max.sessions, of the cluster
    watches_max: int = 500_000  # zookeeper.max.watches, of all connections of this node
    min_session_timeout_ms: int = 4_000  # zookeeper.min.session.timeout.ms
    max_session_timeout_ms: int = 40_000  # zookeeper.max.session.timeout.ms


class TracesExporter(Enum):
    """`otel.traces.exporter`: where traces go to. OTLP: to a collector, over HTTP."""

    NONE = "none"
    OTLP = "otlp"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings:
    """Named as OpenTelemetry's own settings; what is not here is said by its `OTEL_*` variables."""

    exporter: TracesExporter = TracesExporter.NONE  # otel.traces.exporter
    endpoint: str = ""  # otel.exporter.otlp.endpoint; empty: OTEL_EXPORTER_OTLP_ENDPOINT, else port 4318 of this host
    sampled: float = 0.01  # otel.traces.sampler.arg


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a node is told from outside."""

    node_id: NodeId = NodeId(1)  # broker.id / node.id
    rack: str | None = None  # broker.rack
    log_dirs: tuple[Path, ...] = (Path("raftkafka-data"),)  # log.dirs / log.dir
    metadata_log_dir: Path | None = None  # metadata.log.dir; None: the first of log_dirs
    listeners: tuple[Listener, ...] = (Listener(name="PLAINTEXT", host="127.0.0.1", port=9092),)
    advertised_listeners: tuple[Listener, ...] = ()  # empty: the listeners themselves
    allow_insecure_listeners: bool = False  # allow.insecure.listeners
    voters: tuple[Voter, ...] = ()  # controller.quorum.voters; empty: this node alone
    controller_listener: Listener | None = None  # controller.listener; None: own entry in voters
    cluster_secret_file: Path | None = None  # cluster.secret.file; the node reads it into cluster_secret
    cluster_secret: bytes = b""  # the file's content; empty only for a cluster of one node
    http_listener: Listener | None = Listener(name="HTTP", host="127.0.0.1", port=9644)  # http.listener
    http_allowed_hosts: tuple[str, ...] = ()  # http.allowed.hosts; empty: the names of the listeners
    http_auth_token_file: Path | None = None  # http.auth.token.file; the node reads it into http_auth_token
    http_auth_token: bytes = b""  # the file's content; empty: nobody has to log in on loopback, nobody may elsewhere
    num_partitions: int = 1  # num.partitions
    default_replication_factor: int = 1  # default.replication.factor
    auto_create_topics_enable: bool = True  # auto.create.topics.enable
    delete_topic_enable: bool = True  # delete.topic.enable
    fetch_session_slots: int = 1_000  # max.incremental.fetch.session.cache.slots
    replica_selector: ReplicaSelector = ReplicaSelector.LEADER  # replica.selector.class
    quota_window_num: int = 11  # quota.window.num
    quota_window_size_s: int = 1  # quota.window.size.seconds
    log: LogSettings = LogSettings()
    groups: GroupSettings = GroupSettings()
    replica: ReplicaSettings = ReplicaSettings()
    controller: ControllerSettings = ControllerSettings()
    network: NetworkSettings = NetworkSettings()
    zookeeper: ZooKeeperSettings = ZooKeeperSettings()
    tracing: TracingSettings = TracingSettings()
    given: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """Keys and texts of the file that these settings were read from; empty where there was none."""
