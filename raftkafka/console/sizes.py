"""How large replicas are, asked of the brokers that have them. Floor 4."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from raftkafka.client.types import TopicPartition
from raftkafka.console.context import Context, or_none
from raftkafka.model.api.log_dirs import DescribedLogDir
from raftkafka.model.ids import NodeId

WAIT_S: Final = 3.0

Sizes = dict[TopicPartition, dict[NodeId, int]]
"""Of each partition: the bytes of its replicas by broker, without those that nobody tells."""


async def log_dirs(
    context: Context, brokers: Iterable[int] | None = None, *, topics: Iterable[str] | None = None
) -> dict[NodeId, tuple[DescribedLogDir, ...]]:
    """Of the brokers that answer soon."""
    admin = await context.admin()
    wanted = sorted(context.image.active()) if brokers is None else list(brokers)
    names = None if topics is None else list(topics)

    async def ask(broker: int) -> dict[NodeId, tuple[DescribedLogDir, ...]]:
        return await or_none(asyncio.wait_for(admin.describe_log_dirs([broker], topics=names), WAIT_S)) or {}

    answers = await asyncio.gather(*(ask(each) for each in wanted))
    return {broker: dirs for answer in answers for broker, dirs in answer.items()}


async def broker_sizes(context: Context) -> dict[NodeId, int]:
    """What the logs of each broker hold."""
    return {
        broker: sum([partition.size_bytes for each in dirs for partition in each.partitions])
        for broker, dirs in (await log_dirs(context)).items()
    }


async def replica_sizes(context: Context, topics: Iterable[str]) -> Sizes:
    found: Sizes = {}
    for broker, dirs in (await log_dirs(context, topics=topics)).items():
        for each in dirs:
            for partition in each.partitions:
                key = TopicPartition(partition.topic, partition.partition)
                found.setdefault(key, {})[broker] = partition.size_bytes
    return found
