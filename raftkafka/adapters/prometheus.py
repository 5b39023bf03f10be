"""The probe that keeps what Prometheus will ask for, and the text it is answered with.

Floor 4. All of it runs on the node's event loop. Events are counted as they happen in plain numbers; states are read from a
`BrokerStatistics` at scrape time. One node's numbers never mix with another's in the same process: each probe has a
registry of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from raftkafka import __version__
from raftkafka.adapters import metric_table as table
from raftkafka.adapters.histogram import Histogram
from raftkafka.adapters.metric_table import Metric
from raftkafka.model.errors import ErrorCode
from raftkafka.ports.probe import BrokerStatistics, PartitionStatistics, ReadStatistics

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

LATENCY_BOUNDS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
PARTITIONS_WITH_SERIES_MAX: Final = 2000
"""Eleven series each: beyond it a scrape would hold the event loop for longer than a few milliseconds."""

_READERS: Final = {
    "raftkafka_partition_is_leader": attrgetter("is_leader"),
    "raftkafka_partition_log_start_offset": attrgetter("log_start_offset"),
    "raftkafka_partition_high_watermark": attrgetter("high_watermark"),
    "raftkafka_partition_log_end_offset": attrgetter("log_end_offset"),
    "raftkafka_partition_size_bytes": attrgetter("size_bytes"),
    "raftkafka_partition_replicas": attrgetter("replicas"),
    "raftkafka_partition_isr_size": attrgetter("isr_size"),
    "raftkafka_partition_under_replicated": attrgetter("is_under_replicated"),
    "raftkafka_partition_bytes_in_total": attrgetter("bytes_in"),
    "raftkafka_partition_records_in_total": attrgetter("records_in"),
    "raftkafka_partition_bytes_out_total": attrgetter("bytes_out"),
}


class PrometheusProbe:
    """Implements `ports.probe.Probe`. `expose` renders everything; `watch` says where the states come from."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        """Everything but the partitions' series (see `expose`); an embedding program may add collectors of its own."""
        self.registry.register(_Events(self))
        ProcessCollector(registry=self.registry)
        self._read: ReadStatistics | None = None
        self._requests: defaultdict[str, Histogram] = defaultdict(_latency)
        self._errors: Counter[tuple[str, ErrorCode]] = Counter()
        self._opened: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()
        self._malformed: Counter[str] = Counter()
        self._log_sync = _latency()
        self._synced_files = 0
        self._raft_commit = _latency()
        self._raft_sync = _latency()
        self._loop_delay = _latency()
        self._elections = 0
        self._isr_shrinks = 0
        self._isr_expands = 0
        self._throttles: Counter[str] = Counter()
        self._throttle_s: defaultdict[str, float] = defaultdict(float)

    def watch(self, read: ReadStatistics) -> None:
        """Ask `read` for the states at each scrape from now on."""
        self._read = read

    def expose(self) -> bytes:
        """Prometheus' text format, version 0.0.4.

        The partitions' series are written here and not by the registry: for 1,000 partitions its general way holds the event
        loop for 60 ms, this one for 6.
        """
        read = self._read
        if read is None:
            return generate_latest(self.registry)
        statistics = read()
        parts = [generate_latest(self.registry), generate_latest(_Once(_states(statistics)))]
        parts.append(_partition_series(statistics.partitions[:PARTITIONS_WITH_SERIES_MAX]).encode())
        return b"".join(parts)

    # ports.probe.Probe

    def request(self, api: str, error: ErrorCode, seconds: float) -> None:
        self._requests[api].observe(seconds)
        if error is not ErrorCode.NONE:
            self._errors[api, error] += 1

    def connection_opened(self, listener: str) -> None:
        self._opened[listener] += 1

    def connection_closed(self, listener: str) -> None:
        self._closed[listener] += 1

    def malformed_frame(self, listener: str) -> None:
        self._malformed[listener] += 1

    def log_sync(self, seconds: float, files: int) -> None:
        self._log_sync.observe(seconds)
        self._synced_files += files

    def raft_commit(self, seconds: float) -> None:
        self._raft_commit.observe(seconds)

    def raft_sync(self, seconds: float) -> None:
        self._raft_sync.observe(seconds)

    def loop_delay(self, seconds: float) -> None:
        self._loop_delay.observe(seconds)

    def leader_election(self) -> None:
        self._elections += 1

    def isr_change(self, *, shrink: bool) -> None:
        if shrink:
            self._isr_shrinks += 1
        else:
            self._isr_expands += 1

    def throttled(self, quota: str, seconds: float) -> None:
        self._throttles[quota] += 1
        self._throttle_s[quota] += seconds

    def families(self) -> Iterator[Family]:
        """What was counted, as the registry wants it."""
        yield _gauge(table.BUILD_INFO, ((__version__,), 1))
        yield _histograms(table.REQUEST_SECONDS, *(((api,), seen) for api, seen in sorted(self._requests.items())))
        yield _counter(
            table.REQUEST_ERRORS, *(((api, code.name), n) for (api, code), n in sorted(self._errors.items()))
        )
        yield _gauge(
            table.CONNECTIONS, *(((name,), n - self._closed[name]) for name, n in sorted(self._opened.items()))
        )
        yield _counter(table.CONNECTIONS_OPENED, *(((name,), n) for name, n in sorted(self._opened.items())))
        yield _counter(table.MALFORMED_FRAMES, *(((name,), n) for name, n in sorted(self._malformed.items())))
        yield _histograms(table.LOG_SYNC_SECONDS, ((), self._log_sync))
        yield _counter(table.LOG_SYNCED_FILES, ((), self._synced_files))
        yield _histograms(table.LOOP_DELAY_SECONDS, ((), self._loop_delay))
        yield _histograms(table.RAFT_COMMIT_SECONDS, ((), self._raft_commit))
        yield _histograms(table.RAFT_SYNC_SECONDS, ((), self._raft_sync))
        yield _counter(table.LEADER_ELECTIONS, ((), self._elections))
        yield _counter(table.ISR_SHRINKS, ((), self._isr_shrinks))
        yield _counter(table.ISR_EXPANDS, ((), self._isr_expands))
        yield _counter(table.QUOTA_THROTTLES, *(((quota,), n) for quota, n in sorted(self._throttles.items())))
        yield _counter(table.QUOTA_THROTTLE_SECONDS, *(((quota,), s) for quota, s in sorted(self._throttle_s.items())))


