"""AlterPartitionReassignments and ListPartitionReassignments: what is refused, in which words, and what is shown."""

from __future__ import annotations

import pytest

from raftkafka.metadata.decide.partitions import decide_alter_partition
from raftkafka.metadata.decide.reassignments import decide_list_reassignments, decide_reassign
from raftkafka.metadata.decide.topics import PARTITIONS_PER_REQUEST_MAX
from raftkafka.model.api.broker_lifecycle import AlterPartition, AlterPartitionItem
from raftkafka.model.api.reassignments import (
    AlterPartitionReassignments,
    ListedTopic,
    ListPartitionReassignments,
    OngoingReassignment,
    ReassignablePartition,
    ReassignableTopic,
)
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId, PartitionIndex


def ask(*wanted, **fields):
    """Each of `wanted`: topic, partition, replicas."""
    topics = {}
    for name, index, replicas in wanted:
        topics.setdefault(name, []).append(
            ReassignablePartition(
                partition=PartitionIndex(index),
                replicas=None if replicas is None else tuple(NodeId(each) for each in replicas),
            )
        )
    return AlterPartitionReassignments(
        topics=tuple(ReassignableTopic(name=name, partitions=tuple(each)) for name, each in topics.items()), **fields
    )


def decide(cluster, request):
    return decide_reassign(cluster.image, request)


def answer(cluster, request):
    decision = decide(cluster, request)
    if decision.commands:
        cluster.apply(*decision.commands)
    response = decision.respond(cluster.image)
    assert response.error_code is ErrorCode.NONE
    return [each for topic in response.topics for each in topic.partitions]


def ongoing(cluster, *topics):
    request = ListPartitionReassignments(
        topics=tuple(ListedTopic(name=name, partitions=partitions) for name, partitions in topics) or None
    )
    response = decide_list_reassignments(request).respond(cluster.image)
    return [(topic.name, each) for topic in response.topics for each in topic.partitions]


