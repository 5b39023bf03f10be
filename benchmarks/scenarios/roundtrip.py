"""One record per request: the next when the last is acknowledged, the price of a round trip; and with five under way."""

from __future__ import annotations

import asyncio
import time

from benchmarks.figures import Figure, percentile
from benchmarks.nodes import all_ready, bootstrap, cluster
from benchmarks.scenarios.plan import Plan
from raftkafka.client.producer import Producer

LIMIT = "ping_pong_round_trips_per_s"
VALUE = bytes(100)
IN_FLIGHT = 5
"""Kafka's bound with idempotence."""


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
            figures.append(await _side_by_side(plan, bootstrap(nodes), policy, plan.number(requests)))
    return figures


async def _side_by_side(plan: Plan, servers: str, policy: str, requests: int) -> Figure:
    """Every record is a batch and a request of its own here too; the time of a round trip hides behind the others."""
    figure = Figure(
        name=f"requests of one record, {IN_FLIGHT} in flight, 1 node, {policy}",
        unit="requests/s",
        limit=LIMIT,
        limit_value=plan.limits.get(LIMIT),
    )
    async with Producer(servers, batch_size=1, max_in_flight_requests_per_connection=IN_FLIGHT) as producer:
        await _one_by_one(producer, 200)
        for _ in range(plan.runs):
            began = time.perf_counter()
            await asyncio.gather(*[_one_by_one(producer, requests // IN_FLIGHT) for _ in range(IN_FLIGHT)])
            figure.runs.append(requests // IN_FLIGHT * IN_FLIGHT / (time.perf_counter() - began))
    return figure


async def _one_by_one(producer: Producer, count: int) -> list[float]:
    times_s = []
    last = time.perf_counter()
    for _ in range(count):
        await producer.send_and_wait("round-trips", VALUE)
        now = time.perf_counter()
        times_s.append(now - last)
        last = now
    return times_s
