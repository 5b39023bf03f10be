"""What a node holds: idle, and after two gigabytes went through it both ways."""

from __future__ import annotations

import asyncio

from benchmarks.figures import Figure
from benchmarks.nodes import all_ready, bootstrap, cluster
from benchmarks.scenarios.plan import Plan
from benchmarks.scenarios.produce import produce
from raftkafka.client import Consumer, Producer, TopicPartition

VALUE_BYTES = 1024
FULL_BYTES = 2_000_000_000
SETTLE_S = 1.0


async def run(plan: Plan) -> list[Figure]:
    idle = Figure(name="resident memory of an idle node", unit="MB", target=60, lower_is_better=True)
    added = Figure(name="memory added by 2 GB written and read back", unit="MB", target=50, lower_is_better=True)
    records = plan.number(FULL_BYTES // VALUE_BYTES)
    with cluster(1, parent=plan.directory, log_flush_policy="os") as nodes:
        await all_ready(nodes)
        await asyncio.sleep(SETTLE_S)
        idle.runs.append(nodes[0].resident_mb())
        async with Producer(bootstrap(nodes)) as producer:
            await produce(producer, "memory", VALUE_BYTES, records)
        async with Consumer(bootstrap(nodes), auto_offset_reset="earliest") as consumer:
            partition = TopicPartition("memory", 0)
            consumer.assign([partition])
            end = (await consumer.end_offsets([partition]))[partition]
            while await consumer.position(partition) < end:
                await consumer.poll_batches(1_000)
        await asyncio.sleep(SETTLE_S)
        added.runs.append(nodes[0].resident_mb() - idle.runs[0])
        added.remarks["bytes"] = records * VALUE_BYTES
    return [idle, added]
