"""Every metric with its type, labels and meaning: the one table behind `/metrics` and `docs/metrics.md`.

Floor 4. Names are part of the public interface: one that was released is not renamed. Labels never carry keys, principals or
client ids, so that nobody outside can make the number of series grow.
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


def _row(name: str, kind: Literal["counter", "gauge", "histogram"], meaning: str, *labels: str) -> Metric:
    return Metric(name=f"raftkafka_{name}", kind=kind, labels=labels, meaning=meaning)


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
OFFLINE_REPLICAS: Final = _row("offline_replicas", "gauge", "replicas on this node that a failure took out of service")
UNEXPORTED: Final = _row(
    "partitions_without_series", "gauge", "replicas beyond the first 2000, which the partition metrics leave out"
)

GROUPS: Final = _row("groups", "gauge", "consumer groups that this node coordinates", "state")
GROUPS_LOADING: Final = _row(
    "group_partitions_loading", "gauge", "partitions of groups that this node reads to take over"
)
GROUP_REBALANCES: Final = _row("group_rebalances_total", "counter", "generations of groups decided by this node")
OFFSET_COMMITS: Final = _row(
    "offset_commits_total", "counter", "offsets committed through this node, partition by partition"
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
    _row("partition_bytes_in_total", "counter", "bytes appended here since the start", "topic", "partition"),
    _row("partition_records_in_total", "counter", "records appended here since the start", "topic", "partition"),
    _row("partition_bytes_out_total", "counter", "bytes served to consumers and followers", "topic", "partition"),
)

METRICS: Final = (
    BUILD_INFO,
    NODE_INFO,
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
    RAFT_TERM,
    RAFT_IS_LEADER,
    RAFT_LEADER_ID,
    RAFT_COMMIT_INDEX,
    RAFT_APPLIED_INDEX,
    LEADER_ELECTIONS,
    ISR_SHRINKS,
    ISR_EXPANDS,
    QUOTA_THROTTLES,
    QUOTA_THROTTLE_SECONDS,
    FENCED,
    PARTITIONS,
    LEADER_PARTITIONS,
    UNDER_REPLICATED,
    OFFLINE_REPLICAS,
    UNEXPORTED,
    GROUPS,
    GROUPS_LOADING,
    GROUP_REBALANCES,
    OFFSET_COMMITS,
    *OF_PARTITIONS,
)

_PREAMBLE: Final = """\
# Metrics

Every node serves these at `GET /metrics` of its `http.listener` (default `http://127.0.0.1:9644/metrics`), in Prometheus'
text format. Times are in seconds, sizes in bytes. Counters start at 0 with the process. The process itself is described
by the usual `process_*` metrics of the Prometheus client (resident memory, file descriptors, CPU time, start time).

This page is generated from `raftkafka/adapters/metric_table.py`; a test keeps it current. To write it anew:
`python -m raftkafka.adapters.metric_table > docs/metrics.md`.

| metric | type | labels | meaning |
|---|---|---|---|
"""


def page() -> str:
    """The text of `docs/metrics.md`."""
    return _PREAMBLE + "".join(
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels)} | {metric.meaning} |\n" for metric in METRICS
    )


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - its output is the page
