"""Groups: list, describe, lag over time, reset, delete. Floor 4."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from raftkafka.client.group import resets
from raftkafka.client.group.descriptions import GroupDescription
from raftkafka.client.group.reports import GroupReport, groups_of
from raftkafka.client.types import TopicPartition
from raftkafka.console.api.errors import bad_request, unknown_partition
from raftkafka.console.api.routes import INT32_MAX, Call, NoQuery, Route
from raftkafka.console.api.schema import INT64_MAX, Natural, Range, Says, Size
from raftkafka.console.api.topic_changes import NAME, Confirm, check_confirmed
from raftkafka.console.context import Context, or_none
from raftkafka.console.lag import LagSample, reports_of, total_lag
from raftkafka.console.offsets import Extent, extents
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.topics import OFFSETS_TOPIC

GROUPS_MAX: Final = 500
"""In one answer; of the first of them by name the lag is told as well."""
WITH_LAG_MAX: Final = 100
_LAG_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsQuery:
    search: Annotated[str, Size(0, 249), Says("what an id has to contain, in any case of letters")] = ""
    offset: Natural = 0
    limit: Annotated[int, Range(1, GROUPS_MAX)] = GROUPS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    id: str
    state: str
    protocol_type: str
    coordinator: int | None
    members: int
    total_lag: Annotated[int | None, Says("null where it is not known, and beyond the first hundred groups")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    total: int
    groups: tuple[GroupSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    topic: str
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    member_id: str
    client_id: str
    host: str
    instance_id: str | None
    partitions: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOffset:
    topic: str
    partition: int
    committed: int | None
    earliest: int | None
    latest: int | None
    lag: int | None
    member_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    id: str
    state: str
    protocol: str
    coordinator: int | None
    members: tuple[Member, ...]
    offsets: tuple[GroupOffset, ...]
    total_lag: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LagQuery:
    since_ms: Natural = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Sampled every five seconds while somebody asks, and for two minutes after that."""

    samples: tuple[LagSample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetTo:
    """One of these."""

    earliest: bool | None = None
    latest: bool | None = None
    offset: Annotated[int | None, Range()] = None
    timestamp_ms: Annotated[int | None, Range()] = None
    shift: Annotated[int | None, Range(-INT64_MAX, INT64_MAX), Says("records on; back where it is negative")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    topic: NAME
    partitions: Annotated[
        tuple[Annotated[int, Range(0, INT32_MAX)], ...] | None, Size(1, 10_000), Says("null: all")
    ] = None
    to: ResetTo
    dry_run: Annotated[bool, Says("only tell what would be done")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetOffset:
    topic: str
    partition: int
    before: int | None
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetOffsets:
    offsets: tuple[ResetOffset, ...]


async def list_groups(call: Call[GroupsQuery, None]) -> Groups:
    context, query = call.context, call.query
    admin = await context.admin()
    wanted = query.search.lower()
    found = [each.group_id for each in await admin.list_consumer_groups() if wanted in each.group_id.lower()]
    page = found[query.offset : query.offset + query.limit]
    described = {each.group_id: each for each in await admin.describe_consumer_groups(page)}
    reports = await or_none(asyncio.wait_for(reports_of(admin, page[:WITH_LAG_MAX]), _LAG_S))
    lags = {each.group.group_id: total_lag(each) for each in reports or ()}
    return Groups(
        total=len(found),
        groups=tuple([_summary(described[name], lags) for name in page if described[name].state != "Dead"]),
    )


async def get_group(call: Call[NoQuery, None]) -> Group:
    context = call.context
    admin = await context.admin()
    await _check_known(context, call.path["group"])
    (found,) = await reports_of(admin, [call.path["group"]])
    topics = {each.partition.topic for each in found.partitions}
    known = [topic for name in sorted(topics) if (topic := context.image.topic_by_name(name)) is not None]
    bounds = await extents(context, known)
    context.lag.look()
    return Group(
        id=found.group.group_id,
        state=found.group.state,
        protocol=found.group.assignor,
        coordinator=_node(found.group.coordinator),
        members=tuple(
            Member(
                member_id=each.member_id,
                client_id=each.client_id,
                host=each.host,
                instance_id=each.group_instance_id,
                partitions=tuple(Place(topic=part.topic, partition=part.partition) for part in each.partitions),
            )
            for each in found.group.members
        ),
        offsets=_offsets(found, bounds),
        total_lag=total_lag(found),
    )


async def get_group_lag(call: Call[LagQuery, None]) -> Lag:
    call.context.lag.look()
    return Lag(samples=tuple(call.context.lag.of(call.path["group"], call.query.since_ms)))


async def reset_group(call: Call[NoQuery, Reset]) -> ResetOffsets:
    context, wanted = call.context, call.body
    name = call.path["group"]
    topic = context.topic(wanted.topic)
    numbers = range(len(topic.partitions)) if wanted.partitions is None else wanted.partitions
    for number in numbers:
        if topic.partition(number) is None:
            raise unknown_partition(topic.name, number)
    partitions = [TopicPartition(topic.name, number) for number in dict.fromkeys(numbers)]
    admin = await context.admin()
    await _check_known(context, name)  # a typing error must not make a new group
    before = await admin.list_consumer_group_offsets(name, partitions)
    after = await admin.reset_consumer_group_offsets(name, partitions, _reset(wanted.to), dry_run=wanted.dry_run)
    return ResetOffsets(
        offsets=tuple(
            ResetOffset(
                topic=each.topic,
                partition=each.partition,
                before=before[each].offset if each in before else None,
                after=offset,
            )
            for each, offset in sorted(after.items())
        )
    )


async def delete_group(call: Call[NoQuery, Confirm]) -> None:
    check_confirmed(call.path["group"], call.body)
    await _check_known(call.context, call.path["group"])
    admin = await call.context.admin()
    await admin.delete_consumer_groups([call.path["group"]])


async def _check_known(context: Context, name: str) -> None:
    """Raises ApiError: GROUP_ID_NOT_FOUND. Who asks for the coordinator of the first group makes the topic of groups: so not that."""
    if context.image.topic_by_name(OFFSETS_TOPIC) is None:
        raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND, f"there is no group {name!r}")
    await groups_of(await context.admin(), [name])


def _reset(to: ResetTo) -> resets.OffsetReset:
    chosen: list[resets.OffsetReset] = []
    if to.earliest:
        chosen.append(resets.ToEarliest())
    if to.latest:
        chosen.append(resets.ToLatest())
    if to.offset is not None:
        chosen.append(resets.ToOffset(offset=to.offset))
    if to.timestamp_ms is not None:
        chosen.append(resets.ToTimestamp(timestamp_ms=to.timestamp_ms))
    if to.shift is not None:
        chosen.append(resets.ShiftBy(count=to.shift))
    if len(chosen) != 1:
        raise bad_request("body.to: say one of earliest, latest, offset, timestamp_ms and shift")
    return chosen[0]


def _summary(group: GroupDescription, lags: Mapping[str, int]) -> GroupSummary:
    return GroupSummary(
        id=group.group_id,
        state=group.state,
        protocol_type=group.protocol_type,
        coordinator=_node(group.coordinator),
        members=len(group.members),
        total_lag=lags.get(group.group_id),
    )


def _offsets(found: GroupReport, bounds: Mapping[TopicPartition, Extent]) -> tuple[GroupOffset, ...]:
    return tuple(
        GroupOffset(
            topic=each.partition.topic,
            partition=each.partition.partition,
            committed=each.current_offset,
            earliest=bounds[each.partition].earliest if each.partition in bounds else None,
            latest=each.log_end_offset,
            lag=each.lag,
            member_id=None if each.member is None else each.member.member_id,
        )
        for each in found.partitions
    )


def _node(node_id: int) -> int | None:
    return None if node_id < 0 else node_id


ROUTES: Final = (
    Route(method="GET", path="/groups", summary="Groups by id", handler=list_groups, query=GroupsQuery, answer=Groups),
    Route(
        method="GET",
        path="/groups/{group}",
        summary="One group with its members, what it has committed, and how far it is behind",
        handler=get_group,
        answer=Group,
    ),
    Route(
        method="GET",
        path="/groups/{group}/lag",
        summary="How far a group was behind, over time",
        handler=get_group_lag,
        query=LagQuery,
        answer=Lag,
    ),
    Route(
        method="POST",
        path="/groups/{group}/reset",
        summary="Move what a group without members has committed",
        handler=reset_group,
        body=Reset,
        answer=ResetOffsets,
    ),
    Route(
        method="DELETE",
        path="/groups/{group}",
        summary="Delete a group with what it has committed",
        handler=delete_group,
        body=Confirm,
        status=HTTPStatus.NO_CONTENT,
    ),
)
