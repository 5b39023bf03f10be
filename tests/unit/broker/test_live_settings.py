"""Configs take effect on partitions that are open, without a restart."""

from __future__ import annotations

import asyncio

from raftkafka.broker.replica_throttle import ReplicaThrottles
from raftkafka.metadata.commands import AlterBrokerConfigs, AlterTopicConfigs
from raftkafka.metadata.image import ALL_BROKERS
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId


def alter_topic(world, partition, **configs):
    named = {key.replace("_", "."): value for key, value in configs.items()}
    world.commit(AlterTopicConfigs(topic_id=partition.topic_partition.topic_id, configs=named))


def alter_brokers(world, node_id=ALL_BROKERS, **configs):
    named = {key.replace("_", "."): value for key, value in configs.items()}
    world.commit(AlterBrokerConfigs(node_id=node_id, configs=named))


async def test_configs_of_a_topic_take_effect_on_its_open_logs(world):
    world.start_brokers(1)
    world.run()
    partition, other = await world.leading("t"), await world.leading("other")
    alter_topic(world, partition, retention_ms="5", segment_bytes="2048", cleanup_policy="compact")
    config = partition.log.config
    assert (config.retention_ms, config.segment_bytes, config.cleanup_policy) == (5, 2048, "compact")
    assert partition.log.compactor._config is config
    assert other.log.config.retention_ms == world.settings.log.retention_ms
    alter_topic(world, partition, max_message_bytes="10")
    answer = world.send(partition)
    assert answer.partitions[0].error_code is ErrorCode.MESSAGE_TOO_LARGE
    alter_topic(world, partition, max_message_bytes=None, cleanup_policy=None)
    assert (await world.send(partition)).partitions[0].error_code is ErrorCode.NONE


async def test_segments_roll_at_a_size_that_was_set_while_the_log_was_open(world):
    world.start_brokers(1)
    world.run()
    partition = await world.leading("t")
    for _ in range(3):
        await world.send(partition, records=world.batch(b"x" * 500))
    assert partition.log.segment_count == 1
    alter_topic(world, partition, segment_bytes="1024")
    await world.send(partition, records=world.batch(b"x" * 500))
    await world.send(partition, records=world.batch(b"x" * 500))
    assert partition.log.segment_count > 1


async def test_fewer_replicas_that_acks_all_asks_for_let_it_go_on(world):
    world.start_brokers(1, 2)
    world.run()
    partition = await world.leading("t", 1, 2, min_insync_replicas="2")
    world.fence(2)
    assert world.send(partition).partitions[0].error_code is ErrorCode.NOT_ENOUGH_REPLICAS
    alter_topic(world, partition, min_insync_replicas="1")
    assert (await world.send(partition)).partitions[0].error_code is ErrorCode.NONE
    alter_topic(world, partition, min_insync_replicas="2")
    assert world.send(partition).partitions[0].error_code is ErrorCode.NOT_ENOUGH_REPLICAS


async def test_the_default_of_all_brokers_takes_effect_where_neither_topic_nor_broker_says_otherwise(world):
    world.start_brokers(1, 2)
    world.run()
    partition, own = await world.leading("t", 1, 2), await world.leading("own", 1, 2, retention_ms="3")
    alter_brokers(world, log_retention_ms="5", min_insync_replicas="2")
    assert (partition.log.config.retention_ms, own.log.config.retention_ms) == (5, 3)
    assert partition.min_insync_replicas == 2
    alter_brokers(world, NodeId(1), log_retention_ms="7")
    assert partition.log.config.retention_ms == 7
    alter_brokers(world, NodeId(2), log_retention_ms="9")
    assert partition.log.config.retention_ms == 7
    alter_brokers(world, NodeId(1), log_retention_ms=None)
    alter_brokers(world, min_insync_replicas=None)
    assert (partition.log.config.retention_ms, partition.min_insync_replicas) == (5, 1)
    later = await world.leading("later", 1)
    assert later.log.config.retention_ms == 5


async def test_what_changes_while_a_log_is_being_opened_counts(world):
    world.start_brokers(1)
    world.run()
    key = world.create("t", 1)
    topic = world.store.image.topics[key.topic_id]
    opened = world.logs.open

    async def slow(key, topic):
        partition = await opened(key, topic)
        alter_topic(world, partition, retention_ms="5")
        return partition

    world.logs.open = slow
    assert "retention.ms" not in topic.configs
    await world.until(lambda: world.replicas.get(key) is not None)
    assert world.replicas.get(key).log.config.retention_ms == 5


async def test_a_rate_that_is_set_or_taken_away_makes_and_removes_a_throttle(world):
    world.start_brokers(1, 2)
    throttles = ReplicaThrottles(live=world.live, store=world.store, now=asyncio.get_running_loop().time)
    world.live.on_change.append(throttles.renew)
    assert (throttles.leader, throttles.follower) == (None, None)
    alter_brokers(world, NodeId(1), leader_replication_throttled_rate="1000")
    held = throttles.leader
    assert held is not None
    alter_brokers(world, NodeId(1), log_retention_ms="5")
    assert throttles.leader is held
    alter_brokers(world, NodeId(1), leader_replication_throttled_rate=None)
    assert throttles.leader is None
