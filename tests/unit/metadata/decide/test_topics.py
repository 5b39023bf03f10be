"""CreateTopics and DeleteTopics: what is refused, with which words, and what is created."""

from __future__ import annotations

from itertools import count
from random import Random

import pytest

from raftkafka.metadata.decide.topics import decide_create_topics, decide_delete_topics
from raftkafka.model.api.topics import CreateTopics, DeleteTopics, NewTopic, TopicToDelete
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_TOPIC_ID, NodeId, PartitionIndex, TopicId


def decided(cluster, *topics, validate_only=False, partitions=1, factor=1):
    ids = count(1)
    return decide_create_topics(
        cluster.image,
        CreateTopics(topics=topics, validate_only=validate_only),
        default_partitions=partitions,
        default_replication_factor=factor,
        new_topic_id=lambda: TopicId(next(ids).to_bytes(16, "big")),
        random=Random(1),
    )


def create(cluster, *topics, **options):
    """Decide, apply, answer."""
    decision = decided(cluster, *topics, **options)
    if decision.commands:
        cluster.apply(*decision.commands)
    return decision.respond(cluster.image).topics


def refused(cluster, topic, **options):
    before = cluster.image
    (answer,) = create(cluster, topic, **options)
    assert cluster.image is before
    assert answer.topic_id == NO_TOPIC_ID
    return answer.error_code, answer.error_message


def assigned(*partitions, start=0):
    return tuple(
        (PartitionIndex(at), tuple(NodeId(each) for each in replicas))
        for at, replicas in enumerate(partitions, start=start)
    )


def test_a_topic_is_created(cluster):
    (answer,) = create(cluster, NewTopic(name="a", num_partitions=6, replication_factor=3))
    topic = cluster.image.topic_by_name("a")
    assert (answer.error_code, answer.topic_id) == (ErrorCode.NONE, topic.topic_id)
    assert (answer.num_partitions, answer.replication_factor) == (6, 3)
    assert sorted(each.leader for each in topic.partitions) == [1, 1, 2, 2, 3, 3]
    assert all(set(each.isr) == {1, 2, 3} for each in topic.partitions)


def test_defaults(cluster):
    (answer,) = create(cluster, NewTopic(name="a"), partitions=4, factor=2)
    assert (answer.num_partitions, answer.replication_factor) == (4, 2)


def test_a_manual_assignment(cluster):
    create(cluster, NewTopic(name="a", assignments=assigned((3, 1), (2, 3)), configs=(("retention.ms", "7"),)))
    topic = cluster.image.topic_by_name("a")
    assert [each.replicas for each in topic.partitions] == [(3, 1), (2, 3)]
    assert [each.leader for each in topic.partitions] == [3, 2]
    assert topic.configs == {"retention.ms": "7"}


def test_validate_only_changes_nothing(cluster):
    decision = decided(cluster, NewTopic(name="a", num_partitions=2), NewTopic(name="/"), validate_only=True)
    assert decision.commands == ()
    good, bad = decision.respond(cluster.image).topics
    assert (good.error_code, good.num_partitions, good.topic_id) == (ErrorCode.NONE, 2, NO_TOPIC_ID)
    assert bad.error_code is ErrorCode.INVALID_TOPIC_EXCEPTION


def test_a_replication_factor_beyond_the_brokers(new_cluster):
    cluster = new_cluster()
    cluster.start(1)
    assert refused(cluster, NewTopic(name="a", replication_factor=3)) == (
        ErrorCode.INVALID_REPLICATION_FACTOR,
        "Replication factor: 3 larger than available brokers: 1.",
    )
    cluster.fence(1)
    code, message = refused(cluster, NewTopic(name="a"))
    assert code is ErrorCode.INVALID_REPLICATION_FACTOR
    assert message.endswith("larger than available brokers: 0.")


def test_a_broker_that_is_down_does_not_keep_topics_from_being_created(cluster):
    cluster.fence(2)
    (answer,) = create(cluster, NewTopic(name="a", num_partitions=3, replication_factor=3))
    assert answer.error_code is ErrorCode.NONE
    assert all(each.isr == each.replicas[:2] for each in cluster.image.topic_by_name("a").partitions)
    cluster.shut_down(3)
    assert refused(cluster, NewTopic(name="b", replication_factor=3))[0] is ErrorCode.INVALID_REPLICATION_FACTOR


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (NewTopic(name=""), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic(name="../x"), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic(name="x" * 250), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic(name="old"), ErrorCode.TOPIC_ALREADY_EXISTS),
        (NewTopic(name="o_d"), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic(name="a", num_partitions=0), ErrorCode.INVALID_PARTITIONS),
        (NewTopic(name="a", num_partitions=-2), ErrorCode.INVALID_PARTITIONS),
        (NewTopic(name="a", num_partitions=2**31), ErrorCode.INVALID_PARTITIONS),
        (NewTopic(name="a", replication_factor=0), ErrorCode.INVALID_REPLICATION_FACTOR),
        (NewTopic(name="a", replication_factor=4), ErrorCode.INVALID_REPLICATION_FACTOR),
        (NewTopic(name="a", configs=(("retention.mss", "1"),)), ErrorCode.INVALID_CONFIG),
        (NewTopic(name="a", configs=(("retention.ms", None),)), ErrorCode.INVALID_CONFIG),
        (NewTopic(name="a", configs=(("retention.ms", "1"), ("retention.ms", "2"))), ErrorCode.INVALID_CONFIG),
        (NewTopic(name="a", num_partitions=1, assignments=assigned((1,))), ErrorCode.INVALID_REQUEST),
        (NewTopic(name="a", assignments=assigned((1,), start=1)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic(name="a", assignments=assigned((1,)) * 2), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic(name="a", assignments=assigned((1, 2), (1,))), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic(name="a", assignments=assigned(())), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic(name="a", assignments=assigned((1, 1))), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic(name="a", assignments=assigned((9,))), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    ],
)
def test_topics_that_are_refused(cluster, topic, code):
    cluster.create("old", (1,))
    cluster.create("o.d", (1,))
    found, message = refused(cluster, topic)
    assert (found, bool(message)) == (code, True)


