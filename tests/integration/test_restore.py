"""`rk restore`: copies of different moments become one cluster, and nothing of the old one is let in."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from raftkafka.client import Admin
from raftkafka.model.errors import ConfigurationError, RaftKafkaError, StartupError
from raftkafka.node.main import load_settings
from raftkafka.node.restoring import begin, join, look
from tests.clusters import ROOT

if TYPE_CHECKING:
    from raftkafka.model.settings.values import Settings
    from tests.cluster_fixtures import ClusterFactory
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


async def restore(*arguments: str, code: int = 0) -> str:
    """What `rk restore` says; on stderr where it refuses."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "raftkafka.cli.main", "restore", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


def properties(cluster: Cluster, node_id: int) -> str:
    return str(cluster.place(node_id).properties)


def settings(cluster: Cluster, node_id: int) -> Settings:
    return load_settings(properties(cluster, node_id))


async def test_copies_of_different_moments_become_another_cluster(new_cluster: ClusterFactory) -> None:
    cluster = new_cluster(3, {"metadata.log.max.record.entries.between.snapshots": "5"})
    cluster.start()
    await cluster.ready()
    with pytest.raises(RaftKafkaError, match="in use"):
        await begin(settings(cluster, 1), cluster_id="0" * 32, directory_id=b"0" * 16)
    await cluster.create_topic("t")
    async with cluster.load("t") as load:
        await load.more(50)
        for node_id in cluster.node_ids:
            await cluster.wait_isr_full("t")
            await cluster.stop(node_id)
            shutil.copytree(cluster.place(node_id).directory, cluster.directory / f"copy-{node_id}")
            cluster.start(node_id)
            await cluster.ready(node_id)
            # What the copies do not agree about.
            await cluster.create_topic(f"after-{node_id}")
        await load.end()
    cluster.kill(*cluster.node_ids)
    for node_id in cluster.node_ids:
        cluster.place(node_id).directory.rename(cluster.directory / f"old-{node_id}")
        (cluster.directory / f"copy-{node_id}").rename(cluster.place(node_id).directory)
    copies = [look(settings(cluster, node_id)) for node_id in cluster.node_ids]
    assert [each.topics for each in copies] == [1, 2, 3]
    assert all(each.in_order and each.voters == (1, 2, 3) for each in copies)
    newest = max(copies, key=lambda each: (each.term, each.index))
    assert newest == copies[2]
    assert (cluster.place(3).directory / "__cluster_metadata" / "snapshot").exists(), (
        "the metadata is a snapshot and a journal"
    )

    begun = await begin(settings(cluster, 3), cluster_id="0123456789abcdef" * 2, directory_id=b"anew" * 4)
    assert begun == look(settings(cluster, 3))
    assert (begun.cluster_id, begun.voters, begun.topics) == ("0123456789abcdef" * 2, (3,), 3)
    assert (begun.term, begun.index) > (newest.term, newest.index)
    cluster.start(3)
    await cluster.ready(3)

    # A node of the old cluster at its old place: it has an old directory, the old secret, and is refused.
    cluster.place(2).directory.rename(cluster.directory / "copy-2")
    shutil.copytree(cluster.directory / "old-2", cluster.place(2).directory)
    cluster.start(2)
    await cluster.logged(2, "cluster")
    line = await cluster.logged(2, begun.cluster_id)
    assert newest.cluster_id in line
    async with Admin(cluster.place(3).address) as admin:
        quorum = await admin.describe_quorum()
        assert ([each.node_id for each in quorum.voters], list(quorum.observers)) == ([3], [])
    cluster.kill(2)
    shutil.rmtree(cluster.place(2).directory)
    (cluster.directory / "copy-2").rename(cluster.place(2).directory)

    with pytest.raises(ConfigurationError, match="must name the node that began"):
        join(settings(cluster, 2), cluster_id=begun.cluster_id)
    raft = {each: f"127.0.0.1:{cluster.place(each).ports.raft}" for each in cluster.node_ids}
    for node_id in (2, 1):
        cluster.configure(
            node_id,
            {"controller.quorum.voters": f"3@{raft[3]}", "controller.listener": f"CONTROLLER://{raft[node_id]}"},
        )
        join(settings(cluster, node_id), cluster_id=begun.cluster_id)
        cluster.start(node_id)
        await cluster.ready(node_id)
        async with Admin(cluster.bootstrap) as admin:
            await admin.add_voter(node_id, "127.0.0.1", cluster.place(node_id).ports.raft)
    await cluster.wait_isr_full("t")
    async with Admin(cluster.bootstrap) as admin:
        assert await admin.list_topics() == ["after-1", "after-2", "t"]
        assert [each.node_id for each in (await admin.describe_quorum()).voters] == [1, 2, 3]
    found = await cluster.read_all("t")
    assert found[0][:50] == load.acked[0][:50]
    # The one that began may go: the others have votes that count.
    cluster.kill(3)
    async with cluster.load("t") as more:
        await more.more(10)
        await more.end()


async def test_what_is_no_copy_is_refused(new_cluster: ClusterFactory) -> None:
    cluster = new_cluster(1)
    with pytest.raises(StartupError, match="is no log directory of a node"):
        look(settings(cluster, 1))
    cluster.start()
    await cluster.ready()
    await cluster.stop()
    (shown,) = json.loads(await restore("show", "--json", properties(cluster, 1)))["copies"]
    assert (shown["node_id"], shown["in_order"], shown["topics"]) == (1, True, 0)
    journal = next((cluster.place(1).directory / "__cluster_metadata").glob("journal-*.seg"))
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 1
    journal.write_bytes(content)
    with pytest.raises(StartupError, match="cannot be trusted"):
        look(settings(cluster, 1))
    assert "32 hexadecimal digits" in await restore("join", properties(cluster, 1), "--cluster-id", "../x", code=1)
