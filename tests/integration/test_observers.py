"""A broker that is no voter: it follows the metadata, holds replicas, leads, and comes back from kill -9."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from raftkafka.client import Admin, Producer

if TYPE_CHECKING:
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration

KEY = "controller.quorum.voters"


def only_three_vote(cluster: Cluster) -> None:
    for node_id in cluster.node_ids:
        lines = cluster.place(node_id).properties.read_text().splitlines()
        voters = next(line.partition("=")[2] for line in lines if line.startswith(KEY + "="))
        first = voters.split(",")[:3]
        cluster.configure(node_id, {KEY: ",".join(first)})
    cluster.configure(4, {"process.roles": "broker"})


async def test_an_observer_serves_as_a_broker(new_cluster: Callable[..., Cluster]) -> None:
    cluster = new_cluster(4, {"min.insync.replicas": "1"})
    only_three_vote(cluster)
    cluster.start()
    await cluster.ready()
    async with Admin(cluster.place(4).address) as admin:
        quorum = await admin.describe_quorum()
        assert [each.node_id for each in quorum.voters] == [1, 2, 3]
        assert [(each.node_id, each.connected) for each in quorum.observers] == [(4, True)]
        assert {each.node_id for each in (await admin.describe_cluster()).brokers} == {1, 2, 3, 4}
    await cluster.create_topic("t", partitions=8, replicas=2)
    topic = await cluster.wait_isr_full("t")
    mine = [each.partition for each in topic.partitions if each.leader_id == 4]
    assert mine, "the placement spreads leaders over all brokers"
    async with Producer(cluster.bootstrap, acks="all") as producer:
        for partition in mine:
            await producer.send_and_wait("t", b"before", partition=partition)
        cluster.kill(4)
        # The closed connection is news here too: others lead long before the session runs out.
        for partition in mine:
            await producer.send_and_wait("t", b"meanwhile", partition=partition)
    cluster.start(4)
    await cluster.ready(4)
    await cluster.wait_isr_full("t")
    read = await cluster.read_all("t", 8)
    assert all([value for _, value in read[partition]] == [b"before", b"meanwhile"] for partition in mine)
