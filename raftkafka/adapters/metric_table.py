"""Every metric with its type, labels and meaning: the one table behind `/metrics` and `docs/metrics.md`.

Floor 4. Names are part of the public interface: one that was released is not renamed. Labels never carry keys, principals or
client ids, so that nobody outside can make the number of series grow; topics and groups, which clients name, have a cap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """`name` is complete, as on the wire (histograms without `_bucket`, `_sum`, `_count`)."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str

    @property
    def unit(self) -> str:
        """By the end of the name, as Prometheus wants it; `1` for plain counts, as UCUM has it."""
        name = self.name.removesuffix("_total")
        return next((unit for end, unit in _UNITS if name.endswith(end)), "1")


_UNITS: Final = (
    ("_seconds", "seconds"),
    ("_bytes", "bytes"),
    ("_bytes_in", "bytes"),
    ("_bytes_out", "bytes"),
    ("_records", "records"),
    ("_records_in", "records"),
    ("_offset", "offset"),
    ("_watermark", "offset"),
    ("_index", "Raft index"),
    ("_term", "Raft term"),
    ("_leader_id", "node id"),
    ("_entries_behind", "entries"),
    ("_info", "always 1"),
    ("_is_leader", "0 or 1"),
    ("_has_quorum", "0 or 1"),
    ("_connected", "0 or 1"),
    ("_fenced", "0 or 1"),
    ("_online", "0 or 1"),
    ("_partition_under_replicated", "0 or 1"),
    ("_partition_under_min_isr", "0 or 1"),
)


def _row(name: str, kind: Literal["counter", "gauge", "histogram"], meaning: str, *labels: str) -> Metric:
    return Metric(name=f"raftkafka_{name}", kind=kind, labels=labels, meaning=meaning)


CLOCK: Final = _row(
    "clock_seconds",
    "gauge",
    "this node's wall clock, in seconds since the epoch: less `timestamp()` of it, how far it is off Prometheus' clock",
)
BUILD_INFO: Final = _row("build_info", "gauge", "always 1; the version that runs", "version")
NODE_INFO: Final = _row("node_info", "gauge", "always 1; who this node is", "cluster_id", "node_id")

REQUEST_SECONDS: Final = _row(
    "request_duration_seconds", "histogram", "from a request's last byte read to its answer handed to the socket", "api"
)
REQUEST_ERRORS: Final = _row("request_errors_total", "counter", "answers with an error code", "api", "error")
WAITING_REQUESTS: Final = _row("waiting_requests", "gauge", "requests that wait for replicas or for new records")

CONNECTIONS: Final = _row("connections", "gauge", "open connections", "listener")
CONNECTIONS_OPENED: Final = _row("connections_opened_total", "counter", "connections accepted", "listener")
MALFORMED_FRAMES: Final = _row(
    "malformed_frames_total", "counter", "connections closed because of bytes that are no request", "listener"
)

LOG_SYNC_SECONDS: Final = _row("log_sync_seconds", "histogram", "one sync of partition logs to disk")
LOG_SYNCED_FILES: Final = _row("log_synced_files_total", "counter", "files synced to disk by those")
LOOP_DELAY_SECONDS: Final = _row(
    "event_loop_delay_seconds", "histogram", "how late a timer fired: the longest step taken on the event loop"
)

RAFT_COMMIT_SECONDS: Final = _row("raft_commit_seconds", "histogram", "from a proposal made here to its result")
RAFT_SYNC_SECONDS: Final = _row("raft_sync_seconds", "histogram", "one sync of the Raft journal to disk")
RAFT_TERM: Final = _row("raft_term", "gauge", "Raft's current term")
RAFT_IS_LEADER: Final = _row("raft_is_leader", "gauge", "1 on the node that leads Raft and so is the controller")
RAFT_LEADER_ID: Final = _row("raft_leader_id", "gauge", "node id of the Raft leader; -1 when none is known")
RAFT_COMMIT_INDEX: Final = _row("raft_commit_index", "gauge", "last Raft index known to be committed")
RAFT_APPLIED_INDEX: Final = _row("raft_applied_index", "gauge", "last Raft index applied to the metadata image")

