"""What a scraper and a load balancer get from a running node."""

from __future__ import annotations

import asyncio
import http.client
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from raftkafka.cli.layout import HOST

if TYPE_CHECKING:
    from tests.cluster_fixtures import ClusterFactory
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


def get(cluster: Cluster, node_id: int, path: str, *, method: str = "GET", host: str = "localhost") -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, cluster.place(node_id).ports.http, timeout=20)
    try:
        connection.request(method, path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scrape(cluster: Cluster, node_id: int) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    status, text = await asyncio.to_thread(get, cluster, node_id, "/metrics")
    assert status == 200
    return samples(text)


async def test_metrics_of_a_cluster(cluster: Cluster) -> None:
    await cluster.create_topic("t", partitions=3)
    async with cluster.load("t", 3) as load:
        await load.more(100)
        await load.end()
    await cluster.wait_isr_full("t")
    leaders = {int(each.partition): int(each.leader_id) for each in (await cluster.topic("t")).partitions}
    controller = await cluster.controller()
    for node_id in cluster.node_ids:
        found = await scrape(cluster, node_id)
        assert found["raftkafka_raft_is_leader", frozenset()] == (node_id == controller)
        assert any(name == "raftkafka_raft_commit_index" and value > 0 for (name, _), value in found.items())
        for partition, leader in leaders.items():
            labels = frozenset({("topic", "t"), ("partition", str(partition))})
            if leader == node_id:
                assert found["raftkafka_partition_high_watermark", labels] == len(load.acked[partition])
                assert found["raftkafka_partition_isr_size", labels] == 3
        assert all(value >= 0 for (name, _), value in found.items() if name.endswith(("_total", "_count", "_bucket")))


async def test_health(single: Cluster) -> None:
    assert await asyncio.to_thread(get, single, 1, "/health/live") == (200, "alive\n")
    assert await asyncio.to_thread(get, single, 1, "/health/ready") == (200, "ready\n")


async def test_what_http_refuses(single: Cluster) -> None:
    assert (await asyncio.to_thread(get, single, 1, "/nothing"))[0] == 404
    assert (await asyncio.to_thread(get, single, 1, "/metrics", method="POST"))[0] == 405
    # A web page that points a name of its own at 127.0.0.1 must not read a node.
    assert (await asyncio.to_thread(get, single, 1, "/metrics", host="evil.example"))[0] == 421
    assert (await asyncio.to_thread(get, single, 1, "/" + "x" * 20_000))[0] == 431


async def test_a_node_without_a_majority_lives_but_is_not_ready(new_cluster: ClusterFactory) -> None:
    cluster = new_cluster(3)
    cluster.start(2)
    await cluster.logged(2, "waiting for a majority")
    assert (await asyncio.to_thread(get, cluster, 2, "/health/live"))[0] == 200
    status, reason = await asyncio.to_thread(get, cluster, 2, "/health/ready")
    assert status == 503
    assert "1@" in reason
    assert "3@" in reason
    assert (await scrape(cluster, 2))["raftkafka_raft_is_leader", frozenset()] == 0
