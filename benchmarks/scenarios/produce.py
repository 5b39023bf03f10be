"""Producing in bulk: one client process, the batch interface, values of one size.

The values differ from call to call in identity only: what is measured is the way of the bytes, not their making. The measured
runs write to memory that is at hand (`pages`); one long run shows what comes after that.
"""

from __future__ import annotations

import asyncio
import os
import time

from benchmarks import pages
from benchmarks.codecs import CODECS, using
from benchmarks.figures import Figure
from benchmarks.nodes import NodeProcess, all_ready, bootstrap, cluster
from benchmarks.scenarios.plan import Plan
from raftkafka.client.producer import Producer

VALUES_PER_CALL = {100: 10_000, 1024: 1_000}
LIMIT = "loopback_128k_bytes_per_s"
SUSTAINED_LIMIT = "sustained_write_bytes_per_s"
SUSTAINED_RECORDS = 2_000_000


async def run(plan: Plan) -> list[Figure]:
    """One node: 100 B and 1 KiB, page cache and group sync. Three nodes: RF 3, acknowledged by all."""
    figures = []
    for policy in ("os", "group"):
        with cluster(1, parent=plan.directory, log_flush_policy=policy) as nodes:
            await all_ready(nodes)
            figures += await _bulk(plan, nodes, f"1 node, {policy}", promised=policy == "os")
            figures.append(await _sustained(plan, nodes, f"1 node, {policy}"))
            if policy == "os":
                figures += await _by_codec(plan, nodes)
    replicated = {"default_replication_factor": 3, "min_insync_replicas": 2}
    for policy in ("os", "group"):
        with cluster(3, parent=plan.directory, log_flush_policy=policy, **replicated) as nodes:
            await all_ready(nodes)
            figures += await _bulk(plan, nodes, f"3 nodes, RF 3, {policy}", promised=False)
    return figures


async def _bulk(plan: Plan, nodes: list[NodeProcess], where: str, *, promised: bool) -> list[Figure]:
    small = Figure(name=f"produce 100 B, {where}", unit="records/s", limit=LIMIT)
    large = Figure(name=f"produce 1 KiB, {where}", unit="MB/s", limit=LIMIT)
    if promised:
        small.target, large.target = 800_000, 400
    async with Producer(bootstrap(nodes)) as producer:
        await produce(producer, "warm-up", 100, 10_000)
        for number in range(plan.runs):
            records = plan.number(2_000_000 if len(nodes) == 1 else 1_000_000)
            pages.prepare(plan.directory, records * 112 * len(nodes))
            before_s = nodes[0].cpu_s()
            elapsed_s = await produce(producer, f"small-{number}", 100, records)
            small.runs.append(records / elapsed_s)
            small.remarks["node_cpu_s_per_gb"] = round((nodes[0].cpu_s() - before_s) / (records * 100 / 1e9), 2)
            records = plan.number(250_000 if len(nodes) == 1 else 100_000)
            pages.prepare(plan.directory, records * 1040 * len(nodes))
            before_s = nodes[0].cpu_s()
            elapsed_s = await produce(producer, f"large-{number}", 1024, records)
            large.runs.append(records * 1024 / 1e6 / elapsed_s)
            large.remarks["node_cpu_s_per_gb"] = round((nodes[0].cpu_s() - before_s) / (records * 1024 / 1e9), 2)
    small.limit_value = plan.limits.get(LIMIT, 0) / 100 or None
    large.limit_value = plan.limits.get(LIMIT, 0) / 1e6 or None
    return [small, large]


async def _sustained(plan: Plan, nodes: list[NodeProcess], where: str) -> Figure:
    """Once, beyond the memory that is at hand: the host's pages and the disk's write-back decide."""
    figure = Figure(name=f"produce 1 KiB, 2 GB at once, {where}", unit="MB/s", limit=SUSTAINED_LIMIT)
    figure.limit_value = plan.limits.get(SUSTAINED_LIMIT, 0) / 1e6 or None
    records = plan.number(SUSTAINED_RECORDS)
    async with Producer(bootstrap(nodes)) as producer:
        figure.runs.append(records * 1024 / 1e6 / await produce(producer, "sustained", 1024, records))
    return figure


async def _by_codec(plan: Plan, nodes: list[NodeProcess]) -> list[Figure]:
    """What the codec of the client makes of it, many values at once and a call per record."""
    figures = []
    for codec in CODECS:
        bulk = Figure(name=f"produce 100 B, {codec} codec", unit="records/s")
        bulk.target = {"Python": 1_000_000, "compiled": 5_000_000}[codec]
        single = Figure(name=f"produce 100 B, {codec} codec, a send for each", unit="records/s")
        single.target = 1_500_000 if codec == "compiled" else None
        with using(codec):
            async with Producer(bootstrap(nodes)) as producer:
                await produce(producer, "warm-up", 100, 10_000)
                for number in range(plan.runs):
                    records = plan.number(2_000_000)
                    pages.prepare(plan.directory, records * 112)
                    bulk.runs.append(records / await produce(producer, f"{codec}-{number}", 100, records))
                    records = plan.number(300_000)
                    single.runs.append(records / await _send_each(producer, f"{codec}-each-{number}", records))
        figures += [bulk, single]
    return figures


async def _send_each(producer: Producer, topic: str, records: int) -> float:
    await producer.partitions_for(topic)
    value, step = os.urandom(100), 1_000
    began = time.perf_counter()
    for _ in range(max(1, records // step)):
        await producer.ready()
        for _ in range(step):
            last = producer.send(topic, value)
        await asyncio.sleep(0)  # let it leave
    await last
    return time.perf_counter() - began


async def produce(producer: Producer, topic: str, value_bytes: int, records: int) -> float:
    """Seconds from the first call until the last acknowledgement; the topic is created before the clock starts."""
    await producer.partitions_for(topic)
    step = min(records, VALUES_PER_CALL[value_bytes])
    values = [os.urandom(value_bytes) for _ in range(step)]
    began = time.perf_counter()
    futures = [await producer.send_batch(topic, values) for _ in range(max(1, records // step))]
    await asyncio.gather(*futures)
    return (time.perf_counter() - began) * records / (len(futures) * step)
