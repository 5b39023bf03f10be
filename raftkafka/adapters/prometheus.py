"""The probe that keeps what Prometheus will ask for, and the text it is answered with.

Floor 4. All of it runs on the node's event loop. Events are counted as they happen in plain numbers; states are read from a
`BrokerStatistics` at scrape time. One node's numbers never mix with another's in the same process: each probe has a
registry of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from raftkafka import __version__
from raftkafka.adapters import metric_table as table
from raftkafka.adapters.exposition import family, histograms, states, value
from raftkafka.adapters.histogram import Histogram
from raftkafka.model.errors import ErrorCode
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.ports.probe import ReadStatistics

_NONE: Final = ErrorCode.NONE
"""To look a member up in its enum costs ten times what a global does."""

LATENCY_BOUNDS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
PIECE_BYTES: Final = 64 << 10


class PrometheusProbe:
    """Implements `ports.probe.Probe`. `expose` renders everything; `watch` says where the states come from."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        """The process itself; an embedding program may add collectors of its own."""
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
        self._zookeeper_requests: defaultdict[str, Histogram] = defaultdict(_latency)
        self._zookeeper_errors: Counter[tuple[str, ZkErrorCode]] = Counter()
        self._zookeeper_expired = 0

    def watch(self, read: ReadStatistics) -> None:
        """Ask `read` for the states at each scrape from now on."""
        self._read = read

    def expose(self) -> bytes:
        """Prometheus' text format, version 0.0.4."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """`expose` in parts of about PIECE_BYTES, each of which costs a millisecond or two: who serves it on the event loop
        lets others have a turn in between. The states are those of the first one."""
        text: list[str] = []
        size = 0
        for lines in self._families():
            text.append(lines)
            size += len(lines)
            if size >= PIECE_BYTES:
                yield "".join(text).encode()
                text.clear()
                size = 0
        if text:
            yield "".join(text).encode()

    # What the console draws

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper ends of the buckets in seconds, without the last one."""
        return LATENCY_BOUNDS_S

    def requests(self) -> dict[str, tuple[int, ...]]:
        """Counts per bucket of the durations of requests, by API."""
        return {api: seen.counts for api, seen in self._requests.items()}

    def loop_delays(self) -> tuple[int, ...]:
        return self._loop_delay.counts

    # ports.probe.Probe

    def request(self, api: str, error: ErrorCode, seconds: float) -> None:
        self._requests[api].observe(seconds)
        if error is not _NONE:
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

    def zookeeper_request(self, operation: str, error: ZkErrorCode, seconds: float) -> None:
        self._zookeeper_requests[operation].observe(seconds)
        if error is not ZkErrorCode.OK:
            self._zookeeper_errors[operation, error] += 1

    def zookeeper_sessions_expired(self, count: int) -> None:
        self._zookeeper_expired += count

    def _families(self) -> Iterator[str]:
        yield generate_latest(self.registry).decode()
        yield family(table.BUILD_INFO, [((__version__,), 1)])
        yield from self._events()
        if self._read is not None:
            yield from states(self._read())

    def _events(self) -> Iterator[str]:
        """What was counted as it happened."""
        yield histograms(table.REQUEST_SECONDS, [((api,), seen) for api, seen in sorted(self._requests.items())])
        errors = sorted(self._errors.items())
        yield family(table.REQUEST_ERRORS, [((api, code.name), count) for (api, code), count in errors])
        opened = sorted(self._opened.items())
        yield family(table.CONNECTIONS, [((name,), count - self._closed[name]) for name, count in opened])
        yield family(table.CONNECTIONS_OPENED, [((name,), count) for name, count in opened])
        yield family(table.MALFORMED_FRAMES, [((name,), count) for name, count in sorted(self._malformed.items())])
        yield histograms(table.LOG_SYNC_SECONDS, [((), self._log_sync)])
        yield value(table.LOG_SYNCED_FILES, self._synced_files)
        yield histograms(table.LOOP_DELAY_SECONDS, [((), self._loop_delay)])
        yield histograms(table.RAFT_COMMIT_SECONDS, [((), self._raft_commit)])
        yield histograms(table.RAFT_SYNC_SECONDS, [((), self._raft_sync)])
        yield value(table.LEADER_ELECTIONS, self._elections)
        yield value(table.ISR_SHRINKS, self._isr_shrinks)
        yield value(table.ISR_EXPANDS, self._isr_expands)
        yield family(table.QUOTA_THROTTLES, [((quota,), count) for quota, count in sorted(self._throttles.items())])
        yield family(table.QUOTA_THROTTLE_SECONDS, [((quota,), s) for quota, s in sorted(self._throttle_s.items())])
        seen = sorted(self._zookeeper_requests.items())
        yield histograms(table.ZOOKEEPER_REQUEST_SECONDS, [((operation,), each) for operation, each in seen])
        refused = sorted(self._zookeeper_errors.items())
        yield family(table.ZOOKEEPER_REQUEST_ERRORS, [((name, code.name), count) for (name, code), count in refused])
        yield value(table.ZOOKEEPER_EXPIRED, self._zookeeper_expired)


def _latency() -> Histogram:
    return Histogram(LATENCY_BOUNDS_S)
