"""`kafka-topics.sh` and `kafka-configs.sh --zookeeper` against the ZooKeeper port of real nodes. Tests are named after the rows that they hold."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clusters import PATIENCE_S, Cluster, _free_port, eventually

pytestmark = pytest.mark.integration

SCRIPTS = Path(sys.executable).parent


@pytest.fixture
async def topics(new_cluster):
    """`await topics(words, code=0)`: what kafka-topics.sh says over the port of the one node; or another `script`."""
    cluster: Cluster = new_cluster(1, {})
    [node_id] = cluster.node_ids
    port = _free_port()
    cluster.configure(node_id, {"zookeeper.listener": f"127.0.0.1:{port}"})
    cluster.start()
    await cluster.ready()

    async def run(words: str, code: int = 0, script: str = "kafka-topics.sh") -> str:
        done = await asyncio.to_thread(
            subprocess.run,
            [str(SCRIPTS / script), "--zookeeper", f"127.0.0.1:{port}", *words.split()],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert done.stderr == ""
        return done.stdout

    return run


async def test_F2_F3_F6_F7_a_topic_over_zookeeper_is_created_listed_deleted_and_gone(topics) -> None:
    create = "--create --replication-factor 1 --partitions 2 --topic x"
    assert await topics(create) == "Created topic x.\n"
    assert await topics(create, 1) == "Error while executing topic command : Topic 'x' already exists.\n"
    assert await topics(f"{create} --if-not-exists") == ""
    assert "x" in (await topics("--list")).splitlines()
    assert await topics("--delete --topic x") == (
        "Topic x is marked for deletion.\nNote: This will have no impact if delete.topic.enable is not set to true.\n"
    )

    async def gone() -> bool:
        return not {"x", "x - marked for deletion"} & set((await topics("--list")).splitlines())

    await eventually(gone, "the topic is gone")
    missing = "Error while executing topic command : Topic 'x' does not exist as expected\n"
    assert await topics("--delete --topic x", 1) == missing
    assert await topics("--delete --topic x --if-exists") == ""
    assert await topics(create) == "Created topic x.\n"


async def test_F3_a_topic_over_zookeeper_is_described_and_altered(topics) -> None:
    assert await topics("--create --topic x --replica-assignment 1 --config retention.ms=5000") == "Created topic x.\n"

    async def led() -> bool:
        return "Leader: 1" in await topics("--describe --topic x")

    await eventually(led, "the partition is led")
    assert await topics("--describe --topic x") == (
        "Topic: x\tPartitionCount: 1\tReplicationFactor: 1\tConfigs: retention.ms=5000\n"
        "\tTopic: x\tPartition: 0\tLeader: 1\tReplicas: 1\tIsr: 1\n"
    )
    altered = await topics(
        "--alter --topic x --partitions 3 --config cleanup.policy=compact --delete-config retention.ms"
    )
    assert "Updated config for topic x.\n" in altered
    assert altered.endswith("Adding partitions succeeded!\n")
    described = (await topics("--describe --topic x")).splitlines()
    assert described[0] == "Topic: x\tPartitionCount: 3\tReplicationFactor: 1\tConfigs: cleanup.policy=compact"
    assert len(described) == 4
    assert (await topics("--alter --topic x --partitions 2", 1)).endswith(
        "Error while executing topic command : The number of partitions for a topic can only be increased. "
        "Topic x currently has 3 partitions, 2 would not be an increase.\n"
    )
    assert await topics("--describe --topics-with-overrides") == described[0] + "\n"
    assert await topics("--describe --unavailable-partitions") == ""
    refused = await topics("--create --topic y --partitions 1 --replication-factor 2", 1)
    assert refused.endswith("Replication factor: 2 larger than available brokers: 1.\n")
    refused = await topics("--create --topic y --partitions 1 --replication-factor 1 --config retention.ms=soon", 1)
    assert refused.startswith("Error while executing topic command : KeeperErrorCode = ")
    assert (await topics("--list")).splitlines() == ["x"]


async def test_configs_of_a_topic_over_zookeeper(topics) -> None:
    await topics("--create --topic x --replica-assignment 1 --config retention.ms=5000")
    script = "kafka-configs.sh"
    assert await topics("--describe --entity-type topics", script=script) == (
        "Configs for topic 'x' are retention.ms=5000\n"
    )
    change = "--alter --entity-type topics --entity-name x --add-config cleanup.policy=compact --delete-config"
    assert await topics(f"{change} retention.ms", script=script) == (
        "Completed Updating config for entity: topic 'x'.\n"
    )
    assert await topics("--describe --entity-type topics --entity-name x", script=script) == (
        "Configs for topic 'x' are cleanup.policy=compact\n"
    )
    assert (await topics("--describe --topic x")).startswith(
        "Topic: x\tPartitionCount: 1\tReplicationFactor: 1\tConfigs: cleanup.policy=compact\n"
    )
