"""A cluster in the test's own process does what it says: it is up in a moment, breaks as told, and leaves nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import threading
from pathlib import Path

import pytest

from raftkafka.client import Admin, ApiError, Consumer, Producer, TopicPartition
from raftkafka.model.errors import ConfigurationError
from raftkafka.storage.directory import CLEAN_SHUTDOWN_FILE
from raftkafka.testing import BlockingCluster, Cluster, ClusterError

PATIENCE_S = 60


async def write(cluster: Cluster, *values: bytes, topic: str = "t") -> None:
    async with Producer(cluster.bootstrap) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def read(cluster: Cluster, topic: str = "t") -> list[bytes | None]:
    partition = TopicPartition(topic, 0)
    async with Consumer(cluster.bootstrap, auto_offset_reset="earliest") as consumer:
        end = (await consumer.end_offsets([partition]))[partition]
        consumer.assign([partition])
        found: list[bytes | None] = []
        async with asyncio.timeout(PATIENCE_S):
            while await consumer.position(partition) < end:
                for records in (await consumer.poll(1_000)).values():
                    found += [record.value for record in records]
    return found


async def isr(cluster: Cluster, topic: str = "t") -> set[int]:
    async with Admin(cluster.bootstrap) as admin:
        return set((await admin.describe_topics([topic]))[0].partitions[0].isr_nodes)


async def eventually(condition) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("nodes", [1, 3])
async def test_it_is_ready_when_it_is_handed_out(nodes: int) -> None:
    async with Cluster(nodes=nodes, topics={"t": 4, "u": 1}) as cluster:
        assert cluster.node_ids == tuple(range(1, nodes + 1))
        async with Admin(cluster.bootstrap) as admin:
            topics = await admin.describe_topics(["t", "u"])
            assert [len(topic.partitions) for topic in topics] == [4, 1]
            assert {len(each.replica_nodes) for topic in topics for each in topic.partitions} == {nodes}
        assert await cluster.leader("u") in cluster.node_ids
        await write(cluster, b"x", topic="u")
        assert await read(cluster, "u") == [b"x"]


async def test_names_of_topics_are_enough_and_properties_count() -> None:
    async with Cluster(topics=["t"], properties={"num.partitions": "5"}) as cluster, Admin(cluster.bootstrap) as admin:
        assert len((await admin.describe_topics(["t"]))[0].partitions) == 5


async def test_a_killed_node_comes_back_with_what_it_had_at_the_same_address(tmp_path: Path) -> None:
    async with Cluster(topics=["t"], directory=tmp_path / "c") as cluster:
        bootstrap = cluster.bootstrap
        await write(cluster, b"one", b"two")
        await cluster.kill(1)
        assert not (tmp_path / "c" / "node-1" / CLEAN_SHUTDOWN_FILE).exists()
        host, port = bootstrap.split(":")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))
        await cluster.restart(1)
        assert cluster.bootstrap == bootstrap
        await write(cluster, b"three")
        assert await read(cluster) == [b"one", b"two", b"three"]


async def test_a_stopped_node_says_that_it_was_stopped(tmp_path: Path) -> None:
    mark = tmp_path / "c" / "node-1" / CLEAN_SHUTDOWN_FILE
    async with Cluster(topics=["t"], directory=tmp_path / "c") as cluster:
        await write(cluster, b"one")
        await cluster.stop(1)
        assert mark.exists()
        await cluster.restart(1)
        assert not mark.exists()
        await cluster.restart(1)  # while it is up: stopped in order first
        assert await read(cluster) == [b"one"]


async def test_a_leader_that_is_killed_is_replaced() -> None:
    async with Cluster(nodes=3, topics=["t"]) as cluster:
        async with Producer(cluster.bootstrap) as producer:
            await producer.send_and_wait("t", b"before")
            dead = await cluster.leader("t")
            await cluster.kill(dead)
            await producer.send_and_wait("t", b"after")
        assert await cluster.leader("t") != dead
        await cluster.restart(dead)

        async def complete() -> bool:
            return await isr(cluster) == {1, 2, 3}

        await eventually(complete)
        assert await read(cluster) == [b"before", b"after"]


async def test_a_leader_that_is_cut_off_is_replaced_and_follows_when_the_cut_is_healed() -> None:
    async with Cluster(nodes=3, topics=["t"]) as cluster:
        old = await cluster.leader("t")
        async with Producer(cluster.bootstrap) as producer:
            await producer.send_and_wait("t", b"before")
            for other in set(cluster.node_ids) - {old}:
                await cluster.partition(old, other)
            # What it takes on its own is never acknowledged, and the producer finds the new leader.
            await producer.send_and_wait("t", b"meanwhile")
        # The old one is up and still tells its clients that it leads.
        assert await cluster.leader("t") != old
        await cluster.heal()

        async def known_everywhere() -> bool:
            # A moment after the cut the old leader may still answer, with what it knew before.
            return await read(cluster) == [b"before", b"meanwhile"] and await isr(cluster) == {1, 2, 3}

        await eventually(known_everywhere)


async def test_a_cut_between_a_leader_and_one_follower_is_survived_and_mended() -> None:
    """One of them leaves the ISR, or the third leads: where the controller is decides. Clients may ask any of them first."""
    async with Cluster(nodes=3, topics=["t"], properties={"replica.lag.time.max.ms": "500"}) as cluster:
        leader = await cluster.leader("t")
        follower = next(each for each in cluster.node_ids if each != leader)
        await cluster.partition(leader, follower)
        await write(cluster, b"x")
        await cluster.heal()

        async def back() -> bool:
            return await isr(cluster) == {1, 2, 3} and await read(cluster) == [b"x"]

        await eventually(back)


async def test_time_goes_where_the_test_moves_it() -> None:
    """Retention is due at once; what is younger than the time that went by stays."""
    async with Cluster(topics=["t"], properties={"log.retention.hours": "24"}) as cluster:
        partition = TopicPartition("t", 0)
        await write(cluster, b"old")
        async with Consumer(cluster.bootstrap) as consumer:
            await cluster.advance(23 * 3_600)
            assert (await consumer.beginning_offsets([partition]))[partition] == 0
            await cluster.advance(2 * 3_600)
            assert (await consumer.beginning_offsets([partition]))[partition] == 1


async def test_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for nodes in (1, 3):
        gc.collect()
        tasks, threads, descriptors = asyncio.all_tasks(), threading.enumerate(), os.listdir("/proc/self/fd")
        async with Cluster(nodes=nodes, topics=["t"]) as cluster:
            await write(cluster, b"x")
            if nodes == 3:
                await cluster.partition(1, 2)
                await cluster.kill(3)
                await cluster.restart(3)
            assert len(list(tmp_path.iterdir())) == 1
        assert asyncio.all_tasks() == tasks
        assert threading.enumerate() == threads
        assert os.listdir("/proc/self/fd") == descriptors
        assert list(tmp_path.iterdir()) == []


async def test_a_directory_of_the_tests_own_stays(tmp_path: Path) -> None:
    async with Cluster(topics=["t"], directory=tmp_path / "c"):
        pass
    assert (tmp_path / "c" / "node-1").is_dir()
    with pytest.raises(ClusterError, match="has the files of another cluster"):
        async with Cluster(directory=tmp_path / "c"):
            pass


async def test_what_cannot_be_is_told_in_one_line() -> None:
    for nodes in (0, 10, -1):
        with pytest.raises(ClusterError, match="a cluster has 1 to 9 nodes"):
            Cluster(nodes=nodes)
    unused = Cluster()
    with pytest.raises(ClusterError, match="does not run"):
        unused.logs()
    async with Cluster(topics=["t"]) as cluster:
        for wrong in (cluster.kill(2), cluster.restart(0), cluster.partition(1, 3)):
            with pytest.raises(ClusterError, match="there is no node"):
                await wrong
        with pytest.raises(ClusterError, match="cannot be cut off from itself"):
            await cluster.partition(1, 1)
        with pytest.raises(ClusterError, match="t has 1 partitions, no 7"):
            await cluster.leader("t", 7)
        with pytest.raises(ApiError, match="UNKNOWN_TOPIC"):
            await cluster.leader("missing")
        await cluster.kill(1)
        for again in (cluster.kill(1), cluster.stop(1)):
            with pytest.raises(ClusterError, match="node 1 is down already"):
                await again
    with pytest.raises(ClusterError, match="started before"):
        await cluster.__aenter__()


@pytest.mark.parametrize(
    ("properties", "error"),
    [
        ({"log.retention.huors": "1"}, ConfigurationError),
        ({"num.partitions": "many"}, ConfigurationError),
        ({"listeners": "PLAINTEXT://:9092"}, ClusterError),
    ],
)
async def test_a_start_that_fails_leaves_nothing(
    properties: dict[str, str], error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gc.collect()
    descriptors = os.listdir("/proc/self/fd")
    with pytest.raises(error):
        async with Cluster(nodes=3, properties=properties):
            pass
    assert os.listdir("/proc/self/fd") == descriptors
    assert list(tmp_path.iterdir()) == []


async def test_a_topic_that_is_refused_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tasks = asyncio.all_tasks()
    with pytest.raises(ApiError, match="INVALID_TOPIC"):
        async with Cluster(topics=["no topic's name"]):
            pass
    assert asyncio.all_tasks() == tasks
    assert list(tmp_path.iterdir()) == []


async def test_a_node_that_ends_of_its_own_is_told_at_the_end() -> None:
    async def fail() -> None:
        async with Cluster() as cluster:
            running = cluster._nodes._running[1]
            running.node.fail(ConfigurationError("the disk is gone"))
            await running.watch

    with pytest.raises(ClusterError, match="node 1 ended: the disk is gone"):
        await fail()


# With a thread of its own


def test_a_blocking_cluster_serves_a_test_without_a_loop() -> None:
    threads = threading.enumerate()
    with BlockingCluster(nodes=3, topics=["t"]) as cluster:
        leader = cluster.leader("t")
        asyncio.run(write(cluster, b"one"))
        cluster.kill(leader)
        asyncio.run(write(cluster, b"two"))
        cluster.restart(leader)
        cluster.partition(1, 2)
        cluster.heal()
        cluster.advance(1)
        cluster.stop(leader)
        assert asyncio.run(read(cluster)) == [b"one", b"two"]
        assert cluster.logs() == {}
    assert threading.enumerate() == threads
    with pytest.raises(ClusterError, match="does not run"):
        cluster.kill(1)


async def test_a_blocking_cluster_may_be_used_from_a_loop() -> None:
    with BlockingCluster(topics=["t"]) as cluster:
        await write(cluster, b"one")
        cluster.kill(1)
        cluster.restart(1)
        assert await read(cluster) == [b"one"]


def test_errors_of_a_blocking_cluster_reach_the_test() -> None:
    threads = threading.enumerate()
    with pytest.raises(ConfigurationError, match="unknown key"), BlockingCluster(properties={"no.such.key": "1"}):
        pass
    with BlockingCluster() as cluster, pytest.raises(ClusterError, match="there is no node 5"):
        cluster.kill(5)
    with pytest.raises(ClusterError, match="started before"), cluster:
        pass
    with pytest.raises(ZeroDivisionError), BlockingCluster():
        raise ZeroDivisionError
    assert threading.enumerate() == threads
