"""A group beside what it has committed and where the logs end: its lag. Floor 3."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from raftkafka.client.admin import Admin
from raftkafka.client.group.descriptions import GroupDescription, MemberDescription
from raftkafka.client.types import TopicPartition
from raftkafka.model.api.offsets import LATEST
from raftkafka.model.errors import ApiError, ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionReport:
    """`current_offset` None: nothing committed; `log_end_offset` None: no leader says, or the topic is gone."""

    partition: TopicPartition
    current_offset: int | None
    log_end_offset: int | None
    member: MemberDescription | None

    @property
    def lag(self) -> int | None:
        if self.current_offset is None or self.log_end_offset is None:
            return None
        return max(0, self.log_end_offset - self.current_offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupReport:
    group: GroupDescription
    partitions: tuple[PartitionReport, ...]


async def groups_of(admin: Admin, names: Sequence[str], *, history: bool = False) -> list[GroupDescription]:
    """The groups named, or all.

    Raises:
        ApiError: GROUP_ID_NOT_FOUND for one that was named and does not exist.
    """
    wanted = list(names) or [group.group_id for group in await admin.list_consumer_groups()]
    groups = await admin.describe_consumer_groups(wanted, include_history=history)
    for group in groups:
        if names and group.state == "Dead":
            raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND, f"there is no group {group.group_id!r}")
    return groups


async def report(admin: Admin, groups: Iterable[GroupDescription]) -> list[GroupReport]:
    """With what each has committed, and where the logs end."""
    groups = list(groups)
    committed = {each.group_id: await admin.list_consumer_group_offsets(each.group_id) for each in groups}
    owners = {
        each.group_id: {partition: member for member in each.members for partition in member.partitions}
        for each in groups
    }
    everything = {each.group_id: sorted({*committed[each.group_id], *owners[each.group_id]}) for each in groups}
    ends = await log_ends(admin, {each for mine in everything.values() for each in mine})
    return [
        GroupReport(
            group=group,
            partitions=tuple(
                PartitionReport(
                    partition=each,
                    current_offset=place.offset if (place := committed[group.group_id].get(each)) else None,
                    log_end_offset=ends.get(each),
                    member=owners[group.group_id].get(each),
                )
                for each in everything[group.group_id]
            ),
        )
        for group in groups
    ]


async def log_ends(admin: Admin, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Of those that exist and have a leader."""
    wanted = sorted(partitions)
    if not wanted:
        return {}
    known = {topic.name: topic for topic in await admin.known_topics({each.topic for each in wanted})}
    led = {
        TopicPartition(name, each.partition)
        for name, topic in known.items()
        for each in topic.partitions
        if each.leader_id >= 0
    }
    found = await admin.list_offsets({each: LATEST for each in wanted if each in led})
    return {each: int(answer.offset) for each, answer in found.items()}
