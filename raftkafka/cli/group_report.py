"""What `rk group describe` knows of a group: its partitions with their lag, its members, its state. Floor 5.

The columns are those of Kafka's `kafka-consumer-groups --describe`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from raftkafka.client.group.descriptions import GroupDescription
from raftkafka.client.group.reports import GroupReport
from raftkafka.client.types import TopicPartition

Head = Sequence[str]
Rows = list[Sequence[object]]

OFFSETS_HEAD: Head = (
    "GROUP",
    "TOPIC",
    "PARTITION",
    "CURRENT-OFFSET",
    "LOG-END-OFFSET",
    "LAG",
    "CONSUMER-ID",
    "HOST",
    "CLIENT-ID",
)
MEMBERS_HEAD: Head = ("GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "ASSIGNMENT")
STATE_HEAD: Head = ("GROUP", "COORDINATOR", "ASSIGNMENT-STRATEGY", "STATE", "GENERATION", "#MEMBERS")


def offset_rows(reports: Iterable[GroupReport]) -> Rows:
    return [
        (
            report.group.group_id,
            each.partition.topic,
            each.partition.partition,
            _or_dash(each.current_offset),
            _or_dash(each.log_end_offset),
            _or_dash(each.lag),
            each.member.member_id if each.member else "-",
            each.member.host if each.member else "-",
            each.member.client_id if each.member else "-",
        )
        for report in reports
        for each in report.partitions
    ]


def member_rows(groups: Iterable[GroupDescription]) -> Rows:
    return [
        (
            group.group_id,
            member.member_id,
            member.host,
            member.client_id,
            len(member.partitions),
            ",".join(map(str, member.partitions)) or "-",
        )
        for group in groups
        for member in group.members
    ]


def state_rows(groups: Iterable[GroupDescription]) -> Rows:
    return [
        (
            group.group_id,
            group.coordinator,
            group.assignor or "-",
            group.state,
            group.generation_id,
            len(group.members),
        )
        for group in groups
    ]


def as_document(report: GroupReport) -> dict[str, Any]:
    """The form documented in docs/cli.md."""
    group = report.group
    return {
        "group": group.group_id,
        "state": group.state,
        "protocol_type": group.protocol_type,
        "assignor": group.assignor,
        "generation": group.generation_id,
        "coordinator": group.coordinator,
        "members": [
            {
                "member_id": member.member_id,
                "group_instance_id": member.group_instance_id,
                "client_id": member.client_id,
                "host": member.host,
                "topics": list(member.topics),
                "partitions": [_named(each) for each in member.partitions],
            }
            for member in group.members
        ],
        "offsets": [
            {
                **_named(each.partition),
                "current_offset": each.current_offset,
                "log_end_offset": each.log_end_offset,
                "lag": each.lag,
                "member_id": each.member.member_id if each.member else None,
            }
            for each in report.partitions
        ],
    }


def _named(partition: TopicPartition) -> dict[str, Any]:
    return {"topic": partition.topic, "partition": partition.partition}


def _or_dash(number: int | None) -> object:
    return "-" if number is None else number
