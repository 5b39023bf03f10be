"""What nobody has read yet slows nobody down: the same work beside a backlog and without one, and beside slow readers.

Two nodes of their own, one of which holds 10 GB that nobody has read, in the very partition that is measured, and has them on
its disk: what the kernel still has to write would be measured otherwise. Rounds alternate between the two, and which one goes
first, because a machine that others use, too, is another one a minute later. A run is the quotient of the medians of its rounds.
The policy is `os`: under `group` the disk's syncs decide, and they vary more than what is looked for here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from statistics import median

from benchmarks.figures import Figure, percentile, rounded
from benchmarks.nodes import NodeProcess, all_ready, bootstrap, cluster
from benchmarks.scenarios.latency import paced
from benchmarks.scenarios.plan import Plan
from benchmarks.scenarios.produce import produce
from raftkafka.client import Admin, Consumer, Producer, TopicPartition
from raftkafka.model.api.fetch import Fetch, FetchPartition
from raftkafka.model.ids import Offset, PartitionIndex, TopicId
from raftkafka.wire.session import PREFACE, ClientSession

TOPIC = "backlog"
BACKLOG_RECORDS = 10_000_000
RECORD_BYTES = 1024
ROUNDS = 16
SLOW_CONSUMERS = 8
STUCK_FETCHES = 100


async def run(plan: Plan) -> list[Figure]:
    with (
        cluster(1, parent=plan.directory, log_flush_policy="os") as empty,
        cluster(1, parent=plan.directory, log_flush_policy="os") as full,
    ):
        await all_ready([*empty, *full])
        records = plan.number(BACKLOG_RECORDS)
        async with Producer(bootstrap(empty)) as one, Producer(bootstrap(full)) as other:
            await produce(one, TOPIC, RECORD_BYTES, 10_000)
            await produce(other, TOPIC, RECORD_BYTES, records)
        await asyncio.to_thread(os.sync)
        unread = f"{records * RECORD_BYTES / 1e9:g} GB unread"
        rate = Figure(name=f"produce 1 KiB, {unread} : nothing unread", unit="times", target=0.9)
        p99 = Figure(name=f"tail read p99, {unread} : nothing unread", unit="times", target=1.1, lower_is_better=True)
        await _compare(plan, rate, p99, beside=full, alone=empty)
        slow_rate = Figure(name="produce 1 KiB, slow consumers : none", unit="times", target=0.9)
        slow_p99 = Figure(name="tail read p99, slow consumers : none", unit="times", target=1.1, lower_is_better=True)
        async with _slow_readers(full):
            await _compare(plan, slow_rate, slow_p99, beside=full, alone=empty)
        return [rate, p99, slow_rate, slow_p99]


async def _compare(
    plan: Plan, rate: Figure, p99: Figure, *, beside: list[NodeProcess], alone: list[NodeProcess]
) -> None:
    """Appends to each figure, per run, the quotient of the medians of its rounds."""
    nodes_of = {"beside": beside, "alone": alone}
    all_rates: dict[str, list[float]] = {"beside": [], "alone": []}
    all_tails: dict[str, list[float]] = {"beside": [], "alone": []}
    cpu_s = dict.fromkeys(nodes_of, 0.0)
    for _ in range(plan.runs):
        for number in range(ROUNDS):
            for which in ("beside", "alone") if number % 2 else ("alone", "beside"):
                node = nodes_of[which][0]
                before_s = node.cpu_s()
                all_rates[which].append(await _rate(bootstrap([node]), plan.number(100_000)))
                cpu_s[which] += node.cpu_s() - before_s
                times_ms, _ = await paced(bootstrap([node]), plan.number(1_000), topic=TOPIC)
                all_tails[which].append(percentile(sorted(times_ms), 0.99))
        for figure, values in ((rate, all_rates), (p99, all_tails)):
            figure.runs.append(median(values["beside"][-ROUNDS:]) / median(values["alone"][-ROUNDS:]))
    # Time of the processor is what others on the machine disturb least.
    rate.remarks["node_cpu"] = rounded(cpu_s["beside"] / cpu_s["alone"])
    for figure, values in ((rate, all_rates), (p99, all_tails)):
        for which in nodes_of:
            figure.remarks[which] = rounded(median(values[which]))


async def _rate(servers: str, records: int) -> float:
    """MB/s into the partition that is measured."""
    async with Producer(servers) as producer:
        return records * RECORD_BYTES / 1e6 / await produce(producer, TOPIC, RECORD_BYTES, records)


# Slow readers


@contextlib.asynccontextmanager
async def _slow_readers(nodes: list[NodeProcess]) -> AsyncIterator[None]:
    """Consumers that read a record now and then from the beginning, and a client that asks and never takes an answer."""
    reading = [asyncio.create_task(_read_slowly(bootstrap(nodes))) for _ in range(SLOW_CONSUMERS)]
    async with Admin(bootstrap(nodes)) as admin:
        topic_id = (await admin.describe_topics([TOPIC]))[0].topic_id
    stuck = _ask_and_never_listen(nodes[0].port, topic_id)
    try:
        yield
        for task in reading:
            if task.done():
                task.result()
    finally:
        stuck.close()
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def _read_slowly(servers: str) -> None:
    async with Consumer(servers, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(TOPIC, 0)])
        while True:
            await consumer.poll(1_000, max_records=10)
            await asyncio.sleep(0.2)


def _ask_and_never_listen(port: int, topic_id: TopicId) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    session = ClientSession(response_max_bytes=100 << 20)
    wanted = FetchPartition(topic_id=topic_id, partition=PartitionIndex(0), fetch_offset=Offset(0))
    requests = [session.encode_request(each, "stuck", Fetch(partitions=(wanted,))) for each in range(STUCK_FETCHES)]
    connection.sendall(PREFACE + b"".join(part for request in requests for part in request))
    return connection