RAFT_LAST_INDEX: Final = _row("raft_last_index", "gauge", "Raft index of the newest entry in this node's log")
RAFT_HAS_QUORUM: Final = _row(
    "raft_has_quorum", "gauge", "1 while this node leads Raft with a majority behind it, or hears who does"
)
RAFT_LEADER_SILENCE: Final = _row(
    "raft_leader_silence_seconds", "gauge", "since the Raft leader was heard last; 0 on the leader itself"
)
RAFT_LEADER_CHANGES: Final = _row(
    "raft_leader_changes_total", "counter", "elections of a Raft leader that this node has heard the result of"
)
RAFT_VOTERS: Final = _row("raft_voters", "gauge", "voters in the set in force, by this node's log")
RAFT_OBSERVERS: Final = _row("raft_observers", "gauge", "nodes without a vote that are connected to this one")
RAFT_PEER_CONNECTED: Final = _row(
    "raft_peer_connected", "gauge", "1 while there is a link to this voter or observer", "peer"
)
RAFT_PEER_BEHIND: Final = _row(
    "raft_peer_entries_behind", "gauge", "entries that this peer has not acknowledged; on the Raft leader only", "peer"
)

CLUSTER_BROKERS: Final = _row("cluster_brokers", "gauge", "registered brokers; on the controller only", "state")
CLUSTER_TOPICS: Final = _row("cluster_topics", "gauge", "topics; on the controller only")
CLUSTER_PARTITIONS: Final = _row("cluster_partitions", "gauge", "partitions of all topics; on the controller only")
CLUSTER_LEADERLESS: Final = _row(
    "cluster_partitions_without_leader", "gauge", "partitions that nobody leads; on the controller only"
)
CLUSTER_MOVED: Final = _row(
    "cluster_partitions_off_preferred_leader",
    "gauge",
    "partitions led by another replica than the first one; on the controller only",
)

LOG_DIRECTORY_ONLINE: Final = _row(
    "log_directory_online",
    "gauge",
    "0 from the first failure of this log directory until the node is started again, and while it cannot be found",
    "directory",
)
LOG_DIRECTORY_SIZE: Final = _row("log_directory_size_bytes", "gauge", "size of the logs in it", "directory")
LOG_DIRECTORY_FREE: Final = _row(
    "log_directory_free_bytes", "gauge", "what its file system has left for this process", "directory"
)
LOG_DIRECTORY_CAPACITY: Final = _row("log_directory_capacity_bytes", "gauge", "size of its file system", "directory")
OFFLINE_LOG_DIRECTORIES: Final = _row("offline_log_directories", "gauge", "log directories that are not online")

LEADER_ELECTIONS: Final = _row("leader_elections_total", "counter", "partition leaders chosen by this controller")
ISR_SHRINKS: Final = _row("isr_shrinks_total", "counter", "replicas taken out of an ISR by this leader")
ISR_EXPANDS: Final = _row("isr_expands_total", "counter", "replicas taken back into an ISR by this leader")

QUOTA_THROTTLES: Final = _row("quota_throttles_total", "counter", "requests that went beyond a client quota", "quota")
QUOTA_THROTTLE_SECONDS: Final = _row(
    "quota_throttle_seconds_total", "counter", "how long connections were not listened to because of those", "quota"
)

FENCED: Final = _row("broker_fenced", "gauge", "1 while the controller does not let this broker lead")
PARTITIONS: Final = _row("partitions", "gauge", "replicas on this node")
LEADER_PARTITIONS: Final = _row("leader_partitions", "gauge", "partitions that this node leads")
UNDER_REPLICATED: Final = _row(
    "under_replicated_partitions", "gauge", "partitions led by this node whose ISR is smaller than their replica set"
)
UNDER_MIN_ISR: Final = _row(
    "under_min_isr_partitions",
    "gauge",
    "partitions led by this node with fewer replicas in sync than `min.insync.replicas`: acks=all is refused",
)
LEADERLESS: Final = _row(
    "partitions_without_leader", "gauge", "replicas on this node whose partition nobody leads, by its metadata"
)
OFFLINE_REPLICAS: Final = _row("offline_replicas", "gauge", "replicas on this node that a failure took out of service")
UNEXPORTED: Final = _row(
    "partitions_without_series", "gauge", "replicas beyond the first 2000, which the partition metrics leave out"
)

