"""How far groups are behind, sampled while somebody looks. Floor 4.

Bounded: so many groups, so many samples of each, and nothing at all once nobody has asked for a while.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from raftkafka.client.admin import Admin
from raftkafka.client.group.reports import GroupReport, report
from raftkafka.console.clients import Clients
from raftkafka.model.errors import RaftKafkaError
from raftkafka.ports.clock import Clock

INTERVAL_S: Final = 5.0
UNTIL_S: Final = 120.0
"""So long after the last one who looked it goes on."""
SAMPLES_MAX: Final = 360
GROUPS_MAX: Final = 50
_TIME_MAX_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LagSample:
    time_ms: int
    total_lag: int
    by_topic: Mapping[str, int]


class LagSamples:
    """`told` gets the totals of all groups that were sampled."""

    def __init__(self, *, clients: Clients, clock: Clock, told: Callable[[int, Mapping[str, int]], None]) -> None:
        self._clients = clients
        self._clock = clock
        self._told = told
        self._samples: dict[str, deque[LagSample]] = {}
        self._until = 0.0
        self._sampling: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Somebody does."""
        loop = asyncio.get_running_loop()
        self._until = loop.time() + UNTIL_S
        if self._sampling is None or self._sampling.done():
            self._sampling = loop.create_task(self._sample_on())

    def of(self, group: str, since_ms: int) -> list[LagSample]:
        return [each for each in self._samples.get(group, ()) if each.time_ms >= since_ms]

    def stop(self) -> None:
        if self._sampling is not None:
            self._sampling.cancel()
            self._sampling = None

    async def _sample_on(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < self._until:
            # While a broker is away samples are missing; the next one is tried.
            with suppress(RaftKafkaError, TimeoutError):
                async with asyncio.timeout(_TIME_MAX_S):
                    await self._sample()
            await asyncio.sleep(INTERVAL_S)
        self._samples.clear()

    async def _sample(self) -> None:
        admin = await self._clients.admin()
        names = [each.group_id for each in await admin.list_consumer_groups()][:GROUPS_MAX]
        for gone in self._samples.keys() - set(names):
            del self._samples[gone]
        time_ms = self._clock.now_ms()
        totals: dict[str, int] = {}
        for each in await reports_of(admin, names):
            sample = _sample_of(each, time_ms)
            totals[each.group.group_id] = sample.total_lag
            self._samples.setdefault(each.group.group_id, deque(maxlen=SAMPLES_MAX)).append(sample)
        self._told(time_ms, totals)


async def reports_of(admin: Admin, names: Sequence[str]) -> list[GroupReport]:
    """Of the groups that exist."""
    described = await admin.describe_consumer_groups(names)
    return await report(admin, [each for each in described if each.state != "Dead"])


def total_lag(found: GroupReport) -> int:
    return sum(each.lag or 0 for each in found.partitions)


def _sample_of(found: GroupReport, time_ms: int) -> LagSample:
    by_topic: dict[str, int] = {}
    for each in found.partitions:
        by_topic[each.partition.topic] = by_topic.get(each.partition.topic, 0) + (each.lag or 0)
    return LagSample(time_ms=time_ms, total_lag=total_lag(found), by_topic=by_topic)
