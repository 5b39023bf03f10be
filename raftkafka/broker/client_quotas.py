"""Client quotas at work: how many bytes per second a user or client id may produce and fetch on this broker (KIP-13, KIP-219).

Floor 3. A rate is measured as Kafka measures it: over `quota.window.num` windows of `quota.window.size.seconds`. Whoever goes beyond
it is answered all the same, told for how long it is throttled, and not listened to meanwhile: the connection does that
(`RequestContext.throttled_s`). One look per request, and none at all while the cluster has no quotas. A fetch that goes beyond is
answered with its records, where Kafka throws them away and lets them be fetched again: the rate over time is the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, NamedTuple

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.image import Image, QuotaEntity
from raftkafka.metadata.quotas import CONSUMER_BYTE_RATE, PRODUCER_BYTE_RATE, QuotaOf, quota_of
from raftkafka.model.api.fetch import Fetch, FetchResponse
from raftkafka.model.api.produce import Produce, ProduceResponse
from raftkafka.model.context import RequestContext
from raftkafka.ports.probe import Probe

CLIENTS_MAX: Final = 10_000
"""Rates that are remembered: beyond it the one that was not touched for the longest time is forgotten. Client ids are whatever clients
say, so their number is bounded here."""

THROTTLE_MAX_S: Final = 600.0
"""A quota that was set too small by mistake holds a connection no longer than this after it was corrected."""


class ByteRate:
    """Bytes in the last windows. Kafka's `SampledStat` and `Rate` in one, in O(1)."""

    __slots__ = ("_samples", "_total", "num", "size_s")

    def __init__(self, *, num: int, size_s: float) -> None:
        self.num = num
        self.size_s = size_s
        self._samples: deque[tuple[float, int]] = deque()
        self._total = 0

    def record(self, count: int, now: float) -> None:
        """So many bytes have passed."""
        samples = self._samples
        self._total += count
        if samples and now - samples[-1][0] < self.size_s:
            began, before = samples[-1]
            samples[-1] = (began, before + count)
        else:
            samples.append((now, count))

    def excess_s(self, rate: float, now: float) -> float:
        """Seconds without traffic after which the rate is kept again; 0 while it is."""
        samples = self._samples
        while samples and now - samples[0][0] >= self.num * self.size_s:
            self._total -= samples.popleft()[1]
        if not samples:
            return 0.0
        # A client that has just begun counts as if it had been quiet before, so it may begin with a burst.
        elapsed_s = now - samples[0][0]
        missing = self.num - 1 - int(elapsed_s / self.size_s)
        window_s = elapsed_s + max(0, missing) * self.size_s
        return max(0.0, self._total / rate - window_s)


class _Limits(NamedTuple):
    produce: QuotaOf | None
    consume: QuotaOf | None


class ClientQuotas:
    """`active` is False while there are no quotas: then nothing else here is worth a call."""

    def __init__(
        self, *, store: MetadataStore, probe: Probe, now: Callable[[], float], window_num: int, window_size_s: float
    ) -> None:
        self._probe = probe
        self._now = now
        self._num = window_num
        self._size_s = window_size_s
        self._quotas = store.image.client_quotas
        self._limits: dict[tuple[str, str], _Limits] = {}
        self._rates: dict[tuple[str, QuotaEntity], ByteRate] = {}
        self.active = bool(self._quotas)
        store.subscribe(self._on_change)

    def _on_change(self, image: Image, changes: Changes) -> None:
        if changes.client_quotas:
            self._quotas = image.client_quotas
            self._limits.clear()
            self.active = bool(self._quotas)
            if not self.active:
                self._rates.clear()

    def limits(self, context: RequestContext) -> _Limits:
        """What holds for the client of this connection, remembered until a quota changes."""
        client = (context.principal, context.client_id)
        limits = self._limits.get(client)
        if limits is None:
            if len(self._limits) >= CLIENTS_MAX:
                self._limits.clear()
            limits = self._limits[client] = _Limits(
                quota_of(self._quotas, PRODUCER_BYTE_RATE, *client), quota_of(self._quotas, CONSUMER_BYTE_RATE, *client)
            )
        return limits

    # Produce

    def on_produce(self, context: RequestContext, request: Produce) -> int:
        """Count what the request brings, before anything is done with it; the throttle time in milliseconds."""
        quota = self.limits(context).produce
        if quota is None:
            return 0
        return self._count(context, PRODUCER_BYTE_RATE, quota, sum([len(each.records) for each in request.partitions]))

    # Fetch

    def bounded(self, context: RequestContext, request: Fetch) -> Fetch:
        """The request, asking for no more than may pass within all windows."""
        quota = self.limits(context).consume
        if quota is None:
            return request
        most = max(1, int(quota.rate * max(1, self._num - 1) * self._size_s))
        return request if request.max_bytes <= most else replace(request, max_bytes=most)

    def on_fetched(self, context: RequestContext, response: FetchResponse) -> FetchResponse:
        """Count what the answer brings; the answer, with its throttle time where there is one."""
        quota = self.limits(context).consume
        count = sum([len(each.records) for each in response.partitions])
        if quota is None or not count:
            return response
        throttle_ms = self._count(context, CONSUMER_BYTE_RATE, quota, count)
        return replace(response, throttle_time_ms=throttle_ms) if throttle_ms else response

    def _count(self, context: RequestContext, key: str, quota: QuotaOf, count: int) -> int:
        now = self._now()
        rate = self._rate(key, quota.shares)
        rate.record(count, now)
        excess_s = min(rate.excess_s(quota.rate, now), THROTTLE_MAX_S)
        if excess_s <= 0:
            return 0
        context.throttled_s = max(context.throttled_s, excess_s)
        self._probe.throttled(key, excess_s)
        return max(1, round(excess_s * 1000))

    def _rate(self, key: str, shares: QuotaEntity) -> ByteRate:
        rates, name = self._rates, (key, shares)
        rate = rates.pop(name, None)
        if rate is None:
            if len(rates) >= CLIENTS_MAX:
                del rates[next(iter(rates))]
            rate = ByteRate(num=self._num, size_s=self._size_s)
        rates[name] = rate
        return rate


def with_throttle(
    outcome: ProduceResponse | asyncio.Future[ProduceResponse], throttle_ms: int
) -> ProduceResponse | Coroutine[Any, Any, ProduceResponse]:
    """The answer to a produce request that went beyond its quota, now or when it comes."""
    if isinstance(outcome, ProduceResponse):
        return replace(outcome, throttle_time_ms=throttle_ms)

    async def later() -> ProduceResponse:
        return replace(await outcome, throttle_time_ms=throttle_ms)

    return later()