GROUPS: Final = _row("groups", "gauge", "consumer groups that this node coordinates", "state")
GROUPS_LOADING: Final = _row(
    "group_partitions_loading", "gauge", "partitions of groups that this node reads to take over"
)
GROUP_MEMBERS: Final = _row("group_members", "gauge", "members of all groups that this node coordinates")
GROUP_REBALANCES: Final = _row("group_rebalances_total", "counter", "generations of groups decided by this node")
OFFSET_COMMITS: Final = _row(
    "offset_commits_total", "counter", "offsets committed through this node, partition by partition"
)

GROUP_OFFSETS_UNEXPORTED: Final = _row(
    "group_offsets_without_series",
    "gauge",
    "committed offsets beyond the first 2000, or of groups with ids of more than 255 characters, which the next two leave out",
)
COMMITTED_OFFSET: Final = _row(
    "group_committed_offset",
    "gauge",
    "offset that the group has committed, on its coordinator",
    *("group", "topic", "partition"),
)
GROUP_LAG: Final = _row(
    "group_lag_records",
    "gauge",
    "records from the committed offset to the high watermark, where the coordinator has a replica of the partition",
    *("group", "topic", "partition"),
)

# Of nodes with a ZooKeeper port. Its connections are those of the listener ZOOKEEPER.
ZOOKEEPER_REQUEST_SECONDS: Final = _row(
    "zookeeper_request_duration_seconds",
    "histogram",
    "from a request of a ZooKeeper client taken up to its answer handed to the socket",
    "operation",
)
ZOOKEEPER_REQUEST_ERRORS: Final = _row(
    "zookeeper_request_errors_total", "counter", "answers to ZooKeeper clients with an error", "operation", "error"
)
ZOOKEEPER_EXPIRED: Final = _row(
    "zookeeper_sessions_expired_total", "counter", "sessions ended by this controller because nobody was heard in time"
)
ZOOKEEPER_OUTSTANDING: Final = _row(
    "zookeeper_outstanding_requests", "gauge", "requests of ZooKeeper clients of this node that wait for their answer"
)
ZOOKEEPER_WATCHES: Final = _row("zookeeper_watches", "gauge", "paths watched, counted for each connection of this node")
ZOOKEEPER_SESSIONS: Final = _row(
    "zookeeper_sessions", "gauge", "sessions in the cluster, at whatever node their clients are"
)
ZOOKEEPER_NODES: Final = _row(
    "zookeeper_nodes", "gauge", "stored nodes of the tree, those that the cluster itself writes included"
)
ZOOKEEPER_EPHEMERALS: Final = _row("zookeeper_ephemeral_nodes", "gauge", "ephemeral nodes among those")
ZOOKEEPER_BYTES: Final = _row("zookeeper_tree_bytes", "gauge", "what the stored nodes take of their 64 MiB")
SPANS_EXPORTED: Final = _row("trace_spans_exported_total", "counter", "spans that the collector of traces has taken")
SPANS_DROPPED: Final = _row(
    "trace_spans_dropped_total",
    "counter",
    "spans that never arrived: refused by the collector, or by the full queue before it",
    "reason",
)
OF_ZOOKEEPER: Final = (
    ZOOKEEPER_REQUEST_SECONDS,
    ZOOKEEPER_REQUEST_ERRORS,
    ZOOKEEPER_EXPIRED,
    ZOOKEEPER_OUTSTANDING,
    ZOOKEEPER_WATCHES,
    ZOOKEEPER_SESSIONS,
    ZOOKEEPER_NODES,
    ZOOKEEPER_EPHEMERALS,
    ZOOKEEPER_BYTES,
)

OF_PARTITIONS: Final = (
    _row("partition_is_leader", "gauge", "1 where this node leads the partition", "topic", "partition"),
    _row("partition_log_start_offset", "gauge", "first offset that is kept", "topic", "partition"),
    _row("partition_high_watermark", "gauge", "offset below which consumers may read", "topic", "partition"),
    _row("partition_log_end_offset", "gauge", "offset that the next record gets", "topic", "partition"),
    _row("partition_size_bytes", "gauge", "size of the segments on disk", "topic", "partition"),
    _row("partition_replicas", "gauge", "replicas assigned", "topic", "partition"),
    _row("partition_isr_size", "gauge", "replicas in sync, as this node knows it", "topic", "partition"),
    _row("partition_under_replicated", "gauge", "1 on the leader while replicas are missing", "topic", "partition"),
    _row("partition_under_min_isr", "gauge", "1 on the leader while acks=all is refused", "topic", "partition"),
    _row("partition_bytes_in_total", "counter", "bytes appended here since the start", "topic", "partition"),
    _row("partition_records_in_total", "counter", "records appended here since the start", "topic", "partition"),
    _row("partition_bytes_out_total", "counter", "bytes served to consumers and followers", "topic", "partition"),
)

