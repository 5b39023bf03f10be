"""Where logs begin and end, asked of their leaders. Floor 4."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple

from raftkafka.client.types import TopicPartition
from raftkafka.console.context import Context, or_none
from raftkafka.metadata.image import Topic
from raftkafka.model.api.offsets import EARLIEST, LATEST, ListOffsetsPartitionResponse
from raftkafka.model.ids import NO_NODE

WAIT_S: Final = 3.0


class Extent(NamedTuple):
    """From `earliest` to below `latest`."""

    earliest: int
    latest: int


async def extents(context: Context, topics: Iterable[Topic]) -> dict[TopicPartition, Extent]:
    """Of the partitions that somebody leads; those whose leaders do not answer soon are left out."""
    by_leader: dict[int, list[TopicPartition]] = {}
    for topic in topics:
        for each in topic.partitions:
            if each.leader != NO_NODE:
                by_leader.setdefault(each.leader, []).append(TopicPartition(topic.name, each.index))
    # One leader that does not answer must not hide what the others say.
    parts = await asyncio.gather(*(_of(context, each) for _, each in sorted(by_leader.items())))
    return {partition: extent for part in parts for partition, extent in part.items()}


async def _of(context: Context, partitions: list[TopicPartition]) -> dict[TopicPartition, Extent]:
    admin = await context.clients.admin()

    async def both() -> tuple[dict[TopicPartition, ListOffsetsPartitionResponse], ...]:
        # Gathered inside of what is waited for: a gathering that is cancelled from outside, with nobody left to hear of it, complains.
        asked = [admin.list_offsets(dict.fromkeys(partitions, timestamp)) for timestamp in (EARLIEST, LATEST)]
        return tuple(await asyncio.gather(*asked))

    found = await or_none(asyncio.wait_for(both(), WAIT_S))
    if found is None:
        return {}
    earliest, latest = found
    return {each: Extent(int(earliest[each].offset), int(latest[each].offset)) for each in partitions}
