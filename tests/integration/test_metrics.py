"""What a scraper and a load balancer get from a running node."""

from __future__ import annotations

import asyncio
import http.client
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from raftkafka.cli.layout import HOST
from raftkafka.client import Admin, ApiError, Consumer, TopicPartition
from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from tests.removing import remove_in_use

if TYPE_CHECKING:
    from tests.cluster_fixtures import ClusterFactory
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """No test here harms it."""
    return shared_cluster


@pytest.fixture
def single(shared_single: Cluster) -> Cluster:
    """No test here harms it."""
    return shared_single


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


async def test_lag_of_a_group(cluster: Cluster) -> None:
    await cluster.create_topic("t")
    async with cluster.load("t") as load:
        await load.more(100)
        await load.end()
    async with Consumer(
        cluster.bootstrap, group_id="readers", auto_offset_reset="earliest", enable_auto_commit=False
    ) as consumer:
        consumer.subscribe(["t"])
        while not (await consumer.poll_values(1_000)):
            pass
        await consumer.commit({TopicPartition("t", 0): 40})
    labels = frozenset({("group", "readers"), ("topic", "t"), ("partition", "0")})

    async def lag() -> float:
        """Of the one node that coordinates the group."""
        for node_id in cluster.node_ids:
            found = await scrape(cluster, node_id)
            if ("raftkafka_group_committed_offset", labels) in found:
                assert found["raftkafka_group_committed_offset", labels] == 40
                return found["raftkafka_group_lag_records", labels]
        return -1

    async def as_expected() -> bool:
        return await lag() == load.count - 40

    await cluster.eventually(as_expected, "the coordinator knows the lag")


async def test_what_a_broken_cluster_says(new_cluster: ClusterFactory) -> None:
    cluster = new_cluster(3)
    for node_id in cluster.node_ids:
        directory = cluster.place(node_id).directory
        cluster.configure(node_id, {"log.dirs": f"{directory},{directory}-b"})
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("t", partitions=2, min_insync_replicas="3")
    remove_in_use(f"{cluster.place(3).directory}-b")

    async def is_offline() -> bool:
        return (await scrape(cluster, 3))["raftkafka_offline_log_directories", frozenset()] == 1

    await cluster.eventually(is_offline, "the node has noticed that a log directory is gone")
    cluster.kill(2)
    remaining = [1, 3]

    async def all_is_told() -> bool:
        found = [await scrape(cluster, node_id) for node_id in remaining]
        told = {name: sum(each.get((name, frozenset()), 0) for each in found) for name in expected}
        return told == expected

    expected = {
        "raftkafka_under_min_isr_partitions": 2,
        "raftkafka_under_replicated_partitions": 2,
        "raftkafka_cluster_partitions_without_leader": 0,
        "raftkafka_cluster_partitions": 2,
        "raftkafka_raft_has_quorum": 2,
    }
    await cluster.eventually(all_is_told, f"metrics say {expected}")
    found = await scrape(cluster, 1)
    assert found["raftkafka_raft_peer_connected", frozenset({("peer", "2")})] == 0
    cluster.kill(3)

    async def no_quorum() -> bool:
        return (await scrape(cluster, 1))["raftkafka_raft_has_quorum", frozenset()] == 0

    await cluster.eventually(no_quorum, "the last node has no quorum")


async def test_strangers_make_no_series_and_what_is_deleted_has_none(single: Cluster) -> None:
    await single.create_topic("kept", replicas=1)
    await single.create_topic("deleted", replicas=1)
    for name in ("kept", "deleted"):
        async with Consumer(single.bootstrap, group_id=f"of-{name}", enable_auto_commit=False) as consumer:
            consumer.assign([TopicPartition(name, 0)])
            await consumer.commit({TopicPartition(name, 0): 0})

    async def named(name: str) -> set[str]:
        """The metrics that have it as a label."""
        return {metric for metric, labels in await scrape(single, 1) if name in dict(labels).values()}

    assert "raftkafka_partition_is_leader" in await named("deleted")
    assert "raftkafka_group_committed_offset" in await named("deleted")
    for number in range(20):
        async with Admin(single.bootstrap, client_id=f"outsider-{number}") as admin:
            with pytest.raises(ApiError):
                await admin.describe_topics([f"outsider-{number}"])
            with pytest.raises(ApiError):
                await admin.create_topic("kept")
    async with Admin(single.bootstrap) as admin:
        await admin.delete_topics(["deleted"])

    async def is_gone() -> bool:
        return not await named("deleted")

    await single.eventually(is_gone, "the series of the deleted topic are gone")
    assert await named("kept")
    domains = {
        "api": set(ApiKey.__members__),
        "error": set(ErrorCode.__members__),
        "topic": {"kept", "__consumer_offsets"},
        "group": {"of-kept", "of-deleted"},
    }
    for _, labels in await scrape(single, 1):
        for label, value in labels:
            assert "outsider" not in value
            assert value in domains.get(label, {value})


async def test_promtool_has_nothing_to_say(single: Cluster) -> None:
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool is missing (Debian: apt install --no-install-recommends prometheus)")
    await single.create_topic("t", replicas=1)
    _, text = await asyncio.to_thread(get, single, 1, "/metrics")
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


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
