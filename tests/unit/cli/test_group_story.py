"""The history of a group in words, and as JSON."""

from __future__ import annotations

import json

from raftkafka.cli.group_story import group_document, group_sentences
from raftkafka.client.group.descriptions import GroupDescription, MemberDescription
from raftkafka.client.types import TopicPartition
from raftkafka.model.api.groups import GroupEvent
from raftkafka.model.api.history import DescribePartitionHistoryResponse, PartitionCause, PartitionEvent

AT = 1_700_000_000_000
PLACE = "__consumer_offsets-7"
LED = DescribePartitionHistoryResponse(
    leader=2,
    leader_epoch=1,
    isr=(2, 3),
    replicas=(2, 3),
    events=(
        PartitionEvent(time_ms=AT, cause=PartitionCause.BROKER_SILENT, node_id=1, leader=2, leader_epoch=1, isr=(2, 3)),
    ),
)

BECAUSE = (
    f"{PLACE} is led by broker 2 in leader epoch 1 since 2023-11-14 22:13:20 UTC, "
    "because broker 1 was fenced: no heartbeat came in time"
)


def event(state, generation, members, reason, at_s):
    return GroupEvent(
        time_ms=AT + at_s * 1000, generation_id=generation, group_state=state, members=members, reason=reason
    )


def group(*history, state="Stable", generation=2, members=()):
    return GroupDescription(
        group_id="g",
        state=state,
        protocol_type="consumer",
        assignor="range",
        generation_id=generation,
        coordinator=2,
        members=members,
        history=history,
    )


def member(name, *partitions):
    return MemberDescription(
        member_id=name, group_instance_id=None, client_id="app", host="10.0.0.7", topics=("t",), partitions=partitions
    )


HISTORY = (
    event("PreparingRebalance", 1, 1, "a new member", 0),
    event("CompletingRebalance", 2, 2, "2 members have joined", 1),
    event("Stable", 2, 2, "assigned by a", 2),
    event("Stable", 2, 2, "b came back with its own instance id", 5),
)


def test_the_state_comes_first_then_what_led_to_it():
    members = (member("b", TopicPartition("t", 1)), member("a", TopicPartition("t", 2), TopicPartition("t", 0)))
    assert list(group_sentences(group(*HISTORY, members=members), PLACE, LED)) == [
        "g is Stable in generation 2 since 2023-11-14 22:13:22 UTC: assigned by a.",
        "Members: 2.",
        "a at 10.0.0.7 has t-0, t-2.",
        "b at 10.0.0.7 has t-1.",
        f"Its coordinator is broker 2: {BECAUSE}.",
        "2023-11-14 22:13:20 UTC  a new member: PreparingRebalance, generation 1, members 1",
        "2023-11-14 22:13:21 UTC  2 members have joined: CompletingRebalance, generation 2, members 2",
        "2023-11-14 22:13:22 UTC  assigned by a: Stable, generation 2, members 2",
        "2023-11-14 22:13:25 UTC  b came back with its own instance id: Stable, generation 2, members 2",
    ]


def test_a_state_that_no_event_explains_is_told_without_a_reason():
    assert next(group_sentences(group(*HISTORY, generation=3), PLACE, LED)) == "g is Stable in generation 3."
    assert next(group_sentences(group(), PLACE, LED)) == "g is Stable in generation 2."
    assert (
        list(group_sentences(group(members=(member("idle"),)), PLACE, LED))[2] == "idle at 10.0.0.7 has no partitions."
    )


def test_what_a_member_calls_itself_does_not_reach_the_terminal():
    hostile = event("Stable", 2, 1, "left: \x1b[2J\n", 0)
    told = list(group_sentences(group(hostile, members=(member("\x1b]0;x\x07"),)), PLACE, LED))
    assert all(each.isprintable() for each in told)
    assert r"left: \x1b[2J\n" in told[0]


def test_programs_get_the_same():
    told = group_document(group(*HISTORY, members=(member("a", TopicPartition("t", 0)),)), PLACE, LED)
    assert json.loads(json.dumps(told)) == told
    assert told["members"] == [{"member_id": "a", "host": "10.0.0.7", "partitions": [{"topic": "t", "partition": 0}]}]
    assert [each["reason"] for each in told["events"]][:2] == ["a new member", "2 members have joined"]
    assert told["coordinator"]["partition"] == PLACE
    assert told["coordinator"]["events"][0]["cause"] == "broker_silent"
