"""The image moves with the Raft log, and who waits for it is told."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.metadata.commands import DeleteTopic, InitializeCluster, SetFeatureLevel, UnknownCommandError, encode
from raftkafka.model.errors import ErrorCode
from raftkafka.model.features import FeatureRange
from raftkafka.model.ids import RaftIndex, TopicId


async def test_a_change_is_told_once_and_a_refusal_not_at_all(world):
    told = []
    world.store.subscribe(lambda image, changes: told.append((image, changes)))
    world.start_brokers(1)
    told.clear()
    key = world.create("orders", 1)
    ((image, changes),) = told
    assert image is world.store.image
    assert changes.partitions == {key}
    refused = world.store.apply(RaftIndex(99), encode([DeleteTopic(topic_id=TopicId(b"x" * 16))]))
    assert (refused, len(told), world.store.applied_index) == (ErrorCode.UNKNOWN_TOPIC_ID, 1, 99)


async def test_a_snapshot_restored_elsewhere_is_the_same_image_and_tells_what_differs(world):
    world.start_brokers(1)
    key = world.create("orders", 1)
    other = MetadataStore()
    told = []
    other.subscribe(lambda image, changes: told.append(changes))
    other.restore(RaftIndex(42), b"".join(world.store.snapshot()))
    assert (other.image, other.applied_index) == (world.store.image, 42)
    assert told[0].partitions == {key}


async def test_who_waits_is_woken_by_the_change_and_leaves_no_trace(world):
    store = world.store
    assert await store.wait_for(lambda image: True, timeout_s=1)
    waiting = asyncio.ensure_future(store.wait_for(lambda image: bool(image.brokers), timeout_s=10))
    gone = asyncio.ensure_future(store.wait_for(lambda image: False, timeout_s=10))
    await asyncio.sleep(1)
    world.start_brokers(1)
    assert await waiting
    gone.cancel()
    await asyncio.wait([gone])
    assert not await store.wait_for(lambda image: False, timeout_s=1)
    assert store._waiters == []


async def test_a_level_above_those_that_this_node_knows_stops_it_with_one_line(world):
    old = MetadataStore(features=FeatureRange(lowest=1, highest=1))
    old.apply(RaftIndex(2), encode([InitializeCluster(cluster_id="c", feature_level=1)]))
    with pytest.raises(UnknownCommandError, match="has feature level 2, this node knows 1 to 1: upgrade this node"):
        old.apply(RaftIndex(3), encode([SetFeatureLevel(level=2, replaces=1)]))
    newer = MetadataStore(features=FeatureRange(lowest=1, highest=2))
    newer.apply(RaftIndex(2), encode([InitializeCluster(cluster_id="c", feature_level=2)]))
    with pytest.raises(UnknownCommandError, match="feature level 2"):
        old.restore(RaftIndex(9), b"".join(newer.snapshot()))
    assert old.image.feature_level == 1
