"""End to end at a steady pace: from `send` until a consumer of the same process holds the record.

Records leave at a steady pace, whatever became of those before: a pause of the node counts for every record that it delays (no
coordinated omission). The clock of a record starts with its `send`; the event loop's timers, which are a millisecond
coarse, are not the node's to answer for, and how late they were is reported beside the figures.
"""

from __future__ import annotations

import asyncio
import time
from struct import Struct

from benchmarks.figures import Figure, percentile
from benchmarks.nodes import all_ready, bootstrap, cluster
from benchmarks.scenarios.plan import Plan
from raftkafka.client import Consumer, Producer, TopicPartition

RATE_PER_S = 1_000
WARM_UP = 500
SENT_AT = Struct(">d")
FILL = bytes(92)
TOPIC = "latency"


async def run(plan: Plan) -> list[Figure]:
    figures = []
    settings = [(1, "os", {}), (1, "group", {})]
    settings += [(3, "os", {"default_replication_factor": 3, "min_insync_replicas": 2})]
    settings += [(3, "group", {"default_replication_factor": 3, "min_insync_replicas": 2})]
    for nodes_count, policy, extra in settings:
        where = f"{RATE_PER_S:,} records/s, {nodes_count} node{'s, RF 3' if nodes_count > 1 else ''}, {policy}"
        p50 = Figure(name=f"end to end p50, {where}", unit="ms", lower_is_better=True)
        p99 = Figure(name=f"end to end p99, {where}", unit="ms", lower_is_better=True)
        if nodes_count == 1 and policy == "os":
            p50.target, p99.target = 0.5, 3.0
        with cluster(nodes_count, parent=plan.directory, log_flush_policy=policy, **extra) as nodes:
            await all_ready(nodes)
            for _ in range(plan.runs):
                times_ms, late_ms = await paced(bootstrap(nodes), plan.number(5_000))
                times_ms.sort()
                p50.runs.append(percentile(times_ms, 0.5))
                p99.runs.append(percentile(times_ms, 0.99))
                p99.remarks["sender_late_p99_ms"] = round(percentile(sorted(late_ms), 0.99), 2)
                p99.remarks["worst_ms"] = round(max(times_ms[-1], float(str(p99.remarks.get("worst_ms", 0)))), 2)
        figures += [p50, p99]
    return figures


async def paced(servers: str, count: int, *, topic: str = TOPIC) -> tuple[list[float], list[float]]:
    """Milliseconds from the `send` of a record to its arrival at the consumer, and how late sends were."""
    async with Producer(servers) as producer, Consumer(servers) as consumer:
        await producer.send_and_wait(topic, FILL, partition=0)
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.position(partition)
        reading = asyncio.create_task(_arrivals(consumer, count + WARM_UP))
        late_ms = await _send_paced(producer, topic, count + WARM_UP)
        return (await reading)[WARM_UP:], late_ms[WARM_UP:]


async def _send_paced(producer: Producer, topic: str, count: int) -> list[float]:
    late_ms = []
    began = time.perf_counter() + 0.01
    for number in range(count):
        due = began + number / RATE_PER_S
        ahead = due - time.perf_counter()
        if ahead > 0:
            await asyncio.sleep(ahead)
        now = time.perf_counter()
        late_ms.append((now - due) * 1e3)
        producer.send(topic, SENT_AT.pack(now) + FILL, partition=0)
    await producer.flush()
    return late_ms


async def _arrivals(consumer: Consumer, count: int) -> list[float]:
    times_ms: list[float] = []
    while len(times_ms) < count:
        for values in await consumer.poll_values(5_000):
            now = time.perf_counter()
            times_ms += [(now - SENT_AT.unpack_from(value)[0]) * 1e3 for value in values.values if value]
    return times_ms
