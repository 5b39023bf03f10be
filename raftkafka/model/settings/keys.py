"""The keys of `server.properties` that this node acts on: one row per key, in order of precedence.

Floor 0. Where several keys set one field, the one that comes first in the table wins, as in Kafka (`log.retention.ms` over
`.minutes` over `.hours`). Adding a setting is one field in `values` and one row here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from raftkafka.model.settings import parsers
from raftkafka.model.settings.parsers import INT64_MAX, Parser, duration, integer

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """`field` lies in the part `section` of `Settings` ("" for Settings itself). `ours`: Kafka has no such key."""

    name: str
    section: str
    field: str
    parse: Parser
    ours: bool = False
    meaning: str


def _row(name: str, target: str, parse: Parser, meaning: str, *, ours: bool = False) -> Key:
    section, _, field = target.rpartition(".")
    return Key(name=name, section=section, field=field, parse=parse, ours=ours, meaning=meaning)


_MS: Final = duration(1)
_COUNT: Final = integer(1)


def _jitter_hours(text: str) -> int:
    hours = integer(0, INT64_MAX // HOUR_MS)(text)
    assert isinstance(hours, int)
    return hours * HOUR_MS


KEYS: Final = (
    # Who this node is
    _row("node.id", "node_id", integer(0), "number of this node, unique in the cluster; the same as `broker.id`"),
    _row("broker.id", "node_id", integer(0), "number of this node, unique in the cluster"),
    _row("broker.rack", "rack", parsers.word, "rack or zone; replicas are spread over racks"),
    # Where it keeps its files
    _row("log.dirs", "log_dirs", parsers.paths, "directories of the partition logs"),
    _row("log.dir", "log_dirs", parsers.paths, "as `log.dirs`, which wins over it"),
    _row(
        "metadata.log.dir",
        "metadata_log_dir",
        parsers.path,
        "directory of the Raft journal; default: first of `log.dirs`",
    ),
    # Where it listens
    _row(
        "listeners",
        "listeners",
        parsers.listeners,
        "where clients and other brokers connect; empty host: every interface",
    ),
    _row(
        "advertised.listeners", "advertised_listeners", parsers.listeners, "the addresses that clients are told to use"
    ),
    _row(
        "allow.insecure.listeners",
        "allow_insecure_listeners",
        parsers.boolean,
        "allow listeners beyond loopback although they neither encrypt nor authenticate clients",
        ours=True,
    ),
    _row(
        "http.listener",
        "http_listener",
        parsers.optional_listener,
        "metrics, health, the JSON API and the console, see [http.md](http.md); `none` for none",
        ours=True,
    ),
    _row(
        "http.allowed.hosts",
        "http_allowed_hosts",
        parsers.names,
        "names under which that listener is asked, `*` for any; default: on loopback its names, elsewhere also those of "
        "`http.listener` and `advertised.listeners`",
        ours=True,
    ),
    _row(
        "http.auth.token.file",
        "http_auth_token_file",
        parsers.path,
        "file with the token, of at least 16 bytes, that the API and the console ask for; without it they are served on loopback only",
        ours=True,
    ),
    # The cluster
    _row(
        "controller.quorum.voters",
        "voters",
        parsers.voters,
        "the voters as `id@host:port` of their Raft listeners; a node that is none of them is an observer",
    ),
    _row(
        "controller.listener",
        "controller_listener",
        parsers.optional_listener,
        "where this node's Raft listener binds; default: its own entry among the voters",
        ours=True,
    ),
    _row("cluster.secret.file", "cluster_secret_file", parsers.path, "file with the secret the nodes share", ours=True),
    # Topics
    _row("num.partitions", "num_partitions", _COUNT, "partitions of a topic that is created without a number"),
    _row("default.replication.factor", "default_replication_factor", integer(1, 32_767), "replicas of such a topic"),
    _row("auto.create.topics.enable", "auto_create_topics_enable", parsers.boolean, "create a topic at its first use"),
    _row("delete.topic.enable", "delete_topic_enable", parsers.boolean, "allow topics to be deleted"),
    _row(
        "max.incremental.fetch.session.cache.slots",
        "fetch_session_slots",
        integer(0),
        "fetch sessions kept; 0: none",
    ),
    _row(
        "replica.selector.class",
        "replica_selector",
        parsers.replica_selector,
        "where consumers with a `client.rack` read: `LeaderSelector`, or `RackAwareReplicaSelector` for the nearest replica",
    ),
    _row(
        "quota.window.num", "quota_window_num", integer(2, 1_000), "windows over which a client's byte rate is measured"
    ),
    _row("quota.window.size.seconds", "quota_window_size_s", integer(1, 86_400), "seconds of one of them"),
    # The log
    _row("log.segment.bytes", "log.segment_bytes", integer(14), "size at which a segment is closed"),
    _row("log.roll.ms", "log.segment_ms", _MS, "age at which a segment is closed"),
    _row("log.roll.hours", "log.segment_ms", duration(HOUR_MS), "as `log.roll.ms`, in hours"),
    _row(
        "log.roll.jitter.ms",
        "log.segment_jitter_ms",
        integer(0, INT64_MAX),
        "at most so much younger, so that not all roll at once",
    ),
    _row("log.roll.jitter.hours", "log.segment_jitter_ms", _jitter_hours, "as `log.roll.jitter.ms`, in hours"),
    _row("log.retention.ms", "log.retention_ms", duration(1, unlimited=True), "age at which a segment goes; -1: never"),
    _row("log.retention.minutes", "log.retention_ms", duration(MINUTE_MS, unlimited=True), "as above, in minutes"),
    _row("log.retention.hours", "log.retention_ms", duration(HOUR_MS, unlimited=True), "as above, in hours"),
    _row("log.retention.bytes", "log.retention_bytes", integer(-1, INT64_MAX), "size of a partition to keep; -1: any"),
    _row("log.retention.check.interval.ms", "log.retention_check_interval_ms", _MS, "how often retention looks"),
    _row(
        "log.cleanup.policy",
        "log.cleanup_policy",
        parsers.cleanup_policy,
        "`delete` old segments, `compact` to the last record of each key, or `compact,delete`",
    ),
    _row("log.cleaner.backoff.ms", "log.cleaner_backoff_ms", _MS, "how often compaction looks for work"),
    _row(
        "log.cleaner.dedupe.buffer.size",
        "log.cleaner_dedupe_buffer_bytes",
        integer(1 << 20),
        "memory for the keys of one cleaning, about 192 bytes each; what does not fit is left to the next one",
    ),
    _row(
        "log.cleaner.delete.retention.ms",
        "log.cleaner_delete_retention_ms",
        integer(0, INT64_MAX),
        "how long a tombstone stays after the cleaning that first saw it",
    ),
    _row(
        "log.cleaner.min.cleanable.ratio",
        "log.cleaner_min_cleanable_ratio",
        parsers.ratio,
        "share of a log that must be new before it is compacted",
    ),
    _row(
        "log.cleaner.min.compaction.lag.ms",
        "log.cleaner_min_compaction_lag_ms",
        integer(0, INT64_MAX),
        "how long a record stays whatever comes after it",
    ),
    _row(
        "log.cleaner.max.compaction.lag.ms",
        "log.cleaner_max_compaction_lag_ms",
        integer(1, INT64_MAX),
        "age at which a record is compacted whatever the ratio is",
    ),
    _row("log.index.interval.bytes", "log.index_interval_bytes", integer(0), "bytes of log between two index entries"),
    _row("log.index.size.max.bytes", "log.index_size_max_bytes", integer(4), "size of an index file"),
    _row("message.max.bytes", "log.message_max_bytes", integer(0), "largest record batch"),
    _row(
        "compression.type",
        "log.compression_type",
        parsers.one_of("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
        "codec of stored batches; `producer` keeps what producers chose, any other costs the broker time for each batch",
    ),
    _row(
        "log.message.timestamp.type",
        "log.message_timestamp_type",
        parsers.one_of("CreateTime", "LogAppendTime"),
        "whose clock stamps a record",
    ),
    _row(
        "log.message.timestamp.before.max.ms",
        "log.message_timestamp_before_max_ms",
        integer(0, INT64_MAX),
        "how far behind the broker's clock a producer's timestamp may be, else INVALID_TIMESTAMP",
    ),
    _row(
        "log.message.timestamp.after.max.ms",
        "log.message_timestamp_after_max_ms",
        integer(0, INT64_MAX),
        "how far ahead of it",
    ),
    _row(
        "log.message.timestamp.difference.max.ms",
        "log.message_timestamp_difference_max_ms",
        integer(0, INT64_MAX),
        "the older name for both; the smaller limit counts",
    ),
    _row(
        "log.open.segments.max",
        "log.open_segments_max",
        _COUNT,
        "closed segments that keep a file open, of all logs; at most a quarter of the descriptors that the system grants",
        ours=True,
    ),
    _row("log.flush.policy", "log.flush_policy", parsers.flush_policy, "what acks=all has survived", ours=True),
    _row("log.flush.interval.ms", "log.flush_interval_ms", _MS, "time between syncs under `interval`"),
    _row("min.insync.replicas", "log.min_insync_replicas", _COUNT, "in-sync replicas that acks=all demands"),
    _row(
        "unclean.leader.election.enable",
        "log.unclean_leader_election_enable",
        parsers.boolean,
        "let a replica lead that lacks acknowledged records",
    ),
    _row(
        "producer.id.expiration.ms",
        "log.producer_id_expiration_ms",
        _MS,
        "silence after which a partition forgets an idempotent producer",
    ),
    _row(
        "producer.id.expiration.check.interval.ms",
        "log.producer_id_expiration_check_interval_ms",
        _MS,
        "time between two looks for such producers",
    ),
    # Consumer groups
    _row(
        "group.min.session.timeout.ms",
        "groups.min_session_timeout_ms",
        _MS,
        "shortest session that a member may ask for",
    ),
    _row(
        "group.max.session.timeout.ms",
        "groups.max_session_timeout_ms",
        _MS,
        "longest session that a member may ask for",
    ),
    _row(
        "group.initial.rebalance.delay.ms",
        "groups.initial_rebalance_delay_ms",
        integer(0),
        "how long the first rebalance of a group waits for more members",
    ),
    _row("group.max.size", "groups.max_size", _COUNT, "members of one group"),
    _row(
        "offsets.retention.minutes",
        "groups.offsets_retention_ms",
        duration(MINUTE_MS),
        "how long offsets are kept that no member of the group is subscribed to",
    ),
    _row(
        "offsets.retention.check.interval.ms",
        "groups.offsets_retention_check_interval_ms",
        _MS,
        "time between two looks for such offsets",
    ),
    _row(
        "offset.metadata.max.bytes",
        "groups.offset_metadata_max_bytes",
        integer(0, 32_767),
        "what a consumer may write beside an offset",
    ),
    _row(
        "offsets.commit.timeout.ms",
        "groups.offsets_commit_timeout_ms",
        _MS,
        "how long a commit of offsets waits for its replicas",
    ),
    _row(
        "offsets.topic.num.partitions",
        "groups.offsets_topic_num_partitions",
        _COUNT,
        "partitions of `__consumer_offsets`, when it is created",
    ),
    _row(
        "offsets.topic.replication.factor",
        "groups.offsets_topic_replication_factor",
        integer(1, 32_767),
        "replicas of it; default: 3, or as many as there are voters where those are fewer",
    ),
    _row(
        "offsets.topic.segment.bytes",
        "groups.offsets_topic_segment_bytes",
        integer(1 << 10),
        "size at which a segment of it is closed",
    ),
    # Replication
    _row("replica.lag.time.max.ms", "replica.lag_time_max_ms", _MS, "how long a follower may lag and stay in sync"),
    _row("replica.fetch.max.bytes", "replica.fetch_max_bytes", integer(0), "fetched per partition and request"),
    _row("replica.fetch.response.max.bytes", "replica.fetch_response_max_bytes", integer(0), "fetched per request"),
    _row("replica.fetch.wait.max.ms", "replica.fetch_wait_max_ms", _MS, "how long a follower's fetch waits for news"),
    _row("replica.fetch.min.bytes", "replica.fetch_min_bytes", integer(0), "news that ends that wait"),
    _row("replica.fetch.backoff.ms", "replica.fetch_backoff_ms", _MS, "pause after a failed fetch"),
    _row(
        "replica.high.watermark.checkpoint.interval.ms",
        "replica.high_watermark_checkpoint_interval_ms",
        _MS,
        "time between two checkpoints of the high watermarks",
    ),
    _row(
        "leader.replication.throttled.rate",
        "replica.leader_throttled_rate",
        integer(1, INT64_MAX),
        "bytes per second to followers that a topic's `leader.replication.throttled.replicas` lists, while they are not in sync",
    ),
    _row(
        "follower.replication.throttled.rate",
        "replica.follower_throttled_rate",
        integer(1, INT64_MAX),
        "as above, for what the followers in `follower.replication.throttled.replicas` fetch",
    ),
    # The controller
    _row(
        "broker.session.timeout.ms",
        "controller.broker_session_timeout_ms",
        _MS,
        "silence after which a broker is fenced",
    ),
    _row("broker.heartbeat.interval.ms", "controller.broker_heartbeat_interval_ms", _MS, "time between heartbeats"),
    _row(
        "controller.probe.timeout.ms",
        "controller.probe_timeout_ms",
        _MS,
        "a broker whose connection closed and that accepts none for so long is fenced at once",
        ours=True,
    ),
    _row(
        "controller.quorum.election.timeout.ms",
        "controller.election_timeout_min_ms",
        _MS,
        "silence after which a voter stands for election, at least; at most twice that",
    ),
    _row(
        "controller.quorum.heartbeat.interval.ms",
        "controller.raft_heartbeat_ms",
        _MS,
        "time between messages of the Raft leader",
        ours=True,
    ),
    _row("controller.quorum.request.timeout.ms", "controller.request_timeout_ms", _MS, "patience with the controller"),
    _row(
        "auto.leader.rebalance.enable",
        "controller.auto_leader_rebalance_enable",
        parsers.boolean,
        "give leaderships back to preferred leaders",
    ),
    _row(
        "leader.imbalance.check.interval.seconds",
        "controller.leader_imbalance_check_interval_s",
        _COUNT,
        "seconds between two looks at who leads what",
    ),
    _row(
        "leader.imbalance.per.broker.percentage",
        "controller.leader_imbalance_per_broker_percentage",
        integer(0, 100),
        "share of a broker's partitions that others may lead",
    ),
    _row(
        "metadata.log.max.record.entries.between.snapshots",
        "controller.snapshot_min_entries",
        _COUNT,
        "Raft entries between two snapshots",
        ours=True,
    ),
    # The ZooKeeper port
    _row(
        "zookeeper.listener",
        "zookeeper.listener",
        parsers.zookeeper_listener,
        "`host:port` where tools connect that know only ZooKeeper, by custom 2181; empty or `none`: there is no such port",
        ours=True,
    ),
    _row(
        "zookeeper.writable",
        "zookeeper.writable",
        parsers.boolean,
        "whether they may change anything there; default: on loopback only",
        ours=True,
    ),
    _row("zookeeper.max.connections", "zookeeper.connections_max", _COUNT, "connections to it on this node", ours=True),
    _row("zookeeper.max.sessions", "zookeeper.sessions_max", integer(1, 10_000), "sessions of the cluster", ours=True),
    _row(
        "zookeeper.max.watches",
        "zookeeper.watches_max",
        _COUNT,
        "watches of all its connections on this node",
        ours=True,
    ),
    _row(
        "zookeeper.min.session.timeout.ms",
        "zookeeper.min_session_timeout_ms",
        _MS,
        "shortest session that a client may ask for; ZooKeeper's `minSessionTimeout`",
        ours=True,
    ),
    _row(
        "zookeeper.max.session.timeout.ms",
        "zookeeper.max_session_timeout_ms",
        _MS,
        "longest one; ZooKeeper's `maxSessionTimeout`",
        ours=True,
    ),
    # Traces
    _row(
        "otel.traces.exporter",
        "tracing.exporter",
        parsers.traces_exporter,
        "`otlp` sends traces to an OpenTelemetry collector over HTTP, which needs `raftkafka[otel]`; see tracing.md",
        ours=True,
    ),
    _row(
        "otel.exporter.otlp.endpoint",
        "tracing.endpoint",
        parsers.http_url,
        "`http://host:port` of the collector; default: `OTEL_EXPORTER_OTLP_ENDPOINT`, else port 4318 of this host",
        ours=True,
    ),
    _row(
        "otel.traces.sampler.arg",
        "tracing.sampled",
        parsers.ratio,
        "share of requests of which a trace is kept, 0 to 1; `OTEL_TRACES_SAMPLER` goes before it",
        ours=True,
    ),
    # The network
    _row("socket.request.max.bytes", "network.request_max_bytes", _COUNT, "largest request"),
    _row(
        "socket.unauthenticated.request.max.bytes",
        "network.unauthenticated_request_max_bytes",
        _COUNT,
        "largest request before authentication",
        ours=True,
    ),
    _row(
        "socket.receive.ring.bytes",
        "network.receive_ring_bytes",
        integer(4096),
        "receive buffer of a connection",
        ours=True,
    ),
    _row("max.in.flight.requests", "network.in_flight_max", _COUNT, "unanswered requests of a connection", ours=True),
    _row(
        "socket.unsent.max.bytes",
        "network.unsent_max_bytes",
        _COUNT,
        "unsent answers of a connection above which no further request is taken",
        ours=True,
    ),
    _row("max.connections", "network.connections_max", _COUNT, "connections of this node"),
    _row("max.connections.per.ip", "network.connections_per_ip_max", _COUNT, "connections from one address"),
    _row("connections.max.idle.ms", "network.idle_timeout_ms", _MS, "idle time after which a connection is closed"),
    _row(
        "socket.connection.setup.timeout.ms",
        "network.handshake_timeout_ms",
        _MS,
        "time that a new connection has for its handshake",
    ),
    _row(
        "socket.busy.poll.us",
        "network.busy_poll_us",
        integer(0, 10_000),
        "microseconds for which the network is asked again before the process sleeps, where requests follow each other so closely; 0: never",
        ours=True,
    ),
)

BY_NAME: Final = {key.name: key for key in KEYS}
