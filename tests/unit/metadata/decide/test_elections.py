"""ElectLeaders, and the balance of leaders: who leads again, when, and who is left alone."""

from __future__ import annotations

import pytest

from raftkafka.metadata.decide.elections import balance, decide_elect_leaders
from raftkafka.metadata.decide.topics import PARTITIONS_PER_REQUEST_MAX
from raftkafka.model.api.elections import ElectionType, ElectLeaders, TopicToElect
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_NODE, NodeId, PartitionIndex


def elect(cluster, kind, *topics):
    request = ElectLeaders(
        election_type=kind,
        topics=tuple(
            TopicToElect(name=name, partitions=tuple(PartitionIndex(each) for each in partitions))
            for name, partitions in topics
        )
        or None,
    )
    decision = decide_elect_leaders(cluster.image, request)
    if decision.commands:
        cluster.apply(*decision.commands)
    return [
        (topic.name, each.partition, each.error_code)
        for topic in decision.respond(cluster.image).topics
        for each in topic.partitions
    ]


def test_preferred_leaders_lead_again(cluster):
    cluster.create("a", (1, 2), (1, 2), (2, 1), (3, 1))
    cluster.start(1, incarnation=1)
    cluster.change("a", isr=cluster.isr(1, 2), index=0)
    outcome = elect(cluster, ElectionType.PREFERRED, ("a", (0, 1, 2, 9)), ("b", (0,)))
    assert outcome == [
        ("a", 0, ErrorCode.NONE),
        ("a", 1, ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE),
        ("a", 2, ErrorCode.ELECTION_NOT_NEEDED),
        ("a", 9, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("b", 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ]
    assert (cluster.partition("a", 0).leader, cluster.partition("a", 0).leader_epoch) == (1, 2)


def test_of_all_partitions_only_those_in_need_are_told(cluster):
    cluster.create("a", (1, 2), (1, 2), (2, 1))
    cluster.start(1, incarnation=1)
    cluster.change("a", isr=cluster.isr(1, 2), index=0)
    assert elect(cluster, ElectionType.PREFERRED) == [
        ("a", 0, ErrorCode.NONE),
        ("a", 1, ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE),
    ]


def test_an_unclean_election_is_only_for_partitions_without_a_leader(cluster):
    cluster.create("a", (1, 2), (3, 1), (1,))
    cluster.fence(2)
    cluster.unfence(2)
    cluster.fence(1)
    assert [cluster.partition("a", at).leader for at in range(3)] == [NO_NODE, 3, NO_NODE]
    assert elect(cluster, ElectionType.UNCLEAN, ("a", (0, 1, 2))) == [
        ("a", 0, ErrorCode.NONE),
        ("a", 1, ErrorCode.ELECTION_NOT_NEEDED),
        ("a", 2, ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE),
    ]
    assert (cluster.partition("a", 0).leader, cluster.partition("a", 0).isr) == (2, (2,))


def test_a_type_that_there_is_not(cluster):
    decision = decide_elect_leaders(cluster.image, ElectLeaders(election_type=7))
    assert decision.respond(cluster.image).error_code is ErrorCode.INVALID_REQUEST


def test_what_was_decided_on_an_older_image_is_not_called_done(cluster):
    cluster.create("a", (1, 2, 3))
    cluster.change("a", leader=NodeId(2))
    decision = decide_elect_leaders(cluster.image, ElectLeaders(election_type=ElectionType.PREFERRED))
    cluster.fence(1)
    cluster.apply(*decision.commands, expect=ErrorCode.INVALID_UPDATE_VERSION)
    (topic,) = decision.respond(cluster.image).topics
    assert topic.partitions[0].error_code is ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE


# The balance


def restart(cluster, node_id):
    """Its leaderships move away; then it is in sync again everywhere."""
    cluster.start(node_id, incarnation=1)
    for index, partition in enumerate(cluster.image.topic_by_name("a").partitions):
        if node_id in partition.replicas:
            cluster.change("a", isr=cluster.isr(*partition.replicas), index=index)


@pytest.mark.parametrize(("percentage", "moved"), [(0, 2), (10, 2), (99, 2), (100, 0)])
def test_leaders_return_to_a_broker_that_lacks_more_than_its_share(cluster, percentage, moved):
    cluster.create("a", (1, 2), (1, 3), (2, 3), (3, 1))
    restart(cluster, 1)
    changes = list(balance(cluster.image, percentage=percentage))
    assert len(changes) == moved
    if moved:
        cluster.apply(*changes)
        assert [cluster.partition("a", at).leader for at in range(4)] == [1, 1, 2, 3]
        assert not list(balance(cluster.image, percentage=0))


def test_a_broker_that_lacks_few_is_left_alone(cluster):
    cluster.create("a", *[(1, 2)] * 10)
    cluster.change("a", leader=NodeId(2), index=4)
    assert not list(balance(cluster.image, percentage=10))
    assert [each.partition for each in balance(cluster.image, percentage=9)] == [4]


def test_the_balance_touches_nothing_that_moves_or_cannot(cluster):
    cluster.create("a", (1, 2), (1, 2), (1,))
    cluster.start(1, incarnation=1)
    cluster.change("a", isr=cluster.isr(1, 2), index=0)
    cluster.reassign("a", (1, 3), index=0)
    assert cluster.partition("a", 0).removing == (2,)
    assert not list(balance(cluster.image, percentage=0)), (
        "one is being reassigned, in the other broker 1 is not in sync"
    )


def test_a_request_of_too_many_partitions_is_refused_as_a_whole(cluster):
    cluster.create("a", (1, 2))
    partitions = tuple(PartitionIndex(each) for each in range(PARTITIONS_PER_REQUEST_MAX + 1))
    request = ElectLeaders(
        election_type=ElectionType.PREFERRED, topics=(TopicToElect(name="a", partitions=partitions),)
    )
    decision = decide_elect_leaders(cluster.image, request)
    response = decision.respond(cluster.image)
    assert (decision.commands, response.error_code, response.topics) == ((), ErrorCode.POLICY_VIOLATION, ())
    assert str(PARTITIONS_PER_REQUEST_MAX) in response.error_message
