"""One record per request: the next when the last is acknowledged, the price of a round trip; and with five under way.

Beside each figure stands the CPU that it takes on either side, what was spent on busy polling included. The same on one core, where
none of it sleeps, and without busy polling, where both sides do after every frame, tell what waking up costs on this machine.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, percentile
from benchmarks.nodes import NodeProcess, all_ready, bootstrap, cluster
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
                await _measure(plan, figure, producer, nodes[0], plan.number(requests))
                figures.append(figure)
                together = Figure(
                    name=f"round trips of one record, 1 node, {policy}, client and node on one core",
                    unit="requests/s",
                    limit=LIMIT,
                    limit_value=plan.limits.get(LIMIT),
                )
                with _one_core(os.getpid(), nodes[0].pid):
                    await _measure(plan, together, producer, nodes[0], plan.number(requests))
            figures.append(together)
            figures.append(await _asleep(plan, policy, plan.number(requests)))
            figures.append(await _side_by_side(plan, bootstrap(nodes), policy, plan.number(requests)))
    return figures


async def _measure(plan: Plan, figure: Figure, producer: Producer, node: NodeProcess, requests: int) -> None:
    client_us, node_us = [], []
    for _ in range(plan.runs):
        client_s, node_s = time.process_time(), node.cpu_s()
        times_s = await _one_by_one(producer, requests)
        client_us.append((time.process_time() - client_s) / len(times_s) * 1e6)
        node_us.append((node.cpu_s() - node_s) / len(times_s) * 1e6)
        figure.runs.append(len(times_s) / sum(times_s))
        times_s.sort()
        figure.remarks["p99_ms"] = round(percentile(times_s, 0.99) * 1e3, 3)
    figure.remarks["client_cpu_us"] = round(median(client_us), 1)
    figure.remarks["node_cpu_us"] = round(median(node_us), 1)


@contextmanager
def _one_core(*processes: int) -> Iterator[None]:
    """All threads of these processes share one core meanwhile."""
    threads = [int(task.name) for each in processes for task in Path(f"/proc/{each}/task").iterdir()]
    cores = os.sched_getaffinity(0)
    try:
        for thread in threads:
            os.sched_setaffinity(thread, {max(cores)})
        yield
    finally:
        for thread in threads:
            with suppress(ProcessLookupError):
                os.sched_setaffinity(thread, cores)


async def _asleep(plan: Plan, policy: str, requests: int) -> Figure:
    figure = Figure(
        name=f"round trips of one record, 1 node, {policy}, without busy polling",
        unit="requests/s",
        limit=LIMIT,
        limit_value=plan.limits.get(LIMIT),
    )
    with cluster(1, parent=plan.directory, log_flush_policy=policy, socket_busy_poll_us=0) as nodes:
        await all_ready(nodes)
        async with Producer(bootstrap(nodes), busy_poll_us=0) as producer:
            await _one_by_one(producer, 200)
            await _measure(plan, figure, producer, nodes[0], requests)
    return figure


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
