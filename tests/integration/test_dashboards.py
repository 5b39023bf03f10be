"""Every query of every dashboard gives something, asked of the real Prometheus about three nodes under load."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError

from raftkafka.cli.layout import HOST
from raftkafka.client import Admin, Consumer, Producer, TopicPartition
from raftkafka.model.api.quotas import QuotaAlteration, QuotaEntityPart, QuotaOperation
from raftkafka.model.errors import RaftKafkaError
from tests.clusters import PATIENCE_S
from tests.dashboards import PanelQuery, panel_queries
from tests.prometheus_server import Prometheus, shortened, why_no_prometheus

if TYPE_CHECKING:
    from tests.cluster_fixtures import ClusterFactory
    from tests.clusters import Cluster

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

PARTITIONS = 3
BACKLOG = 3_000
STEP = 50
"""A group that has so far to go, and goes so far at a time, is seen catching up."""


@pytest.fixture
async def served(new_cluster: ClusterFactory) -> tuple[Cluster, int]:
    """Three nodes that are ready, and the ZooKeeper port of the first."""
    cluster = new_cluster(3, {"quota.window.num": "3", "offsets.topic.num.partitions": "3"})
    port, nobody = cluster.more_ports().client, cluster.more_ports().http
    # Spans for a collector that is not there are counted all the same.
    cluster.configure(
        1,
        {
            "otel.traces.exporter": "otlp",
            "otel.exporter.otlp.endpoint": f"http://{HOST}:{nobody}",
            "otel.traces.sampler.arg": "0.01",
        },
    )
    cluster.configure(1, {"zookeeper.listener": f"{HOST}:{port}"})
    cluster.start()
    await cluster.ready()
    return cluster, port


@pytest.fixture
def prometheus(served: tuple[Cluster, int], tmp_path: Path) -> Iterator[Prometheus]:
    if (reason := why_no_prometheus()) is not None:
        pytest.skip(reason)
    cluster, _ = served
    server = Prometheus(tmp_path / "prometheus", targets(cluster), cluster.more_ports().http)
    yield server
    server.close()


def targets(cluster: Cluster) -> list[str]:
    return [f"{HOST}:{place.ports.http}" for place in cluster.places]


async def test_every_panel_shows_something(served: tuple[Cluster, int], prometheus: Prometheus) -> None:
    cluster, zookeeper_port = served
    await cluster.create_topic("orders", partitions=PARTITIONS)
    await prometheus.start()
    missing = list(panel_queries())

    async def gives_something(query: PanelQuery) -> bool:
        """On the dashboard of one of the nodes, where there is one for each: what only the controller knows it alone shows."""
        for node in targets(cluster):
            chosen = {"cluster": "main", "node": node, "topic": "orders", "group": "billing", "__rate_interval": "5m"}
            if await prometheus.query(shortened(query.filled(chosen))):
                return True
        return False

    async def nothing_is_missing() -> bool:
        missing[:] = [query for query in missing if not await gives_something(query)]
        return not missing

    async with load(cluster, zookeeper_port):
        try:
            await cluster.eventually(nothing_is_missing, "every panel shows something")
        except AssertionError:
            pytest.fail("no data: " + "; ".join(map(str, missing)))
    assert not await prometheus.unhealthy_rules()


@contextlib.asynccontextmanager
async def load(cluster: Cluster, zookeeper_port: int) -> AsyncIterator[None]:
    """What makes every metric move, until the block ends."""
    async with cluster.load("orders", PARTITIONS) as backlog:
        await backlog.more(BACKLOG // PARTITIONS)
        await backlog.end()
    tasks = [
        asyncio.create_task(each)
        for each in (produce(cluster), catch_up(cluster), go_beyond_quota(cluster), err(cluster))
    ]
    zookeeper = asyncio.create_task(use_zookeeper(zookeeper_port))
    try:
        yield
        for task in [*tasks, zookeeper]:
            assert not task.done(), task.exception()
    finally:
        for task in [*tasks, zookeeper]:
            task.cancel()
        await asyncio.gather(*tasks, zookeeper, return_exceptions=True)


async def produce(cluster: Cluster) -> None:
    async with Producer(cluster.bootstrap, acks="all") as producer:
        while True:
            for partition in range(PARTITIONS):
                await producer.send("orders", b"x" * 100, partition=partition)
            await asyncio.sleep(0.1)


async def catch_up(cluster: Cluster) -> None:
    async with Consumer(cluster.bootstrap, group_id="billing", enable_auto_commit=False) as consumer:
        consumer.subscribe(["orders"])
        offset = 0
        while True:
            await consumer.poll_values(100)
            if consumer.assignment():
                offset = min(offset + STEP, BACKLOG // PARTITIONS)
                await consumer.commit({TopicPartition("orders", each): offset for each in range(PARTITIONS)})
            await asyncio.sleep(0.3)


async def go_beyond_quota(cluster: Cluster) -> None:
    quota = QuotaAlteration(
        entity=(QuotaEntityPart(entity_type="client-id", entity_name="greedy"),),
        operations=(QuotaOperation(key="producer_byte_rate", value=2_000.0, remove=False),),
    )
    async with Admin(cluster.bootstrap) as admin:
        await admin.alter_client_quotas([quota])
    async with Producer(cluster.bootstrap, client_id="greedy", linger_ms=0) as producer:
        while True:
            await producer.send("orders", b"x" * 3_000, partition=0)


async def err(cluster: Cluster) -> None:
    """What is refused, and bytes that are no request."""
    place = cluster.place(1)
    async with Admin(cluster.bootstrap) as admin:
        while True:
            with contextlib.suppress(RaftKafkaError):
                await admin.create_topic("orders")
            reader, writer = await asyncio.open_connection(HOST, place.ports.client)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.read()
            writer.close()
            await asyncio.sleep(0.5)


async def use_zookeeper(port: int) -> None:
    client = KazooClient(hosts=f"{HOST}:{port}", timeout=20.0)
    await asyncio.to_thread(client.start, PATIENCE_S)
    try:
        await asyncio.to_thread(client.create, "/seen", b"", ephemeral=True)
        while True:
            await asyncio.to_thread(client.get, "/seen", lambda _: None)
            with contextlib.suppress(NoNodeError):
                await asyncio.to_thread(client.get, "/missing")
            await asyncio.sleep(0.3)
    finally:
        client.stop()
        client.close()
