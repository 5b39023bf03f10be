"""One record per request, the next when the last is acknowledged: the price of a round trip."""

from __future__ import annotations

import time

from benchmarks.figures import Figure, percentile
from benchmarks.nodes import all_ready, bootstrap, cluster
from benchmarks.scenarios.plan import Plan
from raftkafka.client.producer import Producer

LIMIT = "ping_pong_round_trips_per_s"
VALUE = bytes(100)


async def run(plan: Plan) -> list[Figure]:
    figures = []
    for policy, target, requests in (("os", 8_000, 20_000), ("group", 2_000, 5_000)):
        figure = Figure(
            name=f"round trips of one record, 1 node, {policy}",
            unit="requests/s",
            limit=LIMIT,
            limit_value=plan.limits.get(LIMIT),
            target=target,
        )
        with cluster(1, parent=plan.directory, log_flush_policy=policy) as nodes:
            await all_ready(nodes)
            async with Producer(bootstrap(nodes)) as producer:
                await _one_by_one(producer, 200)
                for _ in range(plan.runs):
                    times_s = await _one_by_one(producer, plan.number(requests))
                    figure.runs.append(len(times_s) / sum(times_s))
                    times_s.sort()
                    figure.remarks["p99_ms"] = round(percentile(times_s, 0.99) * 1e3, 3)
        figures.append(figure)
    return figures


async def _one_by_one(producer: Producer, count: int) -> list[float]:
    times_s = []
    last = time.perf_counter()
    for _ in range(count):
        await producer.send_and_wait("round-trips", VALUE)
        now = time.perf_counter()
        times_s.append(now - last)
        last = now
    return times_s