class _Events(Collector):
    def __init__(self, probe: PrometheusProbe) -> None:
        self._probe = probe

    def collect(self) -> Iterator[Family]:
        return self._probe.families()

    def describe(self) -> list[Family]:
        # Without this the registry would collect once at registration, before the probe is complete.
        return []


class _Once(CollectorRegistry):
    """A registry of families that were made already."""

    def __init__(self, families: Iterator[Family]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterator[Family]:
        return self._families


def _latency() -> Histogram:
    return Histogram(LATENCY_BOUNDS_S)


def _states(statistics: BrokerStatistics) -> Iterator[Family]:
    raft, partitions = statistics.raft, statistics.partitions
    yield _gauge(table.NODE_INFO, ((statistics.cluster_id, str(statistics.node_id)), 1))
    for metric, value in (
        (table.WAITING_REQUESTS, statistics.waiting_requests),
        (table.FENCED, statistics.is_fenced),
        (table.RAFT_TERM, raft.term),
        (table.RAFT_IS_LEADER, raft.is_leader),
        (table.RAFT_LEADER_ID, raft.leader_id),
        (table.RAFT_COMMIT_INDEX, raft.commit_index),
        (table.RAFT_APPLIED_INDEX, raft.applied_index),
        (table.PARTITIONS, len(partitions)),
        (table.LEADER_PARTITIONS, sum(partition.is_leader for partition in partitions)),
        (table.UNDER_REPLICATED, sum(partition.is_under_replicated for partition in partitions)),
        (table.OFFLINE_REPLICAS, sum(partition.is_offline for partition in partitions)),
        (table.UNEXPORTED, max(0, len(partitions) - PARTITIONS_WITH_SERIES_MAX)),
    ):
        yield _gauge(metric, ((), value))
    groups = statistics.groups
    yield _gauge(table.GROUPS, *(((state,), count) for state, count in groups.states))
    yield _gauge(table.GROUPS_LOADING, ((), groups.loading))
    yield _counter(table.GROUP_REBALANCES, ((), groups.rebalances))
    yield _counter(table.OFFSET_COMMITS, ((), groups.commits))


def _partition_series(partitions: tuple[PartitionStatistics, ...]) -> str:
    # Topic names are `[A-Za-z0-9._-]+`, so no label value here needs escaping.
    labels = [f'{{topic="{partition.topic}",partition="{partition.partition}"}}' for partition in partitions]
    lines: list[str] = []
    for metric in table.OF_PARTITIONS:
        name, read = metric.name, _READERS[metric.name]
        lines.append(f"# HELP {name} {metric.meaning}\n# TYPE {name} {metric.kind}\n")
        lines += [
            f"{name}{label} {int(read(partition))}\n" for label, partition in zip(labels, partitions, strict=True)
        ]
    return "".join(lines)


def _gauge(metric: Metric, *samples: tuple[tuple[str, ...], float]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _counter(metric: Metric, *samples: tuple[tuple[str, ...], float]) -> Family:
    family = CounterMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _histograms(metric: Metric, *samples: tuple[tuple[str, ...], Histogram]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for labels, seen in samples:
        family.add_metric(labels, seen.buckets(), seen.sum)
    return family
