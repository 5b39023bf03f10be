"""Sees every alert firing once, against a real cluster that is really broken, by the real Prometheus; and then resolved.

`make test-alerts` runs it and prints what it saw. The rules are those of ops/prometheus with what they wait for made short, see
`tests.prometheus_server`. Root has all causes: one needs a small file system, two a C compiler.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from raftkafka.cli.layout import HOST
from raftkafka.client import Consumer, Producer, TopicPartition
from raftkafka.model.errors import RaftKafkaError
from tests.alerts.cluster import WITH_SMALL_DISK, BreakableCluster
from tests.prometheus_server import RULES, Prometheus, why_no_prometheus

LIMIT_S: Final = 120.0
"""For an alert to fire, and again to end: only an alert that does not work may meet it."""
PARTITIONS: Final = 6
RECORDS_PER_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """`strike` goes on until it is cancelled, or returns what it has done; `mend` undoes it. `why_not` says what is missing."""

    alerts: tuple[str, ...]
    text: str
    strike: Callable[[], Awaitable[None]]
    mend: Callable[[], Awaitable[None]]
    why_not: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    alert: str
    cause: str
    fired_s: float | None
    resolved_s: float | None
    skipped: str | None = None

    @property
    def is_good(self) -> bool:
        return self.fired_s is not None and self.resolved_s is not None


class Trial:
    def __init__(self, cluster: BreakableCluster, prometheus: Prometheus) -> None:
        self.cluster = cluster
        self.prometheus = prometheus

    def causes(self) -> list[list[Cause]]:
        """Those of one list happen at the same time: they concern different alerts and do not meet."""
        no_library, no_disk = self.cluster.why_no_library, self.cluster.why_no_small_disk
        return [
            [
                Cause(
                    alerts=("RaftKafkaConsumerLagGrowing",),
                    text="the consumer stopped, producers go on",
                    strike=self._stop_consuming,
                    mend=self._catch_up,
                ),
                Cause(
                    alerts=("RaftKafkaClockSkew",),
                    text="the clock of node 2 is 3 s ahead (preloaded library)",
                    strike=lambda: self._fault(2, "skew", on=True),
                    mend=lambda: self._fault(2, "skew", on=False),
                    why_not=no_library,
                ),
                Cause(
                    alerts=("RaftKafkaDiskFilling",),
                    text="somebody fills the small file system of a log directory of node 3",
                    strike=self._fill_disk,
                    mend=self._empty_disk,
                    why_not=no_disk,
                ),
                Cause(
                    alerts=("RaftKafkaLogDirectoryOffline",),
                    text="a log directory of node 1 is removed",
                    strike=self._remove_directory,
                    mend=lambda: self._restart(1),
                ),
            ],
            [
                Cause(
                    alerts=("RaftKafkaSlowSync",),
                    text="every sync of node 3 takes 0.4 s longer (preloaded library)",
                    strike=lambda: self._fault(3, "slow", on=True),
                    mend=lambda: self._fault(3, "slow", on=False),
                    why_not=no_library,
                )
            ],
            [
                Cause(
                    alerts=("RaftKafkaEventLoopStalls",),
                    text="node 3 is stopped for 0.4 s, again and again",
                    strike=self._stutter,
                    mend=lambda: self._resume(3),
                )
            ],
            [
                Cause(
                    alerts=("RaftKafkaElectionStorm",),
                    text="whoever leads Raft is stopped for 1.5 s",
                    strike=self._depose,
                    mend=lambda: self._resume(1, 2, 3),
                )
            ],
            [
                Cause(
                    alerts=(
                        "RaftKafkaNodeDown",
                        "RaftKafkaUnderReplicated",
                        "RaftKafkaUnderMinIsr",
                        "RaftKafkaPartitionsWithoutLeader",
                    ),
                    text="node 3 is killed",
                    strike=self._kill_replicas,
                    mend=lambda: self._start(3),
                )
            ],
            [
                Cause(
                    alerts=("RaftKafkaNoQuorum",),
                    text="nodes 2 and 3 are killed",
                    strike=lambda: self._kill(2, 3),
                    mend=lambda: self._start(2, 3),
                )
            ],
        ]

    async def see(self, cause: Cause) -> list[Row]:
        """Strike until all its alerts have fired, then mend until they are over."""
        if cause.why_not is not None:
            return [
                Row(alert=alert, cause=cause.text, fired_s=None, resolved_s=None, skipped=cause.why_not)
                for alert in cause.alerts
            ]
        # What came before may still be told of.
        await self._seconds_until(cause.alerts, firing=False)
        striking = asyncio.ensure_future(cause.strike())
        try:
            fired = await self._seconds_until(cause.alerts, firing=True, striking=striking)
        finally:
            striking.cancel()
            await asyncio.gather(striking, return_exceptions=True)
            await cause.mend()
        ended = await self._seconds_until(cause.alerts, firing=False)
        rows = [
            Row(alert=alert, cause=cause.text, fired_s=fired.get(alert), resolved_s=ended.get(alert))
            for alert in cause.alerts
        ]
        for row in rows:
            print(f"{row.alert}: fires after {row.fired_s}, is over after {row.resolved_s}", file=sys.stderr)
        return rows

    async def _seconds_until(
        self, alerts: tuple[str, ...], *, firing: bool, striking: asyncio.Future[None] | None = None
    ) -> dict[str, float]:
        began = time.monotonic()
        seen: dict[str, float] = {}
        while len(seen) < len(alerts) and time.monotonic() - began < LIMIT_S:
            if striking is not None and striking.done():
                striking.result()
            now = await self.prometheus.firing()
            for alert in alerts:
                if (alert in now) is firing:
                    seen.setdefault(alert, round(time.monotonic() - began, 1))
            await asyncio.sleep(0.2)
        return seen

    # What goes wrong, and how it is mended

    async def _fault(self, node_id: int, name: str, *, on: bool) -> None:
        self.cluster.fault(node_id, name, on=on)

    async def _kill_replicas(self) -> None:
        await self.cluster.create_topic("single", partitions=3, replicas=1)
        self.cluster.kill(3)

    async def _kill(self, *node_ids: int) -> None:
        self.cluster.kill(*node_ids)

    async def _start(self, *node_ids: int) -> None:
        self.cluster.start(*node_ids)
        await self.cluster.ready()

    async def _restart(self, node_id: int) -> None:
        self.cluster.kill(node_id)
        await self._start(node_id)

    async def _resume(self, *node_ids: int) -> None:
        for node_id in node_ids:
            self.cluster.resume(node_id)

    async def _stutter(self) -> None:
        while True:
            self.cluster.pause(3)
            await asyncio.sleep(0.4)
            self.cluster.resume(3)
            await asyncio.sleep(0.4)

    async def _depose(self) -> None:
        while True:
            leading = await self.prometheus.query("raftkafka_raft_is_leader == 1")
            for labels, _ in leading[:1]:
                port = int(labels["instance"].rpartition(":")[2])
                node_id = next(place.node_id for place in self.cluster.places if place.ports.http == port)
                self.cluster.pause(node_id)
                await asyncio.sleep(1.5)
                self.cluster.resume(node_id)
            await asyncio.sleep(1.0)

    async def _stop_consuming(self) -> None:
        await self.commit(at_end=False)

    async def _catch_up(self) -> None:
        await self.commit(at_end=True)

    async def commit(self, *, at_end: bool) -> None:
        places = [TopicPartition("orders", partition) for partition in range(PARTITIONS)]
        async with Consumer(self.cluster.bootstrap, group_id="billing", enable_auto_commit=False) as consumer:
            consumer.assign(places)
            ends = await consumer.end_offsets(places) if at_end else dict.fromkeys(places, 0)
            await consumer.commit(ends)

    async def _fill_disk(self) -> None:
        disk = shutil.disk_usage(self._filler.parent)
        with self._filler.open("ab", buffering=0) as file:
            while file.tell() < disk.total * 0.9:
                file.write(b"\1" * (1 << 20))
                await asyncio.sleep(0.25)
        await asyncio.Event().wait()

    async def _empty_disk(self) -> None:
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        return self.cluster.second_directory(WITH_SMALL_DISK) / "filler"

    async def _remove_directory(self) -> None:
        shutil.rmtree(self.cluster.second_directory(1))


async def produce(bootstrap: str) -> None:
    """Some records a second, whatever happens to the cluster."""
    async with Producer(bootstrap, acks="all", delivery_timeout_ms=10_000) as producer:
        while True:
            for number in range(RECORDS_PER_S // 10):
                with contextlib.suppress(RaftKafkaError):
                    await producer.send("orders", b"%d" % number * 20, partition=number % PARTITIONS)
            await asyncio.sleep(0.1)


def table(rows: list[Row]) -> str:
    lines = ["| alert | cause | fires after | is over after |", "|---|---|---|---|"]
    for row in rows:
        fired, ended = [
            f"{seconds:.1f} s" if seconds is not None else "never" for seconds in (row.fired_s, row.resolved_s)
        ]
        if row.skipped is not None:
            fired, ended = f"skipped: {row.skipped}", ""
        lines.append(f"| `{row.alert}` | {row.cause} | {fired} | {ended} |")
    return "\n".join(lines)


async def run(directory: Path, only: set[str]) -> list[Row]:
    cluster = BreakableCluster(directory / "cluster", {"offsets.topic.num.partitions": "5"})
    prometheus = Prometheus(
        directory / "prometheus",
        [f"{HOST}:{place.ports.http}" for place in cluster.places],
        cluster.more_ports().http,
    )
    load: asyncio.Task[None] | None = None
    rows: list[Row] = []
    try:
        cluster.start()
        await cluster.ready()
        await cluster.create_topic("orders", partitions=PARTITIONS)
        await cluster.create_topic("strict", partitions=3, min_insync_replicas="3")
        await prometheus.start()
        load = asyncio.create_task(produce(cluster.bootstrap))
        trial = Trial(cluster, prometheus)
        # What is created later would make a log directory anew that was removed.
        await trial.commit(at_end=True)
        for group in trial.causes():
            wanted = [cause for cause in group if not only or only & set(cause.alerts)]
            for some in await asyncio.gather(*[trial.see(cause) for cause in wanted]):
                rows += some
        for problem in await prometheus.unhealthy_rules():
            print(f"a rule cannot be evaluated: {problem}", file=sys.stderr)
            rows.append(Row(alert=problem.partition(":")[0], cause="evaluation", fired_s=None, resolved_s=None))
    finally:
        if load is not None:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        prometheus.close()
        cluster.close()
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.alerts.run", description=__doc__)
    parser.add_argument("alerts", nargs="*", help="only these")
    options = parser.parse_args()
    if (reason := why_no_prometheus()) is not None:
        print(reason, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="raftkafka-alerts-") as directory:
        rows = asyncio.run(run(Path(directory), set(options.alerts)))
    print(table(rows))
    groups = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    everything = set(options.alerts) or {rule["alert"] for group in groups for rule in group["rules"]}
    seen = {row.alert for row in rows}
    for alert in sorted(everything - seen):
        print(f"{alert}: nothing here makes it fire")
    return 0 if everything == seen and all(row.is_good or row.skipped for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