def test_each_partition_is_decided_by_itself(cluster):
    cluster.create("a", (1, 2), (2, 3))
    answers = answer(
        cluster,
        ask(
            ("a", 0, (2, 3)),
            ("a", 1, (9, 1)),
            ("a", 2, (1,)),
            ("b", 0, (1,)),
            ("a", -1, (1,)),
        ),
    )
    assert [(each.partition, each.error_code) for each in answers] == [
        (0, ErrorCode.NONE),
        (1, ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (2, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (-1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ]
    assert "broker 9" in answers[1].error_message
    assert cluster.partition("a", 0).replicas == (2, 3, 1)
    assert cluster.partition("a", 1).replicas == (2, 3)


@pytest.mark.parametrize(("replicas", "words"), [((), "empty"), ((1, 1), "more than once"), ((1, 7), "registered")])
def test_assignments_that_cannot_be(cluster, replicas, words):
    cluster.create("a", (1, 2))
    (refused,) = answer(cluster, ask(("a", 0, replicas)))
    assert refused.error_code is ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert words in refused.error_message


def test_a_fenced_broker_may_be_asked_to_take_a_replica(cluster):
    cluster.create("a", (1, 2))
    cluster.fence(3)
    (taken,) = answer(cluster, ask(("a", 0, (1, 3))))
    assert taken.error_code is ErrorCode.NONE
    assert cluster.partition("a").adding == (3,)


def test_a_partition_that_is_named_twice(cluster):
    cluster.create("a", (1, 2))
    answers = answer(cluster, ask(("a", 0, (1,)), ("a", 0, (2,))))
    assert {each.error_code for each in answers} == {ErrorCode.INVALID_REQUEST}


def test_another_replication_factor_only_where_it_is_allowed(cluster):
    cluster.create("a", (1, 2))
    fixed = {"allow_replication_factor_change": False}
    (refused,) = answer(cluster, ask(("a", 0, (1, 2, 3)), **fixed))
    assert refused.error_code is ErrorCode.INVALID_REPLICATION_FACTOR
    (moved,) = answer(cluster, ask(("a", 0, (2, 3)), **fixed))
    assert moved.error_code is ErrorCode.NONE
    # While that goes on there are three replicas, but the factor is still two.
    (again,) = answer(cluster, ask(("a", 0, (1, 3)), **fixed))
    assert again.error_code is ErrorCode.NONE


def test_cancelling(cluster):
    cluster.create("a", (1, 2))
    (refused,) = answer(cluster, ask(("a", 0, None)))
    assert refused.error_code is ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
    answer(cluster, ask(("a", 0, (3, 1))))
    (cancelled,) = answer(cluster, ask(("a", 0, None)))
    assert cancelled.error_code is ErrorCode.NONE
    assert cluster.partition("a").replicas == (1, 2)


def test_a_cancellation_keeps_to_the_topics_own_min_insync_replicas(cluster):
    cluster.defaults(min_insync_replicas=2)
    for node_id in (4, 5):
        cluster.start(node_id)
    for name, configs in (("a", {}), ("b", {"min.insync.replicas": "1"})):
        cluster.create(name, (1, 2), configs=configs)
        answer(cluster, ask((name, 0, (4, 5))))
        cluster.change(name, isr=cluster.isr(1, 4))
        answer(cluster, ask((name, 0, None)))
    assert cluster.partition("a").replicas == (1, 2, 4)
    assert cluster.partition("b").replicas == (1, 2)


def test_the_answer_is_what_was_committed(cluster):
    cluster.create("a", (1, 2))
    decision = decide(cluster, ask(("a", 0, (3, 1))))
    cluster.fence(2)
    cluster.apply(*decision.commands, expect=ErrorCode.INVALID_UPDATE_VERSION)
    (late,) = decision.respond(cluster.image).topics[0].partitions
    assert late.error_code is ErrorCode.INVALID_UPDATE_VERSION


def test_what_is_in_progress_is_listed(cluster):
    cluster.create("b", (1, 2), (1, 2))
    cluster.create("a", (1, 2))
    assert ongoing(cluster) == []
    answer(cluster, ask(("b", 1, (3, 2)), ("a", 0, (3,))))
    first = OngoingReassignment(partition=0, replicas=(3, 1, 2), adding_replicas=(3,), removing_replicas=(1, 2))
    second = OngoingReassignment(partition=1, replicas=(3, 2, 1), adding_replicas=(3,), removing_replicas=(1,))
    assert ongoing(cluster) == [("a", first), ("b", second)]
    assert ongoing(cluster, ("b", (0, 1, 1, 7)), ("c", (0,))) == [("b", second)]
    cluster.change("b", isr=cluster.isr(1, 2, 3), index=1)
    assert ongoing(cluster) == [("a", first)]


def test_the_leader_that_completes_a_reassignment_is_told_what_came_of_it(cluster):
    """It asked for an ISR of three and gets one of two, and another leader where it is not among them itself."""
    for target, code in (((2, 3), ErrorCode.NEW_LEADER_ELECTED), ((1, 3), ErrorCode.NONE)):
        name = f"t{target[0]}"
        cluster.create(name, (1, 2))
        answer(cluster, ask((name, 0, target)))
        partition = cluster.partition(name)
        item = AlterPartitionItem(
            topic_id=cluster.image.topic_ids[name],
            partition=PartitionIndex(0),
            leader_epoch=partition.leader_epoch,
            partition_epoch=partition.partition_epoch,
            new_isr=cluster.isr(1, 2, 3),
        )
        request = AlterPartition(broker_id=NodeId(1), broker_epoch=cluster.epoch(1), partitions=(item,))
        decision = decide_alter_partition(cluster.image, request)
        cluster.apply(*decision.commands)
        (altered,) = decision.respond(cluster.image).partitions
        assert (altered.error_code, set(altered.isr), altered.leader_epoch) == (code, set(target), 1)


def test_a_request_of_too_many_partitions_is_refused_as_a_whole(cluster):
    cluster.create("a", (1, 2))
    request = ask(*[("a", index, (1, 2)) for index in range(PARTITIONS_PER_REQUEST_MAX + 1)])
    decision = decide(cluster, request)
    response = decision.respond(cluster.image)
    assert (decision.commands, response.error_code, response.topics) == ((), ErrorCode.POLICY_VIOLATION, ())
    assert str(PARTITIONS_PER_REQUEST_MAX) in response.error_message
