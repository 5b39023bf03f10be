"""IncrementalAlterConfigs: one clear line for every bad value, and commands that say what will be."""

from __future__ import annotations

import pytest

from raftkafka.metadata.commands import AlterBrokerConfigs, AlterTopicConfigs
from raftkafka.metadata.decide.configs import CONFIGS_PER_REQUEST_MAX, decide_alter_configs
from raftkafka.metadata.image import ALL_BROKERS
from raftkafka.model.api.configs import (
    AlterableConfig,
    AlterConfigsResource,
    AlterOperation,
    IncrementalAlterConfigs,
    ResourceType,
)
from raftkafka.model.errors import ErrorCode

SET, DELETE, APPEND, SUBTRACT = AlterOperation


def resource(kind, name, *configs):
    return AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=tuple(AlterableConfig(name=key, operation=operation, value=value) for key, operation, value in configs),
    )


def topic(name, *configs):
    return resource(ResourceType.TOPIC, name, *configs)


def broker(name, *configs):
    return resource(ResourceType.BROKER, name, *configs)


def decide(cluster, *resources, **fields):
    return decide_alter_configs(cluster.image, IncrementalAlterConfigs(resources=resources, **fields))


def answer(cluster, *resources, **fields):
    """The codes and messages, with the commands carried out."""
    decision = decide(cluster, *resources, **fields)
    if decision.commands:
        cluster.apply(*decision.commands)
    return [(each.error_code, each.error_message) for each in decision.respond(cluster.image).resources]


def test_one_resource_that_is_refused_leaves_the_others_as_they_are(cluster):
    topic_id = cluster.create("t", (1,))
    assert answer(
        cluster,
        topic("t", ("retention.ms", SET, "5")),
        topic("gone", ("retention.ms", SET, "5")),
        broker("2", ("log.retention.ms", SET, "6")),
        broker("", ("log.retention.ms", SET, "7")),
    ) == [
        (ErrorCode.NONE, None),
        (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "The topic 'gone' does not exist."),
        (ErrorCode.NONE, None),
        (ErrorCode.NONE, None),
    ]
    assert cluster.image.topics[topic_id].configs == {"retention.ms": "5"}
    assert cluster.image.broker_configs == {2: {"log.retention.ms": "6"}, ALL_BROKERS: {"log.retention.ms": "7"}}


@pytest.mark.parametrize(
    ("bad", "code", "said"),
    [
        (
            topic("t", ("retention.msec", SET, "5")),
            ErrorCode.INVALID_CONFIG,
            "Unknown topic config name: retention.msec",
        ),
        (topic("t", ("retention.ms", SET, "soon")), ErrorCode.INVALID_CONFIG, "'soon' for configuration retention.ms"),
        (
            topic("t", ("retention.ms", SET, None)),
            ErrorCode.INVALID_REQUEST,
            "Null value not supported for : retention.ms",
        ),
        (topic("t", ("retention.ms", 9, "5")), ErrorCode.INVALID_REQUEST, "no operation 9"),
        (topic("t", ("retention.ms", APPEND, "5")), ErrorCode.INVALID_CONFIG, "its type is not LIST"),
        (topic("t", ("cleanup.policy", SUBTRACT, "delete")), ErrorCode.INVALID_CONFIG, "cleanup.policy"),
        (
            topic("t", ("retention.ms", SET, "5"), ("retention.ms", DELETE, None)),
            ErrorCode.INVALID_REQUEST,
            "duplicate config keys",
        ),
        (
            topic("t", ("min.compaction.lag.ms", SET, "6"), ("max.compaction.lag.ms", SET, "5")),
            ErrorCode.INVALID_CONFIG,
            "conflict topic config setting",
        ),
        (topic("a/b", ("retention.ms", SET, "5")), ErrorCode.INVALID_TOPIC_EXCEPTION, "illegal"),
        (broker("one", ("log.retention.ms", SET, "5")), ErrorCode.INVALID_REQUEST, "must be a broker id or empty"),
        (broker("9", ("log.retention.ms", SET, "5")), ErrorCode.INVALID_REQUEST, "No broker with id 9"),
        (broker("1", ("listeners", SET, "x")), ErrorCode.INVALID_REQUEST, "Cannot update these configs dynamically"),
        (broker("1", ("log.retention.ms", SET, "0")), ErrorCode.INVALID_CONFIG, "log.retention.ms"),
        (broker("1", ("min.insync.replicas", SET, "2")), ErrorCode.INVALID_CONFIG, "holds for the whole cluster"),
        (resource(8, "1", ("a", SET, "b")), ErrorCode.INVALID_REQUEST, "type 8"),
    ],
)
def test_every_bad_value_gets_one_clear_line(cluster, bad, code, said):
    cluster.create("t", (1,))
    decision = decide(cluster, bad)
    assert not decision.commands
    (refused,) = decision.respond(cluster.image).resources
    assert refused.error_code is code
    assert said in refused.error_message
    assert "\n" not in refused.error_message


def test_lists_are_added_to_and_taken_from(cluster):
    topic_id = cluster.create("t", (1,), configs={"leader.replication.throttled.replicas": "0:1"})
    key = "leader.replication.throttled.replicas"
    added = decide(cluster, topic("t", (key, APPEND, "0:1,1:2"), ("cleanup.policy", APPEND, "compact")))
    assert added.commands == (
        AlterTopicConfigs(topic_id=topic_id, configs={key: "0:1,1:2", "cleanup.policy": "delete,compact"}),
    )
    taken = decide(cluster, topic("t", (key, SUBTRACT, "0:1")))
    assert taken.commands == (AlterTopicConfigs(topic_id=topic_id, configs={key: ""}),)
    assert decide(cluster, broker("1", ("log.cleanup.policy", APPEND, "compact"))).commands == (
        AlterBrokerConfigs(node_id=1, configs={"log.cleanup.policy": "delete,compact"}),
    )


def test_a_resource_may_be_named_once(cluster):
    cluster.create("t", (1,))
    twice = [topic("t", ("retention.ms", SET, value)) for value in "56"]
    assert answer(cluster, *twice) == [(ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")] * 2


def test_validate_only_changes_nothing(cluster):
    cluster.create("t", (1,))
    decision = decide(cluster, topic("t", ("retention.ms", SET, "5")), topic("t2"), validate_only=True)
    assert not decision.commands
    codes = [each.error_code for each in decision.respond(cluster.image).resources]
    assert codes == [ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]


def test_a_request_is_bounded(cluster):
    cluster.create("t", (1,))
    many = [(f"k{each}", DELETE, None) for each in range(CONFIGS_PER_REQUEST_MAX + 1)]
    ((code, message),) = answer(cluster, topic("t", *many))
    assert code is ErrorCode.INVALID_REQUEST
    assert str(CONFIGS_PER_REQUEST_MAX) in message


def test_a_topic_that_went_first_is_said_to_be_gone(cluster):
    cluster.create("t", (1,))
    decision = decide(cluster, topic("t", ("retention.ms", SET, "5")))
    (after,) = decision.respond(type(cluster)().image).resources
    assert after.error_code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
