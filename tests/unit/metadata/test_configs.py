"""Configs in the image: what is altered, what is refused, and what follows for partitions."""

from __future__ import annotations

import pytest

from raftkafka.metadata import snapshot
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.commands import AlterBrokerConfigs, AlterTopicConfigs
from raftkafka.metadata.image import ALL_BROKERS, Defaults
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_NODE, NodeId, TopicId


def topic(topic_id, **configs):
    return AlterTopicConfigs(topic_id=topic_id, configs={k.replace("_", "."): v for k, v in configs.items()})


def brokers(node_id=ALL_BROKERS, **configs):
    return AlterBrokerConfigs(node_id=node_id, configs={k.replace("_", "."): v for k, v in configs.items()})


def test_configs_of_a_topic_are_set_and_taken_away(cluster):
    topic_id = cluster.create("t", (1,), configs={"retention.ms": "5"})
    before = cluster.image
    applied = cluster.apply(topic(topic_id, segment_bytes="4096", retention_ms=None))
    assert cluster.image.topics[topic_id].configs == {"segment.bytes": "4096"}
    assert before.topics[topic_id].configs == {"retention.ms": "5"}
    assert applied.changes.configs == {topic_id}
    assert not applied.changes.partitions
    assert not cluster.apply(topic(topic_id, segment_bytes="4096")).changes


def test_nothing_of_a_command_with_a_bad_value_counts(cluster):
    topic_id = cluster.create("t", (1,))
    cluster.apply(topic(topic_id, segment_bytes="4096", retention_ms="soon"), expect=ErrorCode.INVALID_CONFIG)
    cluster.apply(topic(topic_id, no_such_key="1"), expect=ErrorCode.INVALID_CONFIG)
    assert cluster.image.topics[topic_id].configs == {}
    cluster.apply(topic(TopicId(b"\7" * 16), retention_ms="5"), expect=ErrorCode.UNKNOWN_TOPIC_ID)


def test_a_topic_that_allows_unclean_elections_gets_its_leader_at_once(cluster):
    topic_id = cluster.create("t", (1, 2), configs={"unclean.leader.election.enable": "false"})
    cluster.change("t", isr=cluster.isr(1))
    cluster.fence(1)
    assert cluster.partition("t").leader == NO_NODE
    cluster.apply(topic(topic_id, unclean_leader_election_enable="true"))
    assert cluster.partition("t").leader == 2


def test_a_topic_that_asks_for_fewer_replicas_counts_on_no_eligible_ones_any_more(cluster, check_image):
    topic_id = cluster.create("t", (1, 2), configs={"min.insync.replicas": "2"})
    cluster.fence(2)
    assert cluster.eligible("t") == (1, (1,), (2,))
    cluster.apply(topic(topic_id, min_insync_replicas="1"))
    assert cluster.eligible("t") == (1, (1,), ())
    check_image(cluster.image)


def test_the_default_of_all_brokers_goes_before_what_the_controllers_file_says(cluster, check_image):
    cluster.defaults(min_insync_replicas=1)
    cluster.create("t", (1, 2))
    cluster.create("own", (1, 2), configs={"min.insync.replicas": "1"})
    assert cluster.apply(brokers(min_insync_replicas="2")).changes.broker_configs
    assert cluster.image.defaults == Defaults(min_insync_replicas=2)
    # A controller with another file does not undo it.
    cluster.defaults(min_insync_replicas=1, unclean=True)
    assert cluster.image.defaults == Defaults(min_insync_replicas=2, unclean_leader_election=True)
    cluster.fence(2)
    assert cluster.eligible("t") == (1, (1,), (2,))
    assert cluster.eligible("own") == (1, (1,), ())
    check_image(cluster.image)
    cluster.apply(brokers(min_insync_replicas=None, unclean_leader_election_enable="FALSE"))
    assert cluster.image.defaults == Defaults()
    check_image(cluster.image)


def test_a_brokers_own_configs_are_kept_apart(cluster):
    cluster.apply(brokers(log_retention_ms="5"))
    cluster.apply(brokers(NodeId(2), log_retention_ms="7", message_max_bytes="9"))
    cluster.apply(brokers(NodeId(2), message_max_bytes=None))
    assert cluster.image.broker_configs == {
        ALL_BROKERS: {"log.retention.ms": "5"},
        NodeId(2): {"log.retention.ms": "7"},
    }
    cluster.apply(brokers(NodeId(2), log_retention_ms=None))
    assert NodeId(2) not in cluster.image.broker_configs


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (brokers(NodeId(9), log_retention_ms="5"), ErrorCode.BROKER_ID_NOT_REGISTERED),
        (brokers(NodeId(1), min_insync_replicas="2"), ErrorCode.INVALID_CONFIG),
        (brokers(listeners="PLAINTEXT://:1"), ErrorCode.INVALID_CONFIG),
        (brokers(log_retention_ms="soon"), ErrorCode.INVALID_CONFIG),
    ],
)
def test_what_a_broker_may_not_have_is_refused(cluster, command, error):
    before = cluster.image
    cluster.apply(command, expect=error)
    assert cluster.image is before


def test_configs_survive_a_snapshot_and_differ_between_images(cluster):
    topic_id = cluster.create("t", (1,))
    before = cluster.image
    cluster.apply(
        topic(topic_id, retention_ms="5"), brokers(min_insync_replicas="2"), brokers(NodeId(1), log_roll_ms="9")
    )
    assert snapshot.decode(snapshot.encode(cluster.image)) == cluster.image
    changes = Changes.between(before, cluster.image)
    assert (changes.configs, changes.broker_configs, changes.cluster) == ({topic_id}, True, True)
    assert not Changes.between(cluster.image, cluster.image)
