"""DescribeConfigs and IncrementalAlterConfigs as a broker answers them."""

from __future__ import annotations

import pytest

from raftkafka.broker.handlers.configs import ConfigsHandler
from raftkafka.model.api.configs import (
    AlterableConfig,
    AlterConfigsResource,
    DescribeConfigs,
    DescribeConfigsResource,
    IncrementalAlterConfigs,
    ResourceType,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ErrorCode

CLIENT = RequestContext(listener="PLAINTEXT", client_address="test")
TOPIC, BROKER = int(ResourceType.TOPIC), int(ResourceType.BROKER)


@pytest.fixture
async def handler(world) -> ConfigsHandler:
    world.start_brokers(1)
    return ConfigsHandler(settings=world.settings, store=world.store, channel=world.channel)


def describe(handler, kind, name, *keys, synonyms=False):
    resource = DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=keys or None)
    (found,) = handler.describe(CLIENT, DescribeConfigs(resources=(resource,), include_synonyms=synonyms)).resources
    return found


def request(kind, name, key, value, **fields):
    resource = AlterConfigsResource(
        resource_type=kind, resource_name=name, configs=(AlterableConfig(name=key, value=value),)
    )
    return IncrementalAlterConfigs(resources=(resource,), **fields)


async def alter(handler, *what, **fields):
    (altered,) = (await handler.alter(CLIENT, request(*what, **fields))).resources
    return altered.error_code


async def test_what_was_altered_is_described(world, handler):
    world.create("t", 1)
    world.consensus.elect(1)
    await world.until(lambda: world.controller.active)
    assert await alter(handler, TOPIC, "t", "retention.ms", "5", validate_only=True) is ErrorCode.NONE
    assert describe(handler, TOPIC, "t", "retention.ms").configs[0].value == str(world.settings.log.retention_ms)
    assert await alter(handler, TOPIC, "t", "retention.ms", "5") is ErrorCode.NONE
    assert await alter(handler, BROKER, "1", "log.retention.ms", "6") is ErrorCode.NONE
    assert await alter(handler, TOPIC, "t", "retention.ms", "soon") is ErrorCode.INVALID_CONFIG
    (config,) = describe(handler, TOPIC, "t", "retention.ms", synonyms=True).configs
    assert (config.value, [each.value for each in config.synonyms[:2]]) == ("5", ["5", "6"])
    assert describe(handler, TOPIC, "t", "retention.ms").configs[0].synonyms == ()


async def test_nobody_to_decide_is_said_of_every_resource(world, handler):
    world.create("t", 1)
    assert await alter(handler, TOPIC, "t", "retention.ms", "5") is ErrorCode.NOT_CONTROLLER


@pytest.mark.parametrize(
    ("kind", "name", "code", "said"),
    [
        (TOPIC, "gone", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "does not exist"),
        (BROKER, "2", ErrorCode.INVALID_REQUEST, "expected 1 or empty string, but received 2"),
        (BROKER, "one", ErrorCode.INVALID_REQUEST, "must be a broker id or empty"),
        (8, "1", ErrorCode.INVALID_REQUEST, "type 8"),
    ],
)
async def test_what_this_broker_cannot_describe_is_refused_with_the_reason(handler, kind, name, code, said):
    found = describe(handler, kind, name)
    assert found.error_code is code
    assert said in found.error_message


async def test_a_broker_describes_itself_and_the_default_of_all(handler):
    names = {each.name for each in describe(handler, BROKER, "1").configs}
    assert {"log.retention.ms", "num.partitions", "listeners"} <= names
    assert describe(handler, BROKER, "").configs == ()
