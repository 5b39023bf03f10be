"""Topics as Metadata describes them, made when somebody asks and kept until something changes.

Floor 3. To describe tens of thousands of partitions takes a tenth of a second, and after a fail-over every client asks: so the
work is done once per image, in steps that give the loop back, and what an earlier description says of a partition that
has not changed is used again. A description shows one image, never a mixture.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from raftkafka.metadata.image import Image, Partition, Topic
from raftkafka.model.api.cluster import PartitionMetadata, TopicMetadata
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_NODE, NodeId, TopicId
from raftkafka.model.topics import INTERNAL_TOPICS

PARTITIONS_PER_TURN: Final = 1_000
"""Described in two or three milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Description:
    topic: Topic
    online: frozenset[NodeId]
    metadata: TopicMetadata


class TopicDescriptions:
    """At most one description per topic of the newest image."""

    def __init__(self) -> None:
        self._known: dict[TopicId, _Description] = {}
        self._one_at_a_time = asyncio.Lock()

    async def describe(self, image: Image, topics: list[Topic]) -> list[TopicMetadata]:
        """What `image` says of these topics of it."""
        online = frozenset([each.node_id for each in image.brokers.values() if not each.fenced])
        known = [self._up_to_date(topic, online) for topic in topics]
        if None not in known:
            return [each.metadata for each in known if each is not None]
        # Who asks for the same meanwhile finds it made.
        async with self._one_at_a_time:
            return [await self._describe(topic, online) for topic in topics]

    def forget(self, topic_id: TopicId) -> None:
        """The topic is gone."""
        self._known.pop(topic_id, None)

    def _up_to_date(self, topic: Topic, online: frozenset[NodeId]) -> _Description | None:
        known = self._known.get(topic.topic_id)
        return known if known is not None and known.topic is topic and known.online == online else None

    async def _describe(self, topic: Topic, online: frozenset[NodeId]) -> TopicMetadata:
        known = self._up_to_date(topic, online)
        if known is not None:
            return known.metadata
        earlier = self._known.get(topic.topic_id)
        before: tuple[Partition, ...] = ()
        told: tuple[PartitionMetadata, ...] = ()
        if earlier is not None and earlier.online == online:
            before, told = earlier.topic.partitions, earlier.metadata.partitions
        partitions: list[PartitionMetadata] = []
        offline: dict[tuple[NodeId, ...], tuple[NodeId, ...]] = {}
        for at, partition in enumerate(topic.partitions):
            if at and at % PARTITIONS_PER_TURN == 0:
                await asyncio.sleep(0)
            if at < len(before) and before[at] is partition:
                partitions.append(told[at])
                continue
            replicas = partition.replicas
            away = offline.get(replicas)
            if away is None:
                away = offline[replicas] = tuple([each for each in replicas if each not in online])
            partitions.append(
                PartitionMetadata(
                    partition=partition.index,
                    error_code=ErrorCode.LEADER_NOT_AVAILABLE if partition.leader == NO_NODE else ErrorCode.NONE,
                    leader_id=partition.leader,
                    leader_epoch=partition.leader_epoch,
                    replica_nodes=replicas,
                    isr_nodes=partition.isr,
                    offline_replicas=away,
                )
            )
        metadata = TopicMetadata(
            name=topic.name,
            topic_id=topic.topic_id,
            is_internal=topic.name in INTERNAL_TOPICS,
            partitions=tuple(partitions),
        )
        self._known[topic.topic_id] = _Description(topic=topic, online=online, metadata=metadata)
        return metadata
