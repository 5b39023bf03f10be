from __future__ import annotations

import asyncio
import contextlib
from random import Random

import pytest

from raftkafka.client.backoff import Backoff
from raftkafka.client.channels import Address, parse_bootstrap
from raftkafka.client.routing import Router
from raftkafka.client.types import NotReachableError
from raftkafka.model.api.cluster import (
    BrokerEndpoint,
    DescribeCluster,
    Metadata,
    MetadataResponse,
    PartitionMetadata,
    TopicMetadata,
)
from raftkafka.model.api.producers import InitProducerId
from raftkafka.model.errors import ApiError, ConfigurationError, ErrorCode


def router_of(cluster, bootstrap: str = "b1:9092,b2:9092,b3:9092") -> Router:
    return Router(bootstrap=parse_bootstrap(bootstrap), connect=cluster.connect, random=Random(3))


async def started(cluster, **settings) -> Router:
    router = router_of(cluster, **settings)
    await router.start()
    return router


def metadata_requests(cluster) -> int:
    return sum(isinstance(request, Metadata) for _, request in cluster.requests)


def test_bootstrap_servers_are_parsed():
    assert parse_bootstrap("a:1, b:2") == (Address("a", 1), Address("b", 2))
    assert parse_bootstrap(["a", "[::1]:9", "[::1]"]) == (Address("a", 9092), Address("::1", 9), Address("::1", 9092))
    for wrong in ("", "a:b", ":1", "a:0", "a:65536"):
        with pytest.raises(ConfigurationError):
            parse_bootstrap(wrong)


def test_backoff_doubles_up_to_its_bound():
    backoff = Backoff(first_s=1, max_s=8)
    delays = [backoff.delay_s(failures, Random(1)) for failures in (1, 2, 3, 4, 5, 10_000)]
    for delay, centre in zip(delays, (1, 2, 4, 8, 8, 8), strict=True):
        assert 0.8 * centre <= delay <= 1.2 * centre


async def test_many_who_ask_share_one_refresh(cluster):
    cluster.add_topic("t", 1)
    router = await started(cluster)
    router.track(["t"])
    await asyncio.gather(*(router.updated() for _ in range(50)))
    assert metadata_requests(cluster) <= 2
    await router.stop()


async def test_many_who_connect_share_one_connection(cluster):
    router = await started(cluster)
    await router.updated()
    channels = await asyncio.gather(*(router.channel(2, lane="produce") for _ in range(20)))
    assert len(set(map(id, channels))) == 1
    assert router.live_channel(2, lane="produce") is channels[0]
    assert await router.channel(2, lane="fetch") is not channels[0]
    await router.stop()
    assert all(channel.closed for channel in cluster.channels)


async def test_dead_and_deaf_nodes_do_not_stand_in_the_way(cluster):
    cluster.dead = {1}
    cluster.deaf = {2}
    router = await started(cluster)
    async with asyncio.timeout(1.5):  # a deaf node alone would take two seconds
        for _ in range(3):
            await router.updated()
    assert set(router.view.brokers) == {1, 2, 3}
    await router.stop()


async def test_a_refresh_goes_on_until_somebody_answers(cluster):
    cluster.dead = {1, 2, 3}
    router = await started(cluster)
    assert not await router.wait_until(lambda: bool(router.view.brokers), timeout_s=0.1)
    assert "b2:9092" in str(router.last_failure)
    cluster.dead = {1, 2}
    assert await router.wait_until(lambda: bool(router.view.brokers), timeout_s=2)
    assert router.last_failure is None
    await router.stop()


async def test_a_closed_connection_asks_for_a_refresh(cluster):
    router = await started(cluster)
    await router.updated()
    channel = await router.channel(1, lane="produce")
    refreshed = asyncio.Event()
    router.on_update.append(refreshed.set)
    channel.abort()
    await asyncio.wait_for(refreshed.wait(), 1)
    assert router.live_channel(1, lane="produce") is None
    await router.stop()


async def test_refreshes_in_a_row_keep_their_distance(cluster):
    router = await started(cluster)
    loop = asyncio.get_running_loop()
    end = loop.time() + 0.3
    while loop.time() < end:
        await router.updated()
    assert 2 <= metadata_requests(cluster) <= 8
    await router.stop()


async def test_a_node_that_is_cut_off_is_not_asked_for_ever(cluster):
    """It still answers, with the leader it knew; the others know better, and are not connected yet."""
    (partition,) = cluster.add_topic("t", 1)

    def stale(node_id, request):
        if node_id != 1 or not isinstance(request, Metadata):
            return NotImplemented
        known = PartitionMetadata(partition=0, leader_id=1, leader_epoch=1)
        return MetadataResponse(
            brokers=tuple(BrokerEndpoint(node_id=each, host=f"b{each}", port=9092) for each in (1, 2, 3)),
            cluster_id="fake",
            controller_id=1,
            topics=(TopicMetadata(name="t", topic_id=cluster.topic_id("t"), partitions=(known,)),),
        )

    cluster.script = stale
    partition.leader, partition.epoch = 2, 2
    cluster.dead = {2, 3}
    router = await started(cluster)
    router.track(["t"])
    await router.updated()
    cluster.dead = set()
    leadership = router.view.leadership("t", 0)
    assert leadership.leader == 1
    assert await router.wait_until(lambda: leadership.leader == 2, timeout_s=5)
    await router.stop()


async def test_a_node_that_cannot_help_is_not_asked_alone(cluster):
    """One that has lost the controller refuses at once, however often it is asked."""
    cluster.script = lambda node_id, request: (
        ApiError(ErrorCode.NOT_CONTROLLER) if node_id == 1 and isinstance(request, InitProducerId) else NotImplemented
    )
    cluster.dead = {2, 3}
    router = await started(cluster)
    await router.updated()
    with pytest.raises(ApiError, match="NOT_CONTROLLER"):
        await router.ask_any(InitProducerId(), timeout_s=2)
    cluster.dead = set()
    answers = []
    for _ in range(20):
        with contextlib.suppress(ApiError):
            answers.append(await router.ask_any(InitProducerId(), timeout_s=2))
    # Once somebody has helped, it is asked again.
    assert len(answers) > 10
    await router.stop()


async def test_nobody_to_ask_is_said_with_reasons(cluster):
    cluster.dead = {1, 2, 3}
    router = router_of(cluster)
    with pytest.raises(NotReachableError, match="b3:9092: cannot connect"):
        await router.ask_any(DescribeCluster(), timeout_s=2)
    await router.stop()
