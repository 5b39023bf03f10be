"""Starts that must not succeed: each ends with one clear line, and harms nobody who runs.

The exit code is 1 where another try may succeed, 78 for settings that cannot be used: systemd starts such a node no more.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raftkafka.cli.layout import HOST

if TYPE_CHECKING:
    from tests.cluster_fixtures import ClusterFactory
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """No test here harms it."""
    return shared_cluster


async def refusal(cluster: Cluster, node_id: int, properties: Mapping[str, str], *, code: int = 1) -> str:
    """What a second process says that starts with a node's settings, some of them changed."""
    log = cluster.directory / "other.log"
    log.unlink(missing_ok=True)
    assert await cluster.run_other(node_id, properties, log) == code
    lines = log.read_text().splitlines()
    assert [line for line in lines if line.startswith("rk broker: ")] == lines[-1:], lines
    return lines[-1]


def elsewhere(cluster: Cluster, path: Path) -> dict[str, str]:
    """Settings of a process that shares neither ports nor files with the node."""
    client, raft, http = cluster.more_ports()
    return {
        "listeners": f"PLAINTEXT://{HOST}:{client}",
        "http.listener": f"HTTP://{HOST}:{http}",
        "controller.listener": f"CONTROLLER://{HOST}:{raft}",
        "log.dirs": str(path),
    }


async def test_a_data_directory_in_use(single: Cluster) -> None:
    other = elsewhere(single, single.place(1).directory)
    assert "is in use by another process" in await refusal(single, 1, other)
    await single.create_topic("t")


async def test_the_data_directory_of_another_broker(new_cluster: ClusterFactory) -> None:
    single = new_cluster(1)
    single.start()
    await single.ready()
    await single.stop()
    line = await refusal(single, 1, {"broker.id": "2"})
    assert "belongs to broker 1, this is broker 2" in line
    # Refusing has changed nothing.
    single.start()
    await single.ready()


@pytest.mark.parametrize("key", ["listeners", "http.listener", "controller.listener"])
async def test_a_port_in_use(cluster: Cluster, tmp_path: Path, key: str) -> None:
    other = elsewhere(cluster, tmp_path / "other")
    ports = cluster.place(1).ports
    taken = {"listeners": ports.client, "http.listener": ports.http, "controller.listener": ports.raft}[key]
    other[key] = other[key].rpartition(":")[0] + f":{taken}"
    line = await refusal(cluster, 1, other)
    assert "in use" in line
    assert str(taken) in line


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"lisstners": "PLAINTEXT://localhost:9092"}, ("unknown key 'lisstners'", "listeners")),
        ({"broker.id": "one"}, ("broker.id", "one")),
        ({"listeners": "PLAINTEXT://192.0.2.1:9092"}, ("allow.insecure.listeners",)),
        ({"cluster.secret.file": "/no/such/file"}, ("cluster.secret.file", "/no/such/file")),
        ({"controller.quorum.voters": "7@localhost:1,8@localhost:2,9@localhost:3"}, ("controller.quorum.voters",)),
        ({"log.dirs": "/dev/null/log"}, ("/dev/null/log",)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_settings_that_cannot_be(
    new_cluster: ClusterFactory, properties: dict[str, str], words: tuple[str, ...]
) -> None:
    cluster = new_cluster(1)
    # A directory that cannot be made may be made by whoever mounts a disk there.
    line = await refusal(cluster, 1, properties, code=1 if "log.dirs" in properties else 78)
    assert all(word in line for word in words), line


async def test_a_second_process_with_the_same_broker_id(new_cluster: ClusterFactory, tmp_path: Path) -> None:
    cluster = new_cluster(3)
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("t", partitions=3)
    async with cluster.load("t", 3) as load:
        await load.more(100)
        line = await refusal(cluster, 2, elsewhere(cluster, tmp_path / "other"))
        assert "2" in line
        await load.more(100)
        await load.end()
    assert load.failures == []
    await cluster.ready()
    await cluster.wait_isr_full("t")
    await load.assert_nothing_lost(cluster)


async def test_a_node_with_another_secret_stays_outside(new_cluster: ClusterFactory) -> None:
    cluster = new_cluster(3)
    wrong = cluster.directory / "wrong.secret"
    wrong.write_text("f" * 64 + "\n")
    cluster.configure(3, {"cluster.secret.file": str(wrong)})
    cluster.start()
    await cluster.ready(1, 2)
    await cluster.logged(3, "does not know this cluster's secret")
    await cluster.create_topic("t", replicas=2)
    async with cluster.load("t") as load:
        await load.more()
        await load.end()
    await load.assert_nothing_lost(cluster)
    await cluster.logged(3, "waiting for a majority: connected to 0 of 2 other voters")
    # The right secret is all that it takes.
    await cluster.stop(3)
    cluster.configure(3, {"cluster.secret.file": str(cluster.directory / "cluster.secret")})
    cluster.start(3)
    await cluster.ready()


async def test_a_node_of_another_cluster(new_cluster: ClusterFactory) -> None:
    both = ours, theirs = new_cluster(1), new_cluster(1)
    for each in both:
        each.start()
    for each in both:
        await each.ready()
        await each.stop()
    shutil.copy(theirs.place(1).directory / "meta.properties", ours.place(1).directory / "meta.properties")
    line = await refusal(ours, 1, {})
    assert "cluster" in line
