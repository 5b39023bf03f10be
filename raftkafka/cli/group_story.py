"""The history of a group in words. Floor 5, pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from raftkafka.cli.output import printable
from raftkafka.client.group.descriptions import GroupDescription, MemberDescription
from raftkafka.client.story import at, document, sentences
from raftkafka.model.api.groups import GroupEvent
from raftkafka.model.api.history import DescribePartitionHistoryResponse


def group_sentences(
    group: GroupDescription, place: str, coordinator: DescribePartitionHistoryResponse
) -> Iterator[str]:
    """First what is so now, then what led to it, the newest last. `place` is the partition that the group's log is in."""
    now = f"{printable(group.group_id)} is {group.state} in generation {group.generation_id}"
    began = _began(group)
    yield f"{now}." if began is None else f"{now} since {at(began.time_ms)}: {printable(began.reason)}."
    yield f"Members: {len(group.members)}."
    for each in sorted(group.members, key=lambda member: member.member_id):
        yield f"{printable(each.member_id)} at {each.host} has {_share(each)}."
    yield f"Its coordinator is broker {group.coordinator}: {next(sentences(place, coordinator))}"
    for event in group.history:
        turn = f"{event.group_state}, generation {event.generation_id}, members {event.members}"
        yield f"{at(event.time_ms)}  {printable(event.reason)}: {turn}"


def group_document(
    group: GroupDescription, place: str, coordinator: DescribePartitionHistoryResponse
) -> dict[str, Any]:
    return {
        "group": group.group_id,
        "state": group.state,
        "generation": group.generation_id,
        "members": [
            {
                "member_id": each.member_id,
                "host": each.host,
                "partitions": [{"topic": part.topic, "partition": part.partition} for part in each.partitions],
            }
            for each in group.members
        ],
        "events": [
            {
                "time": each.time_ms,
                "state": each.group_state,
                "generation": each.generation_id,
                "members": each.members,
                "reason": each.reason,
            }
            for each in group.history
        ],
        "coordinator": {"broker": group.coordinator, "partition": place, **document(coordinator)},
    }


def _began(group: GroupDescription) -> GroupEvent | None:
    """The event that brought the present state; what was noted after it has not changed the state."""
    found: GroupEvent | None = None
    for event in reversed(group.history):
        if (event.group_state, event.generation_id) != (group.state, group.generation_id):
            break
        found = event
    return found


def _share(member: MemberDescription) -> str:
    partitions: Sequence[str] = sorted(f"{each.topic}-{each.partition}" for each in member.partitions)
    return ", ".join(partitions) or "no partitions"
