"""The tables of kafka-consumer-groups.sh, column by column as Kafka's."""

from __future__ import annotations

from raftkafka.cli.scripts import group_tables
from raftkafka.client.group.descriptions import GroupDescription, MemberDescription
from raftkafka.client.group.reports import GroupReport, PartitionReport
from raftkafka.client.types import TopicPartition
from raftkafka.model.ids import NodeId

T0, T1, U0 = TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("u", 0)


def member(name: str, *partitions: TopicPartition, instance: str | None = None) -> MemberDescription:
    return MemberDescription(
        member_id=name, group_instance_id=instance, client_id="c", host="/h", topics=("t",), partitions=partitions
    )


def group(*members: MemberDescription) -> GroupDescription:
    return GroupDescription(
        group_id="g",
        state="Stable",
        protocol_type="consumer",
        assignor="range",
        generation_id=3,
        coordinator=NodeId(2),
        members=members,
        history=(),
    )


def test_offsets() -> None:
    owner, idle = member("m" * 20, T0), member("idle")
    report = GroupReport(
        group=group(owner, idle),
        partitions=(
            PartitionReport(partition=T0, current_offset=5, log_end_offset=8, member=owner),
            PartitionReport(partition=T1, current_offset=None, log_end_offset=None, member=None),
        ),
    )
    lines = group_tables.offsets(report).split("\n")
    assert lines[0] == ""
    assert lines[1] == (
        "GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             "
        "CONSUMER-ID          HOST            CLIENT-ID"
    )
    assert lines[2].split() == ["g", "t", "0", "5", "8", "3", "m" * 20, "/h", "c"]
    assert lines[3].split() == ["g", "t", "1", "-", "-", "-", "-", "-", "-"]
    assert lines[4].split() == ["g", "-", "-", "-", "-", "-", "idle", "/h", "c"]
    assert lines[5:] == [""]
    assert lines[1].index("CLIENT-ID") == lines[2].rindex("c")
    assert group_tables.offsets(GroupReport(group=group(), partitions=())) == ""


def test_members() -> None:
    text = group_tables.members(group(member("a", U0, T1, T0), member("b")), verbose=True)
    head, first, second = text.split("\n")[1:4]
    assert head.split() == ["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "ASSIGNMENT"]
    assert first.endswith(" 3               (0,1), (0)")
    assert second.split() == ["g", "b", "/h", "c", "0", "-"]
    static = group_tables.members(group(member("a", T0, instance="i")), verbose=False)
    assert static.split("\n")[1].split() == [
        "GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS",
    ]  # fmt: skip
    assert static.split("\n")[2].split() == ["g", "a", "i", "/h", "c", "1"]


def test_state() -> None:
    _, head, row, end = group_tables.state(group(member("a")), "h:9092").split("\n")
    assert head == "GROUP                     COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE           #MEMBERS"
    assert row == "g                         h:9092  (2)               range                Stable          1"
    assert end == ""


def test_offsets_that_are_moved_and_deleted() -> None:
    assert group_tables.new_offsets({"g": {T1: 4, T0: 7}}).split("\n") == [
        "",
        "GROUP                          TOPIC                          PARTITION  NEW-OFFSET     ",
        "g                              t                              0          7              ",
        "g                              t                              1          4              ",
        "",
    ]
    assert group_tables.new_offsets({}) == "\n"
    assert group_tables.deleted_offsets({T0: "Successful"}).split("\n")[2].split() == ["t", "0", "Successful"]


def test_a_terminal_is_not_steered_by_ids() -> None:
    rogue = group(member("a\x1b[2J\nb", T0, instance="i"))
    for text in (
        group_tables.members(rogue, verbose=False),
        group_tables.offsets(
            GroupReport(
                group=rogue,
                partitions=(
                    PartitionReport(partition=T0, current_offset=5, log_end_offset=8, member=rogue.members[0]),
                ),
            )
        ),
    ):
        _, head, row, end = text.split("\n")
        assert "a\\x1b[2J\\nb" in row
        assert row.index("/h") == head.index("HOST")
        assert end == ""
