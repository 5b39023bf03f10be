"""Three nodes become a cluster, in whatever order they start, and a node that waits says for whom."""

from __future__ import annotations

import asyncio
import http.client
import itertools
from typing import TYPE_CHECKING

import pytest

from raftkafka.cli.layout import HOST
from raftkafka.client import Admin

if TYPE_CHECKING:
    from tests.cluster_fixtures import ClusterFactory
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


def readiness(cluster: Cluster, node_id: int) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, cluster.place(node_id).ports.http, timeout=10)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))), ids=lambda order: "-".join(map(str, order)))
async def test_every_start_order_forms_the_cluster(new_cluster: ClusterFactory, order: tuple[int, int, int]) -> None:
    cluster = new_cluster(3)
    first, second, late = order
    cluster.start(first)
    # Alone it has no majority: it is up, and says so, and whom it misses.
    line = await cluster.logged(first, "waiting for a majority")
    status, reason = await asyncio.to_thread(readiness, cluster, first)
    assert status == 503
    for missing in (second, late):
        address = f"{missing}@{HOST}:{cluster.place(missing).ports.raft}"
        assert address in line
        assert address in reason
    cluster.start(second)
    await cluster.ready(first, second)
    cluster.start(late)
    await cluster.ready()
    await cluster.create_topic("t", partitions=3)
    topic = await cluster.wait_isr_full("t")
    assert {len(each.replica_nodes) for each in topic.partitions} == {3}


async def test_three_at_once(new_cluster: ClusterFactory) -> None:
    cluster = new_cluster(3)
    cluster.start()
    await cluster.ready()
    async with Admin(cluster.bootstrap) as admin:
        described = await admin.describe_cluster()
        quorum = await admin.describe_quorum()
    assert {int(broker.node_id) for broker in described.brokers if not broker.fenced} == {1, 2, 3}
    assert {int(voter.node_id) for voter in quorum.voters if voter.connected} == {1, 2, 3}
    assert quorum.leader_id in {1, 2, 3}


async def test_a_clean_stop_of_all_and_a_new_start(cluster: Cluster) -> None:
    await cluster.create_topic("t", partitions=3)
    async with cluster.load("t", 3) as load:
        await load.more()
        await load.end()
    await cluster.stop()
    cluster.start()
    await cluster.ready()
    await cluster.wait_isr_full("t")
    await load.assert_nothing_lost(cluster)
    await cluster.stop()
    cluster.assert_replicas_equal("t", 3)
