"""The tables of `kafka-consumer-groups.sh`, in the columns of Kafka's ConsumerGroupCommand. Floor 5, pure.

Ids are chosen by whoever connects: what a terminal would obey, or read as another line, is shown as `\\x1b` (Kafka passes it on).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from raftkafka.cli.output import printable
from raftkafka.client.group.descriptions import GroupDescription, MemberDescription
from raftkafka.client.group.reports import GroupReport
from raftkafka.client.types import TopicPartition

_COLUMN_MIN = 15


def offsets(report: GroupReport) -> str:
    """What a group reads, partition by partition; members without a partition stand at the end."""
    idle = [member for member in report.group.members if not member.partitions]
    rows = [
        (
            report.group.group_id,
            each.partition.topic,
            str(each.partition.partition),
            _or_dash(each.current_offset),
            _or_dash(each.log_end_offset),
            _or_dash(each.lag),
            *_member(each.member),
        )
        for each in report.partitions
    ] + [(report.group.group_id, "-", "-", "-", "-", "-", *_member(each)) for each in idle]
    if not rows:
        return ""
    head = (
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
    # Kafka gives three columns fixed widths, and lets four grow.
    widths = {
        0: _width(rows, 0),
        1: _width(rows, 1),
        2: 10,
        3: 15,
        4: 15,
        5: 15,
        6: _width(rows, 6),
        7: _width(rows, 7),
    }
    return "".join("\n" + _row(row, widths) for row in (head, *rows)) + "\n"


def members(group: GroupDescription, *, verbose: bool) -> str:
    """The members of a group, with --verbose and their partitions."""
    static = any(member.group_instance_id for member in group.members)
    head = ["GROUP", "CONSUMER-ID", *(["GROUP-INSTANCE-ID"] if static else []), "HOST", "CLIENT-ID", "#PARTITIONS"]
    rows = [
        [
            group.group_id,
            member.member_id,
            *([member.group_instance_id or ""] if static else []),
            member.host,
            member.client_id,
            str(len(member.partitions)),
        ]
        for member in group.members
    ]
    widths = {column: _width(rows, column) for column in range(len(head))}
    if static:
        widths[2] = max(17, widths[2])
    shares = [_share(member.partitions) for member in group.members]
    lines = [_row(head, widths) + " " + ("ASSIGNMENT" if verbose else "")]
    lines += [_row(row, widths) + " " + (share if verbose else "") for row, share in zip(rows, shares, strict=True)]
    return "\n" + "".join(line + "\n" for line in lines)


def state(group: GroupDescription, coordinator: str) -> str:
    """One group; `coordinator` is its host:port."""
    where = f"{coordinator}  ({group.coordinator})"
    widths = {0: max(25, len(where)), 1: 25, 2: 20, 3: 15}
    head = ("GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS")
    row = (group.group_id, where, group.assignor, group.state, str(len(group.members)))
    return f"\n{_row(head, widths)}\n{_row(row, widths)}\n"


def new_offsets(groups: Mapping[str, Mapping[TopicPartition, int]]) -> str:
    """Where the offsets of groups are moved."""
    widths = {0: 30, 1: 30, 2: 10, 3: 15}
    lines = [_row(("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"), widths)] if groups else []
    lines += [
        _row((group, each.topic, str(each.partition), str(offset)), widths)
        for group, moved in groups.items()
        for each, offset in sorted(moved.items())
    ]
    return "".join("\n" + line for line in lines) + "\n"


def deleted_offsets(outcomes: Mapping[TopicPartition, str]) -> str:
    """What became of each partition."""
    widths = {0: 30, 1: 15, 2: 15}
    rows = [(each.topic, str(each.partition), outcome) for each, outcome in sorted(outcomes.items())]
    return "".join("\n" + _row(row, widths) for row in (("TOPIC", "PARTITION", "STATUS"), *rows)) + "\n"


def _member(member: MemberDescription | None) -> tuple[str, str, str]:
    return ("-", "-", "-") if member is None else (member.member_id, member.host, member.client_id)


def _share(partitions: Iterable[TopicPartition]) -> str:
    """`(0,1), (2)`: the numbers of each topic."""
    by_topic = groupby(sorted(partitions), key=lambda each: each.topic)
    return ", ".join(f"({','.join(str(each.partition) for each in mine)})" for _, mine in by_topic) or "-"


def _row(cells: Sequence[str], widths: Mapping[int, int]) -> str:
    return " ".join(printable(cell).ljust(widths.get(column, 0)) for column, cell in enumerate(cells))


def _width(rows: Iterable[Sequence[str]], column: int) -> int:
    return max(_COLUMN_MIN, *(len(printable(row[column])) for row in rows), 0)


def _or_dash(number: int | None) -> str:
    return "-" if number is None else str(number)
