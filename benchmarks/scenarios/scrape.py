"""A scrape of a node with 1,000 partitions and 1,000 committed offsets, as Prometheus makes it: over one connection that is kept.

Once of a node that has nothing else to do, once while records are sent and read at a steady pace by another process. A run's figure is the
median, and the one that one in a hundred exceeds, of its scrapes: of the time until the answer is there, and of the processor time of the node's
event loop, which other programs on the machine do not change. What others notice of a scrape is the longest that the event loop is
held: the upper bound of the histogram bucket in which the latest timer of the quiet part fell.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.cluster_view import all_in_sync, create_topic, wait_for
from benchmarks.figures import Figure, percentile
from benchmarks.nodes import NodeProcess, all_ready, bootstrap, cluster
from benchmarks.scenarios.plan import Plan
from raftkafka.client import Consumer, TopicPartition

TOPIC = "scraped"
PARTITIONS = 1_000
SCRAPES = 150
PROMISED_MS = 50
RATE = 1_000
_RK = "from raftkafka.cli.main import run; run()"
_BUCKET = re.compile(r'raftkafka_event_loop_delay_seconds_bucket\{le="([^"]+)"\} (\S+)')


async def run(plan: Plan) -> list[Figure]:
    partitions, scrapes = plan.number(PARTITIONS), max(100, plan.number(SCRAPES))
    with cluster(1, parent=plan.directory) as (node,):
        await all_ready([node])
        await create_topic(node, TOPIC, partitions=partitions, replicas=1)
        await wait_for(node, TOPIC, "every partition is led", all_in_sync(1), timeout_s=120, poll_s=1)
        await _commit(node, partitions)
        of = f"scrape of {partitions:,} partitions"
        quiet, loaded = _figures(f"{of}, quiet"), _figures(f"{of}, {RATE:,} records/s")
        delays = _figure(f"{of}, quiet, longest step of the event loop", target=None)
        for _ in range(plan.runs):
            before = _counts(_scrape(node))
            size = await _times(node, scrapes, quiet)
            delays.runs.append(_worst_ms(before, _counts(_scrape(node))))
            async with _load(node):
                await _times(node, scrapes, loaded)
        for figure in (*quiet, *loaded):
            figure.remarks["bytes"] = size
            figure.remarks["scrapes_per_run"] = scrapes
        return [*quiet, *loaded, delays]


def _figures(of: str) -> list[Figure]:
    """The processor time under load is not told: it would be that of the load."""
    return [
        _figure(f"{of}, median"),
        _figure(f"{of}, p99", target=None),
        *([_figure(f"{of}, processor time, {which}") for which in ("median", "p99")] if of.endswith("quiet") else []),
    ]


def _figure(name: str, *, target: float | None = PROMISED_MS) -> Figure:
    return Figure(name=name, unit="ms", target=target, lower_is_better=True)


async def _times(node: NodeProcess, scrapes: int, figures: list[Figure]) -> int:
    """One run of each figure; the size of a scrape."""
    times_ms, processor_ms, size = await asyncio.to_thread(_scrapes, node, scrapes)
    values = [percentile(sorted(each), share) for each in (times_ms, processor_ms) for share in (0.5, 0.99)]
    for figure, value in zip(figures, values, strict=False):
        figure.runs.append(value)
    return size


def _scrapes(node: NodeProcess, count: int) -> tuple[list[float], list[float], int]:
    connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=30)
    times_ms, processor_ms, size = list[float](), list[float](), 0
    try:
        for _ in range(count):
            began, before_ms = time.perf_counter(), _loop_ms(node)
            connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            size = len(answer.read())
            times_ms.append((time.perf_counter() - began) * 1e3)
            processor_ms.append(_loop_ms(node) - before_ms)
            if answer.status != 200:
                raise RuntimeError(f"a scrape was answered with {answer.status}")
            # A node that is scraped without a pause would be measured against itself.
            time.sleep(0.02)
    finally:
        connection.close()
    return times_ms, processor_ms, size


def _loop_ms(node: NodeProcess) -> float:
    """Processor time of the node's first thread, to the nanosecond."""
    return int(Path(f"/proc/{node.pid}/task/{node.pid}/schedstat").read_text().split()[0]) / 1e6


def _scrape(node: NodeProcess) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=30)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _counts(text: str) -> dict[str, float]:
    return {bound: float(count) for bound, count in _BUCKET.findall(text)}


def _worst_ms(before: dict[str, float], after: dict[str, float]) -> float:
    """The upper bound of the highest bucket that something fell into between the two."""
    worst, below = 0.0, 0.0
    for bound, count in after.items():
        seen = count - before[bound]
        if seen > below:
            worst = float(bound) * 1e3
        below = seen
    return worst


async def _commit(node: NodeProcess, partitions: int) -> None:
    """A group with an offset for each partition, so that lag has its series, too."""
    async with Consumer(bootstrap([node]), group_id="readers", enable_auto_commit=False) as consumer:
        places = [TopicPartition(TOPIC, partition) for partition in range(partitions)]
        consumer.assign(places)
        await consumer.commit(dict.fromkeys(places, 0))


@contextlib.asynccontextmanager
async def _load(node: NodeProcess) -> AsyncIterator[None]:
    arguments = ["bench", "latency", TOPIC, "--records", str(RATE * 600), "--rate", str(RATE)]
    command = [sys.executable, "-c", _RK, *arguments, "--bootstrap-server", bootstrap([node])]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        before = _records_in(_scrape(node))
        while _records_in(_scrape(node)) < before + RATE:
            if process.poll() is not None:
                raise RuntimeError(f"rk bench latency has ended with {process.returncode}")
            await asyncio.sleep(0.1)
        yield
        if process.poll() is not None:
            raise RuntimeError("the load has ended before the measurement")
    finally:
        process.kill()
        process.wait()


def _records_in(text: str) -> float:
    return sum(
        float(count) for count in re.findall(r"^raftkafka_partition_records_in_total\{.*\} (\S+)$", text, re.MULTILINE)
    )
