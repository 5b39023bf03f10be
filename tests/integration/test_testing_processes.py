"""Clusters of processes under test: killed for real, cut off by a proxy, back at the same address."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from raftkafka.client import Admin, Producer
from raftkafka.storage.directory import CLEAN_SHUTDOWN_FILE
from raftkafka.testing import BlockingCluster, Cluster, ClusterError
from tests.clusters import eventually

pytestmark = pytest.mark.integration


async def test_three_processes_break_and_mend(tmp_path: Path) -> None:
    async with Cluster(nodes=3, processes=True, topics=["t"], directory=tmp_path / "c") as cluster:
        bootstrap = cluster.bootstrap
        async with Producer(cluster.bootstrap) as producer:
            await producer.send_and_wait("t", b"0")
            dead = await cluster.leader("t")
            await cluster.kill(dead)
            assert not (tmp_path / "c" / f"node-{dead}" / CLEAN_SHUTDOWN_FILE).exists()
            await producer.send_and_wait("t", b"1")
            await cluster.restart(dead)
            assert cluster.bootstrap == bootstrap

            async def complete() -> bool:
                async with Admin(cluster.bootstrap) as admin:
                    return set((await admin.describe_topics(["t"]))[0].partitions[0].isr_nodes) == {1, 2, 3}

            await eventually(complete, "all replicas are in sync")
            cut_off = await cluster.leader("t")
            for other in set(cluster.node_ids) - {cut_off}:
                await cluster.partition(cut_off, other)
            assert (await producer.send_and_wait("t", b"2")).offset == 2
            await cluster.heal()
            await eventually(complete, "the node that was cut off is back")
        await cluster.stop(1)
        assert (tmp_path / "c" / "node-1" / CLEAN_SHUTDOWN_FILE).exists()
        with pytest.raises(ClusterError, match="the clock of nodes that are processes is the system's"):
            await cluster.advance(1)
        assert set(cluster.logs()) == {1, 2, 3}


def test_a_process_that_cannot_start_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    threads = threading.enumerate()
    cluster = BlockingCluster(processes=True, directory=tmp_path / "c")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "node-1").write_text("not a directory")
    with pytest.raises(ClusterError, match=r"node 1 ended: .*node-1"), cluster:
        pass
    assert threading.enumerate() == threads


async def test_cancelling_the_start_ends_what_was_started(tmp_path: Path) -> None:
    cluster = Cluster(processes=True, directory=tmp_path / "c")
    starting = asyncio.create_task(cluster.__aenter__())

    async def launched() -> bool:
        return (tmp_path / "c" / "node-1.log").exists()

    await eventually(launched, "the process is launched")
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not [each for each in threading.enumerate() if each.name.startswith("cluster-under-test")]
