"""The partition map: which broker leads and holds what, and how evenly. Floor 4."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from raftkafka.console.api.routes import Call, Route
from raftkafka.console.api.schema import Natural, Range, Says, Size
from raftkafka.metadata.image import Partition
from raftkafka.model.ids import NO_NODE

PAGE_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MapQuery:
    topic: Annotated[str, Size(0, 249), Says("what the name of a topic has to contain, in any case of letters")] = ""
    offset: Natural = 0
    limit: Annotated[int, Range(1, PAGE_MAX)] = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerShare:
    id: int
    leaders: int
    preferred_leaders: Annotated[int, Says("how many it would lead if every preferred leader did")]
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Skew:
    leaders: float
    replicas: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPartition:
    topic: str
    partition: int
    leader: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionMap:
    total: int
    brokers: Annotated[tuple[BrokerShare, ...], Says("of all partitions that were asked for, not of this page alone")]
    skew: Annotated[Skew, Says("what the broker with the most has beyond the even share, in parts of that share")]
    partitions: tuple[PlacedPartition, ...]


async def get_partition_map(call: Call[MapQuery, None]) -> PartitionMap:
    query, image = call.query, call.context.image
    wanted = query.topic.lower()
    found = [
        (name, partition)
        for name, topic_id in sorted(image.topic_ids.items())
        if wanted in name.lower()
        for partition in image.topics[topic_id].partitions
    ]
    brokers = shares(sorted(image.brokers), (partition for _, partition in found))
    return PartitionMap(
        total=len(found),
        brokers=brokers,
        skew=Skew(
            leaders=beyond_even([each.leaders for each in brokers]),
            replicas=beyond_even([each.replicas for each in brokers]),
        ),
        partitions=tuple([_placed(*each) for each in found[query.offset : query.offset + query.limit]]),
    )


def shares(brokers: Iterable[int], partitions: Iterable[Partition]) -> tuple[BrokerShare, ...]:
    leaders: Counter[int] = Counter()
    preferred: Counter[int] = Counter()
    replicas: Counter[int] = Counter()
    for each in partitions:
        leaders[each.leader] += 1
        preferred[each.preferred_leader] += 1
        replicas.update(each.replicas)
    return tuple(
        [
            BrokerShare(id=each, leaders=leaders[each], preferred_leaders=preferred[each], replicas=replicas[each])
            for each in brokers
        ]
    )


def beyond_even(counts: list[int]) -> float:
    """0 where all have the same, 1 where somebody has twice the even share."""
    total = sum(counts)
    return max(counts) * len(counts) / total - 1 if total else 0.0


def _placed(name: str, partition: Partition) -> PlacedPartition:
    return PlacedPartition(
        topic=name,
        partition=partition.index,
        leader=None if partition.leader == NO_NODE else partition.leader,
        replicas=partition.replicas,
        isr=partition.isr,
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/partition-map",
        summary="Who leads and holds which partition, and how evenly",
        handler=get_partition_map,
        query=MapQuery,
        answer=PartitionMap,
    ),
)
