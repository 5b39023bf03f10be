"""AlterPartition: who may change an ISR, and which answer tells a leader what."""

from __future__ import annotations

import pytest

from raftkafka.metadata.decide.elections import preferred_leader_changes
from raftkafka.metadata.decide.partitions import decide_alter_partition
from raftkafka.model.api.broker_lifecycle import AlterPartition, AlterPartitionItem, IsrMember
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import BrokerEpoch, LeaderEpoch, NodeId, PartitionEpoch, PartitionIndex, TopicId


def ask(cluster, *, broker=1, epoch=None, isr=(1, 2), members=None, leader_epoch=None, partition_epoch=None, topic="a"):
    known = cluster.image.topic_by_name(topic)
    partition = None if known is None else known.partitions[0]
    item = AlterPartitionItem(
        topic_id=TopicId(b"?" * 16) if known is None else known.topic_id,
        partition=PartitionIndex(0),
        leader_epoch=LeaderEpoch(partition.leader_epoch if leader_epoch is None else leader_epoch),
        partition_epoch=PartitionEpoch(partition.partition_epoch if partition_epoch is None else partition_epoch),
        new_isr=cluster.isr(*isr) if members is None else members,
    )
    return AlterPartition(
        broker_id=NodeId(broker),
        broker_epoch=cluster.epoch(broker) if epoch is None else BrokerEpoch(epoch),
        partitions=(item,),
    )


def answer(cluster, request):
    decision = decide_alter_partition(cluster.image, request)
    if decision.commands:
        cluster.apply(*decision.commands)
    response = decision.respond(cluster.image)
    assert response.error_code is ErrorCode.NONE
    (altered,) = response.partitions
    return altered


def test_a_leader_shrinks_and_extends_its_isr(cluster):
    cluster.create("a", (1, 2, 3))
    altered = answer(cluster, ask(cluster))
    assert (altered.error_code, altered.isr, altered.partition_epoch) == (ErrorCode.NONE, (1, 2), 1)
    assert (altered.leader_id, altered.leader_epoch) == (1, 0)
    assert answer(cluster, ask(cluster, isr=(1, 2, 3))).isr == (1, 2, 3)


def test_a_broker_of_a_former_registration_is_refused_as_a_whole(cluster):
    cluster.create("a", (1, 2, 3))
    decision = decide_alter_partition(cluster.image, ask(cluster, epoch=0))
    assert decision.commands == ()
    assert decision.respond(cluster.image).error_code is ErrorCode.STALE_BROKER_EPOCH


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"partition_epoch": 7}, ErrorCode.INVALID_UPDATE_VERSION),
        ({"leader_epoch": -1}, ErrorCode.FENCED_LEADER_EPOCH),
        ({"leader_epoch": 7}, ErrorCode.NOT_LEADER_OR_FOLLOWER),
        ({"broker": 2}, ErrorCode.NOT_LEADER_OR_FOLLOWER),
        ({"isr": ()}, ErrorCode.INVALID_REQUEST),
        ({"isr": (2, 3)}, ErrorCode.INVALID_REQUEST),
        ({"isr": (1, 1)}, ErrorCode.INVALID_REQUEST),
        ({"isr": (1, 4)}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_proposals_that_are_refused(cluster, given, code):
    cluster.start(4)
    cluster.create("a", (1, 2, 3))
    before = cluster.image
    altered = answer(cluster, ask(cluster, **given))
    assert altered.error_code is code
    assert (altered.isr, altered.partition_epoch, altered.leader_id) == ((1, 2, 3), 0, 1)
    assert cluster.image is before


def test_an_unknown_topic(cluster):
    request = ask(cluster, topic="gone", leader_epoch=0, partition_epoch=0)
    assert answer(cluster, request).error_code is ErrorCode.UNKNOWN_TOPIC_ID


def test_a_member_that_is_fenced_or_has_registered_again_is_ineligible(cluster):
    cluster.create("a", (1, 2))
    answer(cluster, ask(cluster, isr=(1,)))
    seen = cluster.isr(1, 2)
    cluster.start(2, incarnation=1)
    assert answer(cluster, ask(cluster, members=seen)).error_code is ErrorCode.INELIGIBLE_REPLICA
    assert answer(cluster, ask(cluster)).error_code is ErrorCode.NONE
    answer(cluster, ask(cluster, isr=(1,)))
    cluster.fence(2)
    assert answer(cluster, ask(cluster)).error_code is ErrorCode.INELIGIBLE_REPLICA


def test_only_members_that_stay_may_come_without_an_epoch(cluster):
    cluster.create("a", (1, 2, 3))
    unknown = tuple(IsrMember(node_id=NodeId(each), broker_epoch=BrokerEpoch(-1)) for each in (1, 2))
    assert answer(cluster, ask(cluster, members=unknown)).isr == (1, 2)
    answer(cluster, ask(cluster, isr=(1,)))
    assert answer(cluster, ask(cluster, members=unknown)).error_code is ErrorCode.INELIGIBLE_REPLICA


def test_the_answer_is_what_was_committed(cluster):
    cluster.create("a", (1, 2, 3))
    decision = decide_alter_partition(cluster.image, ask(cluster))
    cluster.fence(2)
    cluster.apply(*decision.commands, expect=ErrorCode.INVALID_UPDATE_VERSION)
    (altered,) = decision.respond(cluster.image).partitions
    assert (altered.error_code, altered.isr) == (ErrorCode.INVALID_UPDATE_VERSION, (1, 3))


def test_leaders_return_to_preferred_replicas_that_are_in_sync(cluster):
    cluster.create("a", (1, 2), (1, 2), (2, 1), (1,))
    cluster.start(1, incarnation=1)
    cluster.change("a", isr=cluster.isr(1, 2), index=0)
    cluster.apply(*preferred_leader_changes(cluster.image))
    assert [cluster.partition("a", index).leader for index in range(4)] == [1, 2, 2, 1]
    assert not list(preferred_leader_changes(cluster.image))
