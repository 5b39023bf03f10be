"""Prometheus' text format, version 0.0.4, of what a node counts and is: written by hand, a family at a time.

Floor 4. The client library's general way holds the event loop ten times as long, and cannot be taken in pieces. Invariant: what
belongs to one metric is one piece, in the order of the table, as the format demands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Final

from raftkafka.adapters import metric_table as table
from raftkafka.adapters.histogram import Histogram
from raftkafka.adapters.metric_table import Metric
from raftkafka.ports.probe import (
    BrokerStatistics,
    GroupOffsetStatistics,
    GroupStatistics,
    LogDirectoryStatistics,
    PartitionStatistics,
    RaftStatistics,
    TraceStatistics,
    ZooKeeperStatistics,
)

PARTITIONS_WITH_SERIES_MAX: Final = 2000
"""Twelve series each: beyond it a scrape would be megabytes, and keep the event loop busy."""

Sample = tuple[tuple[str, ...], float]
"""The labels' values, in the order of the table, and the number."""

_READERS: Final = {
    "raftkafka_partition_is_leader": attrgetter("is_leader"),
    "raftkafka_partition_log_start_offset": attrgetter("log_start_offset"),
    "raftkafka_partition_high_watermark": attrgetter("high_watermark"),
    "raftkafka_partition_log_end_offset": attrgetter("log_end_offset"),
    "raftkafka_partition_size_bytes": attrgetter("size_bytes"),
    "raftkafka_partition_replicas": attrgetter("replicas"),
    "raftkafka_partition_isr_size": attrgetter("isr_size"),
    "raftkafka_partition_under_replicated": attrgetter("is_under_replicated"),
    "raftkafka_partition_under_min_isr": attrgetter("is_under_min_isr"),
    "raftkafka_partition_bytes_in_total": attrgetter("bytes_in"),
    "raftkafka_partition_records_in_total": attrgetter("records_in"),
    "raftkafka_partition_bytes_out_total": attrgetter("bytes_out"),
}


def family(metric: Metric, samples: Iterable[Sample]) -> str:
    """The lines of one counter or gauge."""
    lines = [_head(metric)]
    lines += [f"{metric.name}{_labels(metric, labels)} {_number(value)}\n" for labels, value in samples]
    return "".join(lines)


def value(metric: Metric, number: float) -> str:
    """The lines of a metric without labels."""
    return f"{_head(metric)}{metric.name} {_number(number)}\n"


def histograms(metric: Metric, samples: Iterable[tuple[tuple[str, ...], Histogram]]) -> str:
    """The lines of one histogram, which may have labels."""
    name = metric.name
    lines = [_head(metric)]
    for labels, seen in samples:
        own = "".join(f'{key}="{_escaped(of)}",' for key, of in zip(metric.labels, labels, strict=True))
        buckets = seen.buckets()
        lines += [f'{name}_bucket{{{own}le="{end}"}} {_number(count)}\n' for end, count in buckets]
        braces = _labels(metric, labels)
        lines.append(f"{name}_sum{braces} {_number(seen.sum)}\n{name}_count{braces} {_number(buckets[-1][1])}\n")
    return "".join(lines)


def states(statistics: BrokerStatistics) -> Iterator[str]:
    """Everything that is read at scrape time."""
    partitions = statistics.partitions
    yield family(table.NODE_INFO, [((statistics.cluster_id, str(statistics.node_id)), 1)])
    yield value(table.CLOCK, statistics.time_ms / 1000)
    yield value(table.WAITING_REQUESTS, statistics.waiting_requests)
    yield value(table.FENCED, statistics.is_fenced)
    yield from _raft(statistics.raft)
    yield from _cluster(statistics)
    yield from _log_directories(statistics.log_directories)
    yield value(table.PARTITIONS, len(partitions))
    yield value(table.LEADER_PARTITIONS, sum(each.is_leader for each in partitions))
    yield value(table.UNDER_REPLICATED, sum(each.is_under_replicated for each in partitions))
    yield value(table.UNDER_MIN_ISR, sum(each.is_under_min_isr for each in partitions))
    yield value(table.LEADERLESS, sum(not each.has_leader for each in partitions))
    yield value(table.OFFLINE_REPLICAS, sum(each.is_offline for each in partitions))
    yield value(table.UNEXPORTED, max(0, len(partitions) - PARTITIONS_WITH_SERIES_MAX))
    yield from _groups(statistics.groups)
    yield from _zookeeper(statistics.zookeeper)
    yield from _traces(statistics.traces)
    yield from _partition_series(partitions[:PARTITIONS_WITH_SERIES_MAX])


def _raft(raft: RaftStatistics) -> Iterator[str]:
    yield value(table.RAFT_HAS_QUORUM, raft.leader_id >= 0)
    yield value(table.RAFT_TERM, raft.term)
    yield value(table.RAFT_IS_LEADER, raft.is_leader)
    yield value(table.RAFT_LEADER_ID, raft.leader_id)
    silence_s = raft.leader_silence_s
    yield family(table.RAFT_LEADER_SILENCE, [] if silence_s is None else [((), silence_s)])
    yield value(table.RAFT_LEADER_CHANGES, raft.leader_changes)
    yield value(table.RAFT_LAST_INDEX, raft.last_index)
    yield value(table.RAFT_COMMIT_INDEX, raft.commit_index)
    yield value(table.RAFT_APPLIED_INDEX, raft.applied_index)
    yield value(table.RAFT_VOTERS, raft.voters)
    yield value(table.RAFT_OBSERVERS, sum(not each.is_voter for each in raft.peers))
    yield family(table.RAFT_PEER_CONNECTED, [((str(each.node_id),), each.is_connected) for each in raft.peers])
    behind = [(each.node_id, each.entries_behind) for each in raft.peers]
    yield family(
        table.RAFT_PEER_BEHIND, [((str(node_id),), entries) for node_id, entries in behind if entries is not None]
    )


