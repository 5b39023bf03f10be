"""The timeline: what is remembered of all partitions, in the order of time, and how things stood at a moment. Floor 4.

Read from the histories in the metadata (see `metadata.history`): bounded per partition, the same on every node, and gone with a topic that
is deleted. Looking at all of a large cluster is done in pieces, so that no request waits for it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Final

from raftkafka.client.story import cause_words, changes, document, known_cause, sentences
from raftkafka.client.types import TopicPartition
from raftkafka.console.api.routes import Call, NoQuery, Route
from raftkafka.console.api.schema import INT64_MAX, Natural, Range, Says, Size
from raftkafka.console.context import Context
from raftkafka.metadata.image import Event, Partition
from raftkafka.model.api.history import PartitionCause, PartitionEvent
from raftkafka.model.ids import NO_NODE

EVENTS_MAX: Final = 2_000
PARTITIONS_MAX: Final = 1_000
PIECE: Final = 500
"""Partitions that are looked at before others have their turn."""

_Name = Annotated[str, Size(0, 249), Says("what the name of a topic has to contain, in any case of letters")]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineQuery:
    from_ms: Natural = 0
    to_ms: Natural = INT64_MAX
    topic: _Name = ""
    limit: Annotated[int, Range(1, EVENTS_MAX), Says("the newest so many")] = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEvent:
    time_ms: int
    topic: str
    partition: int
    leader: Annotated[int | None, Says("leader, epoch and ISR are so from then on")]
    leader_epoch: int
    replicas: Annotated[tuple[int, ...], Says("those of today")]
    isr: tuple[int, ...]
    cause: Annotated[str, Says("as in `rk why --json`")]
    node_id: Annotated[int | None, Says("the broker that the cause is about")]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    first_ms: Annotated[int, Says("of the oldest event that is remembered")]
    last_ms: Annotated[int, Says("now, by this node's clock")]
    events: Annotated[tuple[TimelineEvent, ...], Says("the newest last")]


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentQuery:
    at_ms: Natural
    topic: _Name = ""
    limit: Annotated[int, Range(1, PARTITIONS_MAX)] = PARTITIONS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionThen:
    topic: str
    partition: int
    leader: int | None
    leader_epoch: int
    isr: tuple[int, ...]
    since_ms: Annotated[int | None, Says("when this leadership began; null where that is forgotten")]
    cause: Annotated[str, Says("of the leadership, as in `rk why --json`")]
    node_id: int | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    at_ms: int
    partitions: Annotated[
        tuple[PartitionThen, ...], Says("without those that were not there yet, or whose state then is forgotten")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastState:
    time: int
    cause: str
    node: int
    leader: int
    leader_epoch: int
    isr: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """As `rk why partition --json` tells it, also in its words; -1 is no leader."""

    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    elr: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]
    fenced: tuple[int, ...]
    events: tuple[PastState, ...]
    sentences: Annotated[tuple[str, ...], Says("what `rk why partition` says")]


async def get_timeline(call: Call[TimelineQuery, None]) -> Timeline:
    query = call.query
    now_ms = call.context.node.clock.now_ms()
    first_ms = now_ms
    newest: list[tuple[int, str, int, int]] = []
    partitions: dict[tuple[str, int], Partition] = {}
    async for name, partition in _partitions(call.context, query.topic):
        if partition.history:
            first_ms = min(first_ms, partition.history[0].time_ms)
        for number, event in enumerate(partition.history):
            if query.from_ms <= event.time_ms <= query.to_ms:
                partitions[name, partition.index] = partition
                newest.append((event.time_ms, name, partition.index, number))
        if len(newest) > 4 * EVENTS_MAX:
            newest = heapq.nlargest(query.limit, newest)
    events = sorted(heapq.nlargest(query.limit, newest))
    return Timeline(
        first_ms=first_ms,
        last_ms=now_ms,
        events=tuple([_told(name, partitions[name, index], number) for _, name, index, number in events]),
    )


async def get_moment(call: Call[MomentQuery, None]) -> Moment:
    query = call.query
    found: list[PartitionThen] = []
    async for name, partition in _partitions(call.context, query.topic):
        then = _then(name, partition, query.at_ms)
        if then is not None:
            found.append(then)
            if len(found) == query.limit:
                break
    return Moment(at_ms=query.at_ms, partitions=tuple(found))


async def get_history(call: Call[NoQuery, None]) -> History:
    topic, index = call.path["topic"], call.path["partition"]
    call.context.partition(topic, index)
    admin = await call.context.clients.admin()
    told = await admin.describe_partition_history(TopicPartition(topic, index))
    return History(
        leader=told.leader,
        leader_epoch=told.leader_epoch,
        replicas=told.replicas,
        isr=told.isr,
        elr=told.elr,
        adding=told.adding,
        removing=told.removing,
        fenced=told.fenced,
        events=tuple([PastState(**{**each, "isr": tuple(each["isr"])}) for each in document(told)["events"]]),
        sentences=tuple(sentences(f"{topic}-{index}", told)),
    )


async def _partitions(context: Context, wanted: str) -> AsyncIterator[tuple[str, Partition]]:
    """By name and number. The image does not change: a change makes a new one."""
    image, seen = context.image, 0
    for name, topic_id in sorted(image.topic_ids.items()):
        if wanted.lower() in name.lower():
            for partition in image.topics[topic_id].partitions:
                yield name, partition
                seen += 1
                if seen % PIECE == 0:
                    await asyncio.sleep(0)


def _told(name: str, partition: Partition, number: int) -> TimelineEvent:
    event = partition.history[number]
    before = _as_told(partition.history[number - 1]) if number else None
    told = _as_told(event)
    return TimelineEvent(
        time_ms=event.time_ms,
        topic=name,
        partition=partition.index,
        leader=_node(event.leader),
        leader_epoch=event.leader_epoch,
        replicas=partition.replicas,
        isr=event.isr,
        cause=known_cause(event.cause).name.lower(),
        node_id=_node(event.node_id),
        text=f"{cause_words(told)}: {'; '.join(changes(before, told))}",
    )


def _then(name: str, partition: Partition, at_ms: int) -> PartitionThen | None:
    until = [event for event in partition.history if event.time_ms <= at_ms]
    if not until:
        return None
    last = until[-1]
    # The first of this leadership; when older events are forgotten, the first that is known may not be where it began.
    began = next(event for event in until if event.leader_epoch == last.leader_epoch)
    is_known = began is not partition.history[0] or began.cause == PartitionCause.CREATED
    return PartitionThen(
        topic=name,
        partition=partition.index,
        leader=_node(last.leader),
        leader_epoch=last.leader_epoch,
        isr=last.isr,
        since_ms=began.time_ms if is_known else None,
        cause=known_cause(began.cause).name.lower(),
        node_id=_node(began.node_id),
        text=cause_words(_as_told(began)),
    )


def _as_told(event: Event) -> PartitionEvent:
    return PartitionEvent(
        time_ms=event.time_ms,
        cause=event.cause,
        node_id=event.node_id,
        leader=event.leader,
        leader_epoch=event.leader_epoch,
        isr=event.isr,
    )


def _node(node_id: int) -> int | None:
    return None if node_id == NO_NODE else node_id


ROUTES: Final = (
    Route(
        method="GET",
        path="/timeline",
        summary="What happened to leaders and in-sync replicas",
        handler=get_timeline,
        query=TimelineQuery,
        answer=Timeline,
    ),
    Route(
        method="GET",
        path="/timeline/state",
        summary="Who led what at a moment, since when and why",
        handler=get_moment,
        query=MomentQuery,
        answer=Moment,
    ),
    Route(
        method="GET",
        path="/topics/{topic}/partitions/{partition}/history",
        summary="Why a partition is led as it is",
        handler=get_history,
        answer=History,
    ),
)
