"""Moving partitions: a plan with the bytes it moves, its start, progress, and taking it back. Floor 4."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from raftkafka.client.spreading import SpreadError, spread
from raftkafka.client.throttles import moves_of, set_throttles
from raftkafka.client.types import TopicPartition
from raftkafka.console.api.errors import bad_request
from raftkafka.console.api.routes import INT32_MAX, Call, NoQuery, Nothing, Route
from raftkafka.console.api.schema import INT64_MAX, Range, Says, Size
from raftkafka.console.api.topic_changes import NAME
from raftkafka.console.context import Context
from raftkafka.console.sizes import Sizes, replica_sizes
from raftkafka.metadata import reassignment
from raftkafka.metadata.image import Partition
from raftkafka.model.ids import PartitionIndex

Id = Annotated[int, Range(0, INT32_MAX)]
MOVES_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    topics: Annotated[tuple[NAME, ...], Size(1, 1_000)]
    brokers: Annotated[tuple[Id, ...], Size(1, 1_000), Says("over which the replicas shall be spread")]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMove:
    topic: str
    partition: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    bytes_to_move: Annotated[int | None, Says("null where nobody tells how large the partition is")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    assignments: tuple[PlannedMove, ...]
    bytes_to_move: Annotated[int, Says("as far as it is known")]


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingPartition:
    topic: str
    partition: int
    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]
    bytes_done: Annotated[int | None, Says("on the brokers that are added; null where they do not say")]
    bytes_total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    partitions: tuple[MovingPartition, ...]
    throttle_bytes_per_s: Annotated[
        int | None,
        Says("the largest limit of a broker; null where there is none. It may outlive the moves it was set for"),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    topic: NAME
    partition: Id
    replicas: Annotated[tuple[Id, ...], Size(1, 1_000), Says("the preferred leader first")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    assignments: Annotated[tuple[Assignment, ...], Size(1, MOVES_MAX)]
    throttle_bytes_per_s: Annotated[
        int | None,
        Range(1, INT64_MAX),
        Says("for each broker, until nothing moves any more"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    partitions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPartition:
    topic: NAME
    partition: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    partitions: Annotated[tuple[NamedPartition, ...] | None, Size(1, MOVES_MAX), Says("null: all that move")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    cancelled: int


async def plan_reassignment(call: Call[NoQuery, PlanRequest]) -> Plan:
    context, wanted = call.context, call.body
    topics = [context.topic(name) for name in dict.fromkeys(wanted.topics)]
    admin = await context.admin()
    described = await admin.describe_topics([topic.name for topic in topics])
    cluster = await admin.describe_cluster()
    racks = {each.rack for each in cluster.brokers if each.node_id in wanted.brokers}
    try:
        proposed = spread(described, cluster.brokers, wanted.brokers, rack_aware=None not in racks)
    except SpreadError as error:
        raise bad_request(str(error), "INVALID_REPLICA_ASSIGNMENT") from error
    sizes = await replica_sizes(context, [topic.name for topic in topics])
    moves = [
        _planned(topic.name, partition, tuple(proposed[TopicPartition(topic.name, partition.index)]), sizes)
        for topic in topics
        for partition in topic.partitions
        if TopicPartition(topic.name, partition.index) in proposed
    ]
    return Plan(assignments=tuple(moves), bytes_to_move=sum(each.bytes_to_move or 0 for each in moves))


async def list_reassignments(call: Call[NoQuery, None]) -> Moving:
    context = call.context
    moving = [(name, partition) for name, partition in _partitions(context) if partition.adding or partition.removing]
    sizes = await replica_sizes(context, sorted({name for name, _ in moving})) if moving else {}
    return Moving(
        partitions=tuple([_moving(name, partition, sizes) for name, partition in moving]),
        throttle_bytes_per_s=context.throttle.bytes_per_s,
    )


async def start_reassignment(call: Call[NoQuery, Start]) -> Started:
    context, wanted = call.context, call.body
    targets: dict[TopicPartition, tuple[int, ...]] = {}
    for each in wanted.assignments:
        context.partition(each.topic, each.partition)
        key = TopicPartition(each.topic, each.partition)
        if key in targets:
            raise bad_request(f"{key} is named twice")
        targets[key] = each.replicas
    admin = await context.admin()
    if wanted.throttle_bytes_per_s is None:
        await admin.alter_partition_reassignments(targets)
    else:
        ongoing = await admin.list_partition_reassignments()
        now = {key: context.partition(*key).replicas for key in targets}
        moves = moves_of(ongoing, targets, now)
        try:
            await set_throttles(admin, moves, wanted.throttle_bytes_per_s)
            await admin.alter_partition_reassignments(targets)
        finally:
            # Also after a refusal: what was set for moves that never began goes as well.
            limited = {node for each in moves.values() for nodes in each for node in nodes}
            context.throttle.ends_with_the_moves({key.topic for key in moves}, limited)

    def is_under_way(key: TopicPartition, replicas: tuple[int, ...]) -> bool:
        topic = context.image.topic_by_name(key.topic)
        partition = None if topic is None else topic.partition(key.partition)
        return partition is None or tuple(map(int, reassignment.target(partition))) == replicas

    await context.see(lambda _: all(is_under_way(*each) for each in targets.items()))
    return Started(partitions=len(targets))


async def cancel_reassignments(call: Call[NoQuery, Cancel]) -> Cancelled:
    context, wanted = call.context, call.body
    named = None
    if wanted.partitions is not None:
        for each in wanted.partitions:
            context.partition(each.topic, each.partition)
        named = [TopicPartition(each.topic, PartitionIndex(each.partition)) for each in wanted.partitions]
    admin = await context.admin()
    moving = list(await admin.list_partition_reassignments(named))
    if moving:
        await admin.alter_partition_reassignments(dict.fromkeys(moving))
        if context.throttle.bytes_per_s is not None:
            context.throttle.ends_with_the_moves({key.topic for key in moving}, ())
    return Cancelled(cancelled=len(moving))


async def remove_throttle(call: Call[NoQuery, Nothing]) -> None:
    throttle = call.context.throttle
    await throttle.clear()
    await call.context.see(lambda _: throttle.bytes_per_s is None)


def _planned(topic: str, partition: Partition, after: tuple[int, ...], sizes: Sizes) -> PlannedMove:
    new = [node for node in after if node not in partition.replicas]
    size = _size(topic, partition, sizes)
    moved = 0 if not new else None if size is None else size * len(new)
    return PlannedMove(
        topic=topic, partition=partition.index, before=partition.replicas, after=after, bytes_to_move=moved
    )


def _moving(topic: str, partition: Partition, sizes: Sizes) -> MovingPartition:
    known = sizes.get(TopicPartition(topic, partition.index), {})
    size = _size(topic, partition, sizes)
    # A replica that has not begun has no log yet; one whose broker does not answer is not known.
    done = sum(min(known.get(node, 0), size or 0) for node in partition.adding)
    return MovingPartition(
        topic=topic,
        partition=partition.index,
        replicas=partition.replicas,
        adding=partition.adding,
        removing=partition.removing,
        bytes_done=None if size is None else done,
        bytes_total=None if size is None else size * len(partition.adding),
    )


def _size(topic: str, partition: Partition, sizes: Sizes) -> int | None:
    """As the leader has it; else as the largest of those in sync."""
    known = sizes.get(TopicPartition(topic, partition.index), {})
    if partition.leader in known:
        return known[partition.leader]
    return max((known[node] for node in partition.isr if node in known), default=None)


def _partitions(context: Context) -> Iterable[tuple[str, Partition]]:
    for name, topic_id in sorted(context.image.topic_ids.items()):
        for partition in context.image.topics[topic_id].partitions:
            yield name, partition


ROUTES: Final = (
    Route(
        method="POST",
        path="/reassignments/plan",
        summary="Propose how partitions could lie on other brokers; nothing is moved",
        handler=plan_reassignment,
        body=PlanRequest,
        answer=Plan,
    ),
    Route(
        method="GET",
        path="/reassignments",
        summary="The moves that are under way",
        handler=list_reassignments,
        answer=Moving,
    ),
    Route(
        method="POST",
        path="/reassignments",
        summary="Begin to move partitions",
        handler=start_reassignment,
        body=Start,
        answer=Started,
        status=HTTPStatus.ACCEPTED,
    ),
    Route(
        method="DELETE",
        path="/reassignments",
        summary="Take back moves that are under way",
        handler=cancel_reassignments,
        body=Cancel,
        answer=Cancelled,
    ),
    Route(
        method="DELETE",
        path="/reassignments/throttle",
        summary="Take every limit of replication away, of brokers and of topics",
        handler=remove_throttle,
        body=Nothing,
        status=HTTPStatus.NO_CONTENT,
    ),
)
