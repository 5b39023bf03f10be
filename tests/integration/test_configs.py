"""Configs that change while the cluster runs: of topics, of one broker, of all."""

from __future__ import annotations

import pytest

from raftkafka.client import (
    Admin,
    AlterableConfig,
    AlterOperation,
    ApiError,
    ConfigResource,
    Producer,
    ResourceType,
    TopicPartition,
)
from raftkafka.model.api.configs import ConfigSource
from raftkafka.model.errors import ErrorCode
from tests.clusters import eventually

pytestmark = pytest.mark.integration

ALL = ConfigResource(ResourceType.BROKER, "")


def topic(name: str) -> ConfigResource:
    return ConfigResource(ResourceType.TOPIC, name)


def sets(**configs: str) -> list[AlterableConfig]:
    return [AlterableConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()]


async def value(admin: Admin, resource: ConfigResource, name: str) -> tuple[str | None, int]:
    found = await admin.describe_configs([resource])
    return next((each.value, each.source) for each in found[resource] if each.name == name)


async def test_C9_retention_that_is_set_takes_old_segments_away_without_a_restart(new_cluster):
    cluster = new_cluster(1, {"log.retention.check.interval.ms": "200"})
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("t", **{"segment.bytes": "4096"})
    async with Admin(cluster.bootstrap) as admin, Producer(cluster.bootstrap, linger_ms=0) as producer:
        for _ in range(8):
            await producer.send("t", b"x" * 2_000)
        before = (await admin.list_offsets({TopicPartition("t", 0): -2}))[TopicPartition("t", 0)].offset
        assert before == 0
        await admin.alter_configs({topic("t"): sets(retention_ms="1")})

        async def is_gone() -> bool:
            return (await admin.list_offsets({TopicPartition("t", 0): -2}))[TopicPartition("t", 0)].offset > 0

        await eventually(is_gone, "old segments go")


async def test_configs_survive_every_node_and_hold_for_who_leads_next(cluster):
    await cluster.create_topic("t", replicas=3)
    async with Admin(cluster.bootstrap) as admin, Producer(cluster.bootstrap) as producer:
        await admin.alter_configs({topic("t"): sets(max_message_bytes="600"), ALL: sets(log_retention_ms="7777777")})
        with pytest.raises(ApiError, match="MESSAGE_TOO_LARGE"):
            await producer.send("t", b"x" * 2_000)
        await cluster.stop()
        cluster.start()
        await cluster.ready()
        await cluster.has_leaders("t")
        with pytest.raises(ApiError, match="MESSAGE_TOO_LARGE"):
            await producer.send("t", b"x" * 2_000)
        for node_id in cluster.node_ids:
            broker = ConfigResource(ResourceType.BROKER, str(node_id))
            assert await value(admin, broker, "log.retention.ms") == (
                "7777777",
                ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG,
            )
        assert await value(admin, topic("t"), "retention.ms") == ("7777777", ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG)
        await admin.alter_configs(
            {topic("t"): [AlterableConfig(name="max.message.bytes", operation=AlterOperation.DELETE)]}
        )
        await producer.send("t", b"x" * 2_000)


async def test_one_broker_and_the_default_of_all_and_what_cannot_change(cluster):
    one, two = (ConfigResource(ResourceType.BROKER, each) for each in "12")
    async with Admin(cluster.bootstrap) as admin:
        await admin.alter_configs({one: sets(log_retention_ms="5555555")})
        assert await value(admin, one, "log.retention.ms") == ("5555555", ConfigSource.DYNAMIC_BROKER_CONFIG)
        assert (await value(admin, two, "log.retention.ms"))[1] == ConfigSource.DEFAULT_CONFIG
        assert (await value(admin, one, "broker.id")) == ("1", ConfigSource.STATIC_BROKER_CONFIG)
        with pytest.raises(ApiError, match="Cannot update these configs dynamically: listeners") as failed:
            await admin.alter_configs({one: sets(listeners="PLAINTEXT://:1")})
        assert failed.value.code is ErrorCode.INVALID_REQUEST
        with pytest.raises(ApiError, match="holds for the whole cluster"):
            await admin.alter_configs({one: sets(min_insync_replicas="1")})
