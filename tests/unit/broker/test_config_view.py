"""DescribeConfigs: values with their source, in Kafka's order, and everything of the file."""

from __future__ import annotations

import pytest

from raftkafka.broker.config_view import ConfigView
from raftkafka.metadata.commands import AlterBrokerConfigs, AlterTopicConfigs
from raftkafka.metadata.image import ALL_BROKERS
from raftkafka.metadata.topic_configs import TOPIC_CONFIGS, why_invalid
from raftkafka.model.api.configs import ConfigSource as Source
from raftkafka.model.api.configs import ConfigType
from raftkafka.model.ids import NodeId
from raftkafka.model.settings.dynamic import DYNAMIC
from raftkafka.model.settings.keys import BY_NAME
from raftkafka.model.settings.load import load
from raftkafka.model.settings.values import Settings

FILE = """\
broker.id=1
log.retention.hours=2
log.roll.ms = 5000
delete.topic.enable = True
ssl.keystore.password=hunter2
num.io.threads=8
"""


@pytest.fixture
def image(world):
    world.start_brokers(1, 2)
    key = world.create("t", 1)
    world.commit(
        AlterTopicConfigs(topic_id=key.topic_id, configs={"retention.ms": "5"}),
        AlterBrokerConfigs(node_id=ALL_BROKERS, configs={"log.retention.ms": "6", "message.max.bytes": "9000"}),
        AlterBrokerConfigs(node_id=NodeId(1), configs={"log.retention.ms": "7"}),
        AlterBrokerConfigs(node_id=NodeId(2), configs={"log.retention.ms": "8"}),
    )
    return world.store.image


def described(view, which="t"):
    found = view.of_topic(view.image.topic_by_name(which)) if which else view.of_broker()
    return {each.name: each for each in found}


def test_the_topic_goes_first_then_this_broker_all_brokers_the_file_and_the_default(image):
    config = described(ConfigView(settings=load(FILE, source="f").settings, image=image))["retention.ms"]
    assert (config.value, config.source, config.read_only) == ("5", Source.DYNAMIC_TOPIC_CONFIG, False)
    assert [(each.name, each.value, each.source) for each in config.synonyms] == [
        ("retention.ms", "5", Source.DYNAMIC_TOPIC_CONFIG),
        ("log.retention.ms", "7", Source.DYNAMIC_BROKER_CONFIG),
        ("log.retention.ms", "6", Source.DYNAMIC_DEFAULT_BROKER_CONFIG),
        ("log.retention.hours", "2", Source.STATIC_BROKER_CONFIG),
        ("log.retention.ms", "604800000", Source.DEFAULT_CONFIG),
    ]


def test_values_come_in_the_unit_of_the_topics_config(world):
    world.start_brokers(1)
    world.create("t", 1)
    configs = described(ConfigView(settings=load(FILE, source="f").settings, image=world.store.image))
    assert (configs["retention.ms"].value, configs["retention.ms"].source) == ("7200000", Source.STATIC_BROKER_CONFIG)
    assert configs["segment.ms"].value == "5000"
    assert (configs["segment.bytes"].value, configs["segment.bytes"].source) == ("1073741824", Source.DEFAULT_CONFIG)


def test_every_topic_config_has_a_value_that_the_topic_could_be_given(world):
    world.start_brokers(1)
    world.create("t", 1)
    configs = described(ConfigView(settings=Settings(), image=world.store.image))
    assert configs.keys() == TOPIC_CONFIGS.keys()
    assert [why for each in configs.values() if (why := why_invalid(each.name, each.value))] == []
    assert all(each.config_type is not ConfigType.UNKNOWN for each in configs.values())


def test_a_broker_shows_all_of_its_file_and_no_secret(image):
    configs = described(ConfigView(settings=load(FILE, source="f").settings, image=image), "")
    assert (configs["log.retention.ms"].value, configs["log.retention.ms"].source) == (
        "7",
        Source.DYNAMIC_BROKER_CONFIG,
    )
    assert (configs["log.retention.hours"].value, configs["log.retention.hours"].source) == (
        "2",
        Source.STATIC_BROKER_CONFIG,
    )
    assert (configs["message.max.bytes"].value, configs["message.max.bytes"].source) == (
        "9000",
        Source.DYNAMIC_DEFAULT_BROKER_CONFIG,
    )
    assert configs["delete.topic.enable"].value == "true"
    assert (configs["num.io.threads"].value, configs["num.io.threads"].read_only) == ("8", True)
    secret = configs["ssl.keystore.password"]
    assert (secret.value, secret.is_sensitive, secret.synonyms) == (None, True, ())
    assert {name for name, each in configs.items() if not each.read_only} == DYNAMIC
    sections = {(BY_NAME[name].section, BY_NAME[name].field) for name in configs if name in BY_NAME}
    assert sections == {(key.section, key.field) for key in BY_NAME.values()}


def test_the_default_of_all_brokers_is_what_was_set_and_nothing_else(image):
    found = list(ConfigView(settings=Settings(), image=image).of_all_brokers())
    assert {(each.name, each.value, each.source) for each in found} == {
        ("log.retention.ms", "6", Source.DYNAMIC_DEFAULT_BROKER_CONFIG),
        ("message.max.bytes", "9000", Source.DYNAMIC_DEFAULT_BROKER_CONFIG),
    }


def test_what_a_node_was_given_without_a_file_is_static_too(world):
    world.start_brokers(1)
    configs = described(ConfigView(settings=world.settings, image=world.store.image), "")
    assert configs["log.dirs"].source is Source.STATIC_BROKER_CONFIG
    assert configs["num.partitions"].source is Source.DEFAULT_CONFIG