METRICS: Final = (
    BUILD_INFO,
    NODE_INFO,
    CLOCK,
    REQUEST_SECONDS,
    REQUEST_ERRORS,
    WAITING_REQUESTS,
    CONNECTIONS,
    CONNECTIONS_OPENED,
    MALFORMED_FRAMES,
    LOG_SYNC_SECONDS,
    LOG_SYNCED_FILES,
    LOOP_DELAY_SECONDS,
    RAFT_COMMIT_SECONDS,
    RAFT_SYNC_SECONDS,
    RAFT_HAS_QUORUM,
    RAFT_TERM,
    RAFT_IS_LEADER,
    RAFT_LEADER_ID,
    RAFT_LEADER_SILENCE,
    RAFT_LEADER_CHANGES,
    RAFT_LAST_INDEX,
    RAFT_COMMIT_INDEX,
    RAFT_APPLIED_INDEX,
    RAFT_VOTERS,
    RAFT_OBSERVERS,
    RAFT_PEER_CONNECTED,
    RAFT_PEER_BEHIND,
    CLUSTER_BROKERS,
    CLUSTER_TOPICS,
    CLUSTER_PARTITIONS,
    CLUSTER_LEADERLESS,
    CLUSTER_MOVED,
    LEADER_ELECTIONS,
    ISR_SHRINKS,
    ISR_EXPANDS,
    QUOTA_THROTTLES,
    QUOTA_THROTTLE_SECONDS,
    FENCED,
    LOG_DIRECTORY_ONLINE,
    LOG_DIRECTORY_SIZE,
    LOG_DIRECTORY_FREE,
    LOG_DIRECTORY_CAPACITY,
    OFFLINE_LOG_DIRECTORIES,
    PARTITIONS,
    LEADER_PARTITIONS,
    UNDER_REPLICATED,
    UNDER_MIN_ISR,
    LEADERLESS,
    OFFLINE_REPLICAS,
    UNEXPORTED,
    GROUPS,
    GROUP_MEMBERS,
    GROUPS_LOADING,
    GROUP_REBALANCES,
    OFFSET_COMMITS,
    GROUP_OFFSETS_UNEXPORTED,
    COMMITTED_OFFSET,
    GROUP_LAG,
    *OF_ZOOKEEPER,
    SPANS_EXPORTED,
    SPANS_DROPPED,
    *OF_PARTITIONS,
)

_PREAMBLE: Final = """\
# Metrics

Every node serves these at `GET /metrics` of its `http.listener` (default `http://127.0.0.1:9644/metrics`), in Prometheus'
text format. Counters start at 0 with the process. The process itself is described
by the usual `process_*` metrics of the Prometheus client (resident memory, file descriptors, CPU time, start time).
Scrape configuration, rules, alerts and dashboards: [ops](../ops/README.md).

The number of series of a node is bounded: at most 2000 partitions and 2000 committed offsets have some of their own, and
`raftkafka_partitions_without_series` and `raftkafka_group_offsets_without_series` say how many were left out. Series of a topic or
a group that was deleted are gone with the next scrape. All other labels have values that only the program or the settings give: never
client ids, principals, keys, or names that somebody asked for. TLS is not part of
the product yet, so there is no metric for the expiry of certificates.

This page is generated from `raftkafka/adapters/metric_table.py`; a test keeps it current. To write it anew:
`python -m raftkafka.adapters.metric_table > docs/metrics.md`.

| metric | type | unit | labels | meaning |
|---|---|---|---|---|
"""


def page() -> str:
    """The text of `docs/metrics.md`."""
    return _PREAMBLE + "".join(
        f"| `{metric.name}` | {metric.kind} | {metric.unit} | {', '.join(metric.labels)} | {metric.meaning} |\n"
        for metric in METRICS
    )


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - its output is the page
