"""CreatePartitions: topics only grow, onto brokers that are there, within limits."""

from __future__ import annotations

from random import Random

import pytest

from raftkafka.metadata.decide import new_partitions
from raftkafka.metadata.decide.new_partitions import decide_create_partitions
from raftkafka.model.api.partitions import CreatePartitions, NewPartitions
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId


def ask(*wanted, **fields):
    return CreatePartitions(topics=wanted, **fields)


def more(name, count, *assignments):
    return NewPartitions(
        name=name, count=count, assignments=tuple(tuple(map(NodeId, each)) for each in assignments) or None
    )


def decide(cluster, request):
    return decide_create_partitions(cluster.image, request, random=Random(3))


def answer(cluster, request):
    decision = decide(cluster, request)
    if decision.commands:
        cluster.apply(*decision.commands)
    return list(decision.respond(cluster.image).topics)


def test_a_topic_grows_evenly(cluster):
    cluster.create("a", (2, 3))
    (grown,) = answer(cluster, ask(more("a", 6)))
    assert (grown.name, grown.error_code) == ("a", ErrorCode.NONE)
    partitions = cluster.image.topic_by_name("a").partitions
    assert [each.leader for each in partitions] == [2, 3, 1, 2, 3, 1]
    assert all(len(each.replicas) == 2 for each in partitions)


def test_replicas_may_be_named(cluster):
    cluster.create("a", (1, 2))
    (grown,) = answer(cluster, ask(more("a", 3, (3, 1), (2, 3))))
    assert grown.error_code is ErrorCode.NONE
    assert [each.replicas for each in cluster.image.topic_by_name("a").partitions] == [(1, 2), (3, 1), (2, 3)]


@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        (more("b", 3), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "'b'"),
        (more("a", 2), ErrorCode.INVALID_PARTITIONS, "already has 2"),
        (more("a", 1), ErrorCode.INVALID_PARTITIONS, "would not be an increase"),
        (more("a", -1), ErrorCode.INVALID_PARTITIONS, "would not be an increase"),
        (more("a", 2 + 10_001), ErrorCode.INVALID_PARTITIONS, "at most 10000"),
        (more("a", 4, (1, 2)), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "only 1"),
        (more("a", 3, (1,)), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "1 replica(s)"),
        (more("a", 3, (1, 1)), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "more than once"),
        (more("a", 3, (1, 9)), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "broker 9"),
        (more("a", 3, (3, 4)), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "fenced"),
    ],
)
def test_growth_that_cannot_be(cluster, wanted, code, words):
    cluster.start(4)
    cluster.fence(3)
    cluster.fence(4)
    cluster.create("a", (1, 2), (2, 1))
    before = cluster.image
    (refused,) = answer(cluster, ask(wanted))
    assert refused.error_code is code
    assert words in refused.error_message
    assert cluster.image is before


def test_limits_of_the_cluster_and_of_a_topic(cluster, monkeypatch):
    cluster.create("a", (1, 2), (2, 1))
    monkeypatch.setattr(new_partitions, "PARTITIONS_MAX", 4)
    assert answer(cluster, ask(more("a", 5)))[0].error_code is ErrorCode.POLICY_VIOLATION
    monkeypatch.setattr(new_partitions, "REPLICAS_PER_TOPIC_MAX", 7)
    assert answer(cluster, ask(more("a", 4)))[0].error_code is ErrorCode.POLICY_VIOLATION
    assert answer(cluster, ask(more("a", 3)))[0].error_code is ErrorCode.NONE


def test_a_topic_named_twice_and_one_that_is_fine(cluster):
    cluster.create("a", (1,))
    cluster.create("b", (1,))
    outcome = answer(cluster, ask(more("a", 2), more("b", 2), more("a", 3)))
    assert [each.error_code for each in outcome] == [
        ErrorCode.INVALID_REQUEST,
        ErrorCode.NONE,
        ErrorCode.INVALID_REQUEST,
    ]
    assert len(cluster.image.topic_by_name("a").partitions) == 1


def test_too_few_brokers(cluster):
    cluster.create("a", (1, 2, 3))
    cluster.shut_down(3)
    (refused,) = answer(cluster, ask(more("a", 2)))
    assert refused.error_code is ErrorCode.INVALID_REPLICATION_FACTOR


def test_a_reassignment_on_its_way_says_how_many_replicas_new_ones_get(cluster):
    cluster.create("a", (1,))
    cluster.reassign("a", (1, 2))
    answer(cluster, ask(more("a", 2)))
    assert len(cluster.partition("a", 1).replicas) == 2


def test_validating_changes_nothing(cluster):
    cluster.create("a", (1,))
    before = cluster.image
    outcome = answer(cluster, ask(more("a", 2), more("b", 2), validate_only=True))
    assert [each.error_code for each in outcome] == [ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    assert cluster.image is before


def test_who_comes_second_is_told_so(cluster):
    cluster.create("a", (1,))
    first, second = decide(cluster, ask(more("a", 2))), decide(cluster, ask(more("a", 4)))
    cluster.apply(*first.commands)
    cluster.apply(*second.commands, expect=ErrorCode.INVALID_UPDATE_VERSION)
    assert first.respond(cluster.image).topics[0].error_code is ErrorCode.NONE
    assert second.respond(cluster.image).topics[0].error_code is ErrorCode.INVALID_UPDATE_VERSION
