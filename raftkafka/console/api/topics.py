"""Topics: the list, and one of them. Floor 4."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Final

from raftkafka.broker.config_view import ConfigView
from raftkafka.client.types import TopicPartition
from raftkafka.console.api.config_values import ConfigValue, config_values
from raftkafka.console.api.routes import Call, NoQuery, Route
from raftkafka.console.api.schema import Natural, Range, Says, Size
from raftkafka.console.context import Context
from raftkafka.console.offsets import extents
from raftkafka.console.sizes import replica_sizes
from raftkafka.metadata.image import Topic
from raftkafka.model.ids import NO_NODE
from raftkafka.model.topics import INTERNAL_TOPICS

PAGE_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicsQuery:
    search: Annotated[str, Size(0, 249), Says("what a name has to contain, in any case of letters")] = ""
    offset: Natural = 0
    limit: Annotated[int, Range(1, PAGE_MAX)] = 100
    internal: Annotated[bool, Says("with the topics that the brokers keep for themselves")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSummary:
    name: str
    id: str
    internal: bool
    partitions: int
    replication_factor: int
    under_replicated: int
    offline: int
    records: Annotated[int | None, Says("offsets in use; null where not every leader says")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    total: int
    topics: tuple[TopicSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionState:
    partition: int
    leader: Annotated[int | None, Says("null while nobody may lead")]
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    elr: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]
    earliest: int | None
    latest: int | None
    size_bytes: Annotated[int | None, Says("of the leader's log")]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDescription:
    name: str
    id: str
    internal: bool
    partitions: tuple[PartitionState, ...]
    configs: tuple[ConfigValue, ...]


async def list_topics(call: Call[TopicsQuery, None]) -> Topics:
    query, image = call.query, call.context.image
    wanted = query.search.lower()
    names = sorted(
        [name for name in image.topic_ids if wanted in name.lower() and (query.internal or name not in INTERNAL_TOPICS)]
    )
    page = [image.topics[image.topic_ids[name]] for name in names[query.offset : query.offset + query.limit]]
    found = await extents(call.context, page)

    def records(topic: Topic) -> int | None:
        known = [found.get(TopicPartition(topic.name, each.index)) for each in topic.partitions]
        whole = [each for each in known if each is not None]
        return sum([each.latest - each.earliest for each in whole]) if len(whole) == len(known) else None

    return Topics(total=len(names), topics=tuple([_summary(topic, records(topic)) for topic in page]))


async def get_topic(call: Call[NoQuery, None]) -> TopicDescription:
    context = call.context
    topic = context.topic(call.path["topic"])
    found, sizes = await asyncio.gather(extents(context, [topic]), replica_sizes(context, [topic.name]))
    partitions = []
    for each in topic.partitions:
        extent = found.get(TopicPartition(topic.name, each.index))
        partitions.append(
            PartitionState(
                partition=each.index,
                leader=None if each.leader == NO_NODE else each.leader,
                leader_epoch=each.leader_epoch,
                replicas=each.replicas,
                isr=each.isr,
                elr=each.elr,
                adding=each.adding,
                removing=each.removing,
                earliest=None if extent is None else extent.earliest,
                latest=None if extent is None else extent.latest,
                size_bytes=sizes.get(TopicPartition(topic.name, each.index), {}).get(each.leader),
            )
        )
    return TopicDescription(
        name=topic.name,
        id=topic.topic_id.hex(),
        internal=topic.name in INTERNAL_TOPICS,
        partitions=tuple(partitions),
        configs=_configs(context, topic),
    )


def _configs(context: Context, topic: Topic) -> tuple[ConfigValue, ...]:
    return config_values(ConfigView(settings=context.node.settings, image=context.image).of_topic(topic))


def _summary(topic: Topic, records: int | None) -> TopicSummary:
    return TopicSummary(
        name=topic.name,
        id=topic.topic_id.hex(),
        internal=topic.name in INTERNAL_TOPICS,
        partitions=len(topic.partitions),
        replication_factor=len(topic.partitions[0].replicas),
        under_replicated=sum([len(each.isr) < len(each.replicas) - len(each.adding) for each in topic.partitions]),
        offline=sum([each.leader == NO_NODE for each in topic.partitions]),
        records=records,
    )


ROUTES: Final = (
    Route(
        method="GET", path="/topics", summary="Topics by name", handler=list_topics, query=TopicsQuery, answer=Topics
    ),
    Route(
        method="GET",
        path="/topics/{topic}",
        summary="One topic with its partitions and configs",
        handler=get_topic,
        answer=TopicDescription,
    ),
)
