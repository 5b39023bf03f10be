"""What pages are told while they look: numbers of this node each second, and which topics changed. Floor 4.

Nothing is measured while nobody looks. All streams share one measurement; each has a short queue, and what does not fit is dropped: the next
second says more than the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from raftkafka.console.api.schema import as_json
from raftkafka.console.node import ConsoleNode
from raftkafka.console.streams import Event
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.image import Image
from raftkafka.model.ids import TopicId

INTERVAL_S: Final = 1.0
QUEUE_MAX: Final = 100
CHANGED_NAMES_MAX: Final = 100
_BETWEEN_CHANGES_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Of this node, over the second before; latencies are None where nothing was measured."""

    time_ms: int
    records_in_per_s: float
    bytes_in_per_s: float
    bytes_out_per_s: float
    requests_per_s: float
    produce_p50_ms: float | None
    produce_p99_ms: float | None
    fetch_p99_ms: float | None
    loop_delay_p99_ms: float | None
    raft_term: int
    controller_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    at: float
    records_in: int
    bytes_in: int
    bytes_out: int
    requests: Mapping[str, tuple[int, ...]]
    loop_delays: tuple[int, ...]


class Live:
    def __init__(self, node: ConsoleNode) -> None:
        self._node = node
        self._queues: list[asyncio.Queue[Event]] = []
        self._measuring: asyncio.Task[None] | None = None
        self._changed: set[str] = set()
        self._everything = False
        self._telling: asyncio.TimerHandle | None = None
        node.store.subscribe(self._on_change)

    @contextmanager
    def listening(self) -> Iterator[asyncio.Queue[Event]]:
        """A queue that is filled while this lasts."""
        queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE_MAX)
        self._queues.append(queue)
        if self._measuring is None:
            self._measuring = asyncio.get_running_loop().create_task(self._measure())
        try:
            yield queue
        finally:
            self._queues.remove(queue)
            if not self._queues:
                self.stop()

    def stop(self) -> None:
        if self._measuring is not None:
            self._measuring.cancel()
            self._measuring = None
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def tell(self, event: Event) -> None:
        """Everybody who listens and has room."""
        for queue in self._queues:
            if not queue.full():
                queue.put_nowait(event)

    async def _measure(self) -> None:
        before = self._count()
        while True:
            await asyncio.sleep(INTERVAL_S)
            now = self._count()
            self.tell(("stats", as_json(self._stats(before, now))))
            before = now

    def _count(self) -> _Counts:
        records_in = bytes_in = bytes_out = 0
        for each in self._node.replicas:
            counters = each.counters
            records_in += counters.records_in
            bytes_in += counters.bytes_in
            bytes_out += counters.bytes_out
        return _Counts(
            at=asyncio.get_running_loop().time(),
            records_in=records_in,
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            requests=self._node.latencies.requests(),
            loop_delays=self._node.latencies.loop_delays(),
        )

    def _stats(self, before: _Counts, now: _Counts) -> Stats:
        bounds = self._node.latencies.bounds
        seconds = max(now.at - before.at, 0.001)

        def rate(after: int, earlier: int) -> float:
            # A replica that went takes its counts along: then this second is not known better than "nothing".
            return round(max(0, after - earlier) / seconds, 1)

        def quantile_ms(api: str, quantile: float) -> float | None:
            return _quantile_ms(bounds, before.requests.get(api), now.requests.get(api), quantile)

        return Stats(
            time_ms=self._node.clock.now_ms(),
            records_in_per_s=rate(now.records_in, before.records_in),
            bytes_in_per_s=rate(now.bytes_in, before.bytes_in),
            bytes_out_per_s=rate(now.bytes_out, before.bytes_out),
            requests_per_s=rate(sum(map(sum, now.requests.values())), sum(map(sum, before.requests.values()))),
            produce_p50_ms=quantile_ms("PRODUCE", 0.5),
            produce_p99_ms=quantile_ms("PRODUCE", 0.99),
            fetch_p99_ms=quantile_ms("FETCH", 0.99),
            loop_delay_p99_ms=_quantile_ms(bounds, before.loop_delays, now.loop_delays, 0.99),
            raft_term=self._node.consensus.term,
            controller_id=self._node.consensus.leader_id,
        )

    def _on_change(self, image: Image, changes: Changes) -> None:
        if not self._queues:
            return
        touched: set[TopicId] = {
            *changes.topics_created,
            *changes.configs,
            *(each.topic_id for each in changes.partitions),
        }
        names = {image.topics[each].name for each in touched if each in image.topics}
        # What was deleted has no name any more: look at everything.
        self._everything = self._everything or bool(changes.topics_deleted) or not names
        self._changed |= names
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_BETWEEN_CHANGES_S, self._tell_changes)

    def _tell_changes(self) -> None:
        self._telling = None
        many = self._everything or len(self._changed) > CHANGED_NAMES_MAX
        topics = None if many else sorted(self._changed)
        self._changed, self._everything = set(), False
        self.tell(("metadata", {"index": self._node.store.applied_index, "topics": topics}))


def _quantile_ms(
    bounds: tuple[float, ...], before: tuple[int, ...] | None, now: tuple[int, ...] | None, quantile: float
) -> float | None:
    """The upper bound of the bucket in which the quantile of what came between lies, interpolated as Prometheus does."""
    if now is None:
        return None
    counts = [after - earlier for after, earlier in zip(now, before or (0,) * len(now), strict=True)]
    total = sum(counts)
    if total <= 0:
        return None
    wanted, passed = quantile * total, 0
    for at, count in enumerate(counts):
        if passed + count >= wanted and count:
            low = bounds[at - 1] if at else 0.0
            high = bounds[at] if at < len(bounds) else bounds[-1]
            return round(1_000 * (low + (high - low) * (wanted - passed) / count), 3)
        passed += count
    return round(1_000 * bounds[-1], 3)