def test_an_assignment_to_brokers_that_are_all_fenced_is_refused(cluster):
    cluster.fence(2)
    code, message = refused(cluster, NewTopic(name="a", assignments=assigned((2,))))
    assert code is ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert "fenced" in message


def test_a_name_that_is_twice_in_a_request_is_refused_twice(cluster):
    answers = create(cluster, NewTopic(name="a"), NewTopic(name="b"), NewTopic(name="a"))
    codes = [each.error_code for each in answers]
    assert codes == [ErrorCode.INVALID_REQUEST, ErrorCode.NONE, ErrorCode.INVALID_REQUEST]
    assert list(cluster.image.topic_ids) == ["b"]


def test_names_that_collide_within_a_request(cluster):
    first, second = create(cluster, NewTopic(name="a.b"), NewTopic(name="a_b"))
    assert (first.error_code, second.error_code) == (ErrorCode.NONE, ErrorCode.INVALID_TOPIC_EXCEPTION)


def test_the_partitions_of_a_request_are_limited_over_all_topics(cluster):
    answers = create(
        cluster,
        NewTopic(name="a", num_partitions=6_000),
        NewTopic(name="b", num_partitions=6_000),
        NewTopic(name="c", num_partitions=4_000),
    )
    codes = [each.error_code for each in answers]
    assert codes == [ErrorCode.NONE, ErrorCode.INVALID_PARTITIONS, ErrorCode.NONE]


def test_the_partitions_of_the_cluster_are_limited(cluster):
    for at in range(10):
        cluster.create(f"t{at}", *[(1,)] * 9_999)
    (answer,) = create(cluster, NewTopic(name="a", num_partitions=10))
    assert answer.error_code is ErrorCode.NONE
    assert refused(cluster, NewTopic(name="b")) == (
        ErrorCode.POLICY_VIOLATION,
        "The cluster takes at most 100000 partitions, there is room for 0 more.",
    )


def test_the_replicas_of_a_topic_are_limited(new_cluster):
    cluster = new_cluster()
    for node_id in range(11):
        cluster.start(node_id)
    code, _ = refused(cluster, NewTopic(name="a", num_partitions=10_000, replication_factor=11))
    assert code is ErrorCode.POLICY_VIOLATION


def test_the_answer_is_what_was_committed(cluster):
    decision = decided(cluster, NewTopic(name="a"))
    cluster.create("a", (1,))
    cluster.apply(*decision.commands, expect=ErrorCode.TOPIC_ALREADY_EXISTS)
    (answer,) = decision.respond(cluster.image).topics
    assert answer.error_code is ErrorCode.TOPIC_ALREADY_EXISTS


# DeleteTopics


def delete(cluster, *topics, enable=True):
    decision = decide_delete_topics(cluster.image, DeleteTopics(topics=topics), delete_topic_enable=enable)
    if decision.commands:
        cluster.apply(*decision.commands)
    return decision.respond(cluster.image).topics


def test_topics_are_deleted_by_name_and_by_id(cluster):
    one, two = cluster.create("a", (1,)), cluster.create("b", (1,))
    answers = delete(cluster, TopicToDelete(name="a"), TopicToDelete(topic_id=two))
    assert [(each.name, each.topic_id, each.error_code) for each in answers] == [
        ("a", one, ErrorCode.NONE),
        ("b", two, ErrorCode.NONE),
    ]
    assert not cluster.image.topics


def test_topics_that_are_not_deleted(cluster):
    topic_id = cluster.create("a", (1,))
    answers = delete(
        cluster,
        TopicToDelete(name="b"),
        TopicToDelete(topic_id=TopicId(b"x" * 16)),
        TopicToDelete(),
        TopicToDelete(name="a", topic_id=topic_id),
        TopicToDelete(name="a"),
        TopicToDelete(topic_id=topic_id),
    )
    assert [each.error_code for each in answers] == [
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.NONE,
        ErrorCode.INVALID_REQUEST,
    ]


def test_deletion_can_be_disabled(cluster):
    cluster.create("a", (1,))
    (answer,) = delete(cluster, TopicToDelete(name="a"), enable=False)
    assert answer.error_code is ErrorCode.TOPIC_DELETION_DISABLED
    assert "a" in cluster.image.topic_ids
