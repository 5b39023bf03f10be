"""Reading back in bulk, from the page cache: raw batches, values, records; one client process, one partition."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from benchmarks.codecs import CODECS, using
from benchmarks.figures import Figure
from benchmarks.nodes import all_ready, bootstrap, cluster
from benchmarks.scenarios.plan import Plan
from benchmarks.scenarios.produce import produce
from raftkafka.client import Consumer, Producer, TopicPartition

LIMIT = "loopback_1024k_bytes_per_s"
WAIT_MS = 5_000
EACH = 100_000
"""Records of one loop; the number of all is a multiple of it: a loop for more would wait for ever."""


async def run(plan: Plan) -> list[Figure]:
    with cluster(1, parent=plan.directory, log_flush_policy="os") as nodes:
        await all_ready(nodes)
        servers = bootstrap(nodes)
        small, large = max(1, plan.number(30)) * EACH, plan.number(1_000_000)
        async with Producer(servers) as producer:
            await produce(producer, "small", 100, small)
            await produce(producer, "large", 1024, large)
        limit = plan.limits.get(LIMIT)
        raw = Figure(name="fetch raw, 1 KiB records", unit="MB/s", limit=LIMIT, target=1_000)
        raw.limit_value = limit / 1e6 if limit else None
        large_values = Figure(name="consume values, 1 KiB", unit="MB/s", limit=LIMIT)
        large_values.limit_value = limit / 1e6 if limit else None
        for _ in range(plan.runs):
            before_s = nodes[0].cpu_s()
            raw.runs.append(await _read(servers, "large", large, _raw) * 1024 / 1e6)
            raw.remarks["node_cpu_s_per_gb"] = round((nodes[0].cpu_s() - before_s) / (large * 1024 / 1e9), 2)
            large_values.runs.append(await _read(servers, "large", large, _values) * 1024 / 1e6)
        figures = [raw, large_values]
        await _read(servers, "small", small, _raw)  # the first reader finds cold pages
        for codec in CODECS:
            with using(codec):
                figures += await _by_codec(plan, servers, small, codec, limit)
        return figures


async def _by_codec(plan: Plan, servers: str, small: int, codec: str, limit: float | None) -> list[Figure]:
    """What the codec of the client makes of it: values alone, records, and a step of `async for` per record."""
    target = {"Python": 800_000, "compiled": 5_000_000}[codec]
    values = Figure(name=f"consume values, 100 B, {codec} codec", unit="records/s", limit=LIMIT, target=target)
    values.limit_value = limit / 100 if limit else None
    records = Figure(name=f"consume records, 100 B, {codec} codec", unit="records/s")
    each = Figure(name=f"consume records, 100 B, {codec} codec, one at a time", unit="records/s")
    each.target = 1_500_000 if codec == "compiled" else None
    for _ in range(plan.runs):
        values.runs.append(await _read(servers, "small", small, _values))
        records.runs.append(await _read(servers, "small", small, _records))
        each.runs.append(await _read(servers, "small", small, _each))
    return [values, records, each]


async def _read(servers: str, topic: str, count: int, read_some: Callable[[Consumer], Awaitable[int]]) -> float:
    """Records per second, from the first fetch to the last record."""
    async with Consumer(servers, auto_offset_reset="earliest") as consumer:
        partition = TopicPartition(topic, 0)
        await consumer.partitions_for(topic)
        end = (await consumer.end_offsets([partition]))[partition]
        if end < count * 0.99:
            raise RuntimeError(f"{topic} ends at {end}, {count} were produced")
        consumer.assign([partition])
        began = time.perf_counter()
        seen = 0
        while seen < end:
            some = await read_some(consumer)
            if not some:
                raise RuntimeError(f"nothing came for {WAIT_MS} ms; {seen} of {end} records were read")
            seen += some
        return seen / (time.perf_counter() - began)


async def _raw(consumer: Consumer) -> int:
    return sum(batch.next_offset - batch.first_offset for batch in await consumer.poll_batches(WAIT_MS))


async def _values(consumer: Consumer) -> int:
    return sum(len(values.values) for values in await consumer.poll_values(WAIT_MS))


async def _records(consumer: Consumer) -> int:
    return sum(map(len, (await consumer.poll(WAIT_MS, max_records=100_000)).values()))


async def _each(consumer: Consumer) -> int:
    seen = 0
    async for _ in consumer:
        seen += 1
        if seen == EACH:
            break
    return seen