def _cluster(statistics: BrokerStatistics) -> Iterator[str]:
    cluster = statistics.cluster
    brokers: list[Sample] = []
    if cluster is not None:
        brokers = [(("active",), cluster.brokers_active), (("fenced",), cluster.brokers_fenced)]
    yield family(table.CLUSTER_BROKERS, brokers)
    yield family(table.CLUSTER_TOPICS, [((), cluster.topics)] if cluster else [])
    yield family(table.CLUSTER_PARTITIONS, [((), cluster.partitions)] if cluster else [])
    yield family(table.CLUSTER_LEADERLESS, [((), cluster.partitions_without_leader)] if cluster else [])
    yield family(table.CLUSTER_MOVED, [((), cluster.partitions_off_preferred_leader)] if cluster else [])


def _log_directories(directories: tuple[LogDirectoryStatistics, ...]) -> Iterator[str]:
    yield family(table.LOG_DIRECTORY_ONLINE, [((each.path,), each.is_online) for each in directories])
    yield family(table.LOG_DIRECTORY_SIZE, [((each.path,), each.size_bytes) for each in directories])
    free = [(each.path, each.free_bytes) for each in directories]
    yield family(table.LOG_DIRECTORY_FREE, [((path,), count) for path, count in free if count is not None])
    capacity = [(each.path, each.capacity_bytes) for each in directories]
    yield family(table.LOG_DIRECTORY_CAPACITY, [((path,), count) for path, count in capacity if count is not None])
    yield value(table.OFFLINE_LOG_DIRECTORIES, sum(not each.is_online for each in directories))


def _groups(groups: GroupStatistics) -> Iterator[str]:
    yield family(table.GROUPS, [((state,), count) for state, count in groups.states])
    yield value(table.GROUP_MEMBERS, groups.members)
    yield value(table.GROUPS_LOADING, groups.loading)
    yield value(table.GROUP_REBALANCES, groups.rebalances)
    yield value(table.OFFSET_COMMITS, groups.commits)
    yield value(table.GROUP_OFFSETS_UNEXPORTED, groups.committed_offsets - len(groups.offsets))
    labelled = [(_of_group(each), each) for each in groups.offsets]
    name = table.COMMITTED_OFFSET.name
    yield _head(table.COMMITTED_OFFSET) + "".join(
        [f"{name}{labels} {each.committed_offset}\n" for labels, each in labelled]
    )
    name = table.GROUP_LAG.name
    yield _head(table.GROUP_LAG) + "".join(
        [f"{name}{labels} {each.lag}\n" for labels, each in labelled if each.lag is not None]
    )


def _zookeeper(port: ZooKeeperStatistics | None) -> Iterator[str]:
    """No series where there is no port."""
    yield family(table.ZOOKEEPER_OUTSTANDING, [((), port.outstanding)] if port else [])
    yield family(table.ZOOKEEPER_WATCHES, [((), port.watches)] if port else [])
    yield family(table.ZOOKEEPER_SESSIONS, [((), port.sessions)] if port else [])
    yield family(table.ZOOKEEPER_NODES, [((), port.nodes)] if port else [])
    yield family(table.ZOOKEEPER_EPHEMERALS, [((), port.ephemerals)] if port else [])
    yield family(table.ZOOKEEPER_BYTES, [((), port.data_bytes)] if port else [])


def _traces(traces: TraceStatistics | None) -> Iterator[str]:
    """No series where none are exported."""
    yield family(table.SPANS_EXPORTED, [((), traces.exported)] if traces else [])
    dropped = [(("collector",), traces.refused), (("queue",), traces.overflowed)] if traces else []
    yield family(table.SPANS_DROPPED, dropped)


def _partition_series(partitions: tuple[PartitionStatistics, ...]) -> Iterator[str]:
    # Topic names are `[A-Za-z0-9._-]+`, so no label value here needs escaping.
    labels = [f'{{topic="{partition.topic}",partition="{partition.partition}"}}' for partition in partitions]
    for metric in table.OF_PARTITIONS:
        name, read = metric.name, _READERS[metric.name]
        samples = [f"{name}{label} {read(each):d}\n" for label, each in zip(labels, partitions, strict=True)]
        yield _head(metric) + "".join(samples)


def _of_group(each: GroupOffsetStatistics) -> str:
    return f'{{group="{_escaped(each.group)}",topic="{each.topic}",partition="{each.partition}"}}'


def _head(metric: Metric) -> str:
    return f"# HELP {metric.name} {metric.meaning}\n# TYPE {metric.name} {metric.kind}\n"


def _labels(metric: Metric, values: tuple[str, ...]) -> str:
    if not values:
        return ""
    pairs = ",".join(f'{key}="{_escaped(of)}"' for key, of in zip(metric.labels, values, strict=True))
    return f"{{{pairs}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)
