"""The history of a partition in words, and as JSON."""

from __future__ import annotations

import pytest

from raftkafka.cli.main import main
from raftkafka.client.story import document, sentences
from raftkafka.model.api.history import DescribePartitionHistoryResponse, PartitionCause, PartitionEvent

AT = 1_700_000_000_000


def event(cause, node, leader, epoch, *isr, at=AT):
    return PartitionEvent(time_ms=at, cause=int(cause), node_id=node, leader=leader, leader_epoch=epoch, isr=tuple(isr))


def told(*events, **state):
    last = events[-1]
    values = {"leader": last.leader, "leader_epoch": last.leader_epoch, "isr": last.isr, "replicas": (1, 2, 3)}
    return DescribePartitionHistoryResponse(**{**values, **state}, events=events)


CREATED = event(PartitionCause.CREATED, -1, 1, 0, 1, 2, 3)
FENCED = event(PartitionCause.BROKER_UNREACHABLE, 1, 2, 1, 2, 3, at=AT + 1_000)
LEFT = event(PartitionCause.LEADER_REPORTED, 2, 2, 1, 2, at=AT + 2_000)


IN_SHORT = "broker 1 was fenced: its connection was closed and it did not answer"


def test_the_state_comes_first_then_what_led_to_it():
    assert list(sentences("t-0", told(CREATED, FENCED, LEFT, fenced=(1,)))) == [
        f"t-0 is led by broker 2 in leader epoch 1 since 2023-11-14 22:13:21 UTC, because {IN_SHORT}.",
        "Replicas: 1,2,3. In sync: 2.",
        "Broker 1 is not in sync: it is fenced, or not there.",
        "Broker 3 is not in sync: it left at 2023-11-14 22:13:22 UTC, because leader 2 reported who is in sync.",
        "2023-11-14 22:13:20 UTC  the partition was created: broker 1 leads in epoch 0; in sync 1,2,3",
        f"2023-11-14 22:13:21 UTC  {IN_SHORT}: broker 2 leads in epoch 1; 1 left the ISR; in sync 2,3",
        "2023-11-14 22:13:22 UTC  leader 2 reported who is in sync: 3 left the ISR; in sync 2",
    ]


def test_who_is_waited_for_is_named_where_nobody_leads():
    nobody = event(PartitionCause.BROKER_SILENT, 2, -1, 2)
    assert next(sentences("t-0", told(CREATED, nobody, elr=(2,)))) == (
        "t-0 has no leader: it waits for broker 2, where every committed record is."
    )
    assert "--unclean" in next(sentences("t-0", told(CREATED, nobody)))


def test_an_unclean_leader_is_marked_and_what_is_not_known_is_said():
    unclean = event(PartitionCause.UNCLEAN_ELECTION, -1, 3, 3, 3)
    assert list(sentences("t-0", told(LEFT, unclean)))[-1].endswith(
        "broker 3 leads in epoch 3 (it was not in sync before); 2 left the ISR; 3 joined the ISR; in sync 3"
    )
    strange = event(99, 1, 1, 0, 1, at=0)
    assert list(sentences("t-0", told(strange)))[-1].startswith("an unknown time  for a reason that this version")
    assert "reassignment is under way" in "".join(sentences("t-0", told(CREATED, adding=(3,), removing=(1,))))


def test_the_document_names_causes():
    events = document(told(CREATED, FENCED))["events"]
    assert [each["cause"] for each in events] == ["created", "broker_unreachable"]
    assert events[1]["isr"] == [2, 3]


@pytest.mark.parametrize("name", ["t", "-0", "t-x", "t-", "t-99999999999"])
def test_what_is_no_partition_is_wrong_usage(name, capsys):
    assert main(["why", "partition", "--", name]) == 2
    assert "is not TOPIC-PARTITION" in capsys.readouterr().err
