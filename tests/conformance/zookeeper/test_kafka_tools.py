"""Kafka 2.8's own tools, the last ones that take `--zookeeper`, administer a cluster over its ZooKeeper port.

Needs Java and those tools, which `make conformance` fetches; skipped without them.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from raftkafka.client import Admin
from tests.clusters import Cluster, _free_port

JARS: Final = Path(__file__).parents[3] / ".conformance" / "kafka-2.8"
JAVA: Final = shutil.which("java")
TOOL_TIMEOUT_S: Final = 120

pytestmark = [
    pytest.mark.skipif(JAVA is None, reason="no Java on the PATH"),
    pytest.mark.skipif(not JARS.is_dir(), reason="Kafka 2.8's jars are not there: make conformance"),
    pytest.mark.timeout(600),
]

Tool = Callable[..., str]


@pytest.fixture
async def cluster(new_cluster: Callable[..., Cluster]) -> Cluster:
    cluster = new_cluster(3)
    for node_id in cluster.node_ids:
        cluster.configure(node_id, {"zookeeper.listener": f"127.0.0.1:{_free_port()}"})
    cluster.start()
    await cluster.ready()
    return cluster


@pytest.fixture
def tool(cluster: Cluster) -> Tool:
    """`tool(name, *arguments)`: what it prints; `{zookeeper}` is the address of the ports. It must end with `code`."""
    listeners = [
        line.partition("=")[2]
        for node_id in cluster.node_ids
        for line in cluster.place(node_id).properties.read_text().splitlines()
        if line.startswith("zookeeper.listener")
    ]

    def run(name: str, *arguments: str, code: int = 0) -> str:
        command = [str(JAVA), "-Xmx128m", "-cp", f"{JARS}/*", f"kafka.admin.{name}"]
        command += [each.replace("{zookeeper}", ",".join(listeners)) for each in arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return run


async def test_topics_are_created_described_altered_and_deleted(cluster: Cluster, tool: Tool) -> None:
    def use() -> None:
        topics = ("TopicCommand", "--zookeeper", "{zookeeper}")
        tool(*topics, "--create", "--topic", "placed", "--partitions", "3", "--replication-factor", "2")
        given = ("--replica-assignment", "1:2,2:3,3:1", "--config", "retention.ms=100000")
        tool(*topics, "--create", "--topic", "given", *given)
        assert "already exists" in tool(*topics, "--create", "--topic", "given", *given, code=1)
        assert tool(*topics, "--list").split() == ["given", "placed"]
        described = tool(*topics, "--describe", "--topic", "given")
        assert "PartitionCount: 3\tReplicationFactor: 2\tConfigs: retention.ms=100000" in described
        assert "Partition: 2\tLeader: 3\tReplicas: 3,1\tIsr: 3,1" in described
        tool(*topics, "--alter", "--topic", "given", "--partitions", "4", "--replica-assignment", "1:2,2:3,3:1,1:3")
        assert "Replicas: 1,3" in tool(*topics, "--describe", "--topic", "given")
        assert not tool(*topics, "--describe", "--under-replicated-partitions")
        assert "BadArguments" in tool(*topics, "--create", "--topic", "nowhere", "--replica-assignment", "1:9", code=1)
        tool(*topics, "--delete", "--topic", "placed")

    await asyncio.to_thread(use)
    async with Admin(cluster.bootstrap) as admin:

        async def deleted() -> bool:
            return list(await admin.list_topics()) == ["given"]

        await cluster.eventually(deleted, "the topic is deleted")


async def test_configs_and_quotas_are_set_and_shown(cluster: Cluster, tool: Tool) -> None:
    def use() -> None:
        configs = ("ConfigCommand", "--zookeeper", "{zookeeper}")
        tool("TopicCommand", *configs[1:], "--create", "--topic", "t", "--partitions", "1", "--replication-factor", "1")
        topic = (*configs, "--entity-type", "topics", "--entity-name", "t")
        tool(*topic, "--alter", "--add-config", "retention.ms=5000,cleanup.policy=compact")
        assert "cleanup.policy=compact,retention.ms=5000" in tool(*topic, "--describe")
        tool(*topic, "--alter", "--delete-config", "retention.ms")
        assert "are cleanup.policy=compact\n" in tool(*topic, "--describe")
        broker = (*configs, "--entity-type", "brokers", "--entity-name", "2")
        tool(*broker, "--alter", "--add-config", "leader.replication.throttled.rate=1000000")
        assert "leader.replication.throttled.rate=1000000" in tool(*broker, "--describe")
        client = (*configs, "--entity-type", "clients", "--entity-name", "an app")
        tool(*client, "--alter", "--add-config", "producer_byte_rate=1024")
        assert "producer_byte_rate=1024" in tool(*client, "--describe")
        user = (*configs, "--entity-type", "users", "--entity-name", "alice")
        secret = "SCRAM-SHA-256=[iterations=4096,password=secret],consumer_byte_rate=2048"
        tool(*user, "--alter", "--add-config", secret)
        shown = tool(*user, "--describe")
        assert "SCRAM-SHA-256=salt=" in shown
        assert "consumer_byte_rate=2048" in shown

    await asyncio.to_thread(use)


async def test_partitions_are_reassigned_and_preferred_leaders_elected(
    cluster: Cluster, tool: Tool, tmp_path: Path
) -> None:
    moves = [{"topic": "t", "partition": 0, "replicas": [3, 1]}, {"topic": "t", "partition": 1, "replicas": [2, 3]}]
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"version": 1, "partitions": moves}), encoding="utf-8")

    def use() -> None:
        zookeeper = ("--zookeeper", "{zookeeper}")
        tool("TopicCommand", *zookeeper, "--create", "--topic", "t", "--replica-assignment", "1:2,2:1")
        reassign = ("ReassignPartitionsCommand", *zookeeper, "--reassignment-json-file", str(plan))
        assert "Successfully started" in tool(*reassign, "--execute", "--throttle", "10000000")

    def complete() -> bool:
        verify = ("ReassignPartitionsCommand", "--zookeeper", "{zookeeper}", "--reassignment-json-file", str(plan))
        return tool(*verify, "--verify").count("is complete.") == 2

    def elect() -> None:
        zookeeper = ("--zookeeper", "{zookeeper}")
        assert "Successfully started" in tool("PreferredReplicaLeaderElectionCommand", *zookeeper)

    def led_by_the_first() -> bool:
        shown = tool("TopicCommand", "--zookeeper", "{zookeeper}", "--describe", "--topic", "t")
        return "Leader: 3\tReplicas: 3,1" in shown and "Leader: 2\tReplicas: 2,3" in shown

    await asyncio.to_thread(use)
    await cluster.eventually(lambda: asyncio.to_thread(complete), "the partitions are where they shall be")
    await asyncio.to_thread(elect)
    await cluster.eventually(lambda: asyncio.to_thread(led_by_the_first), "the preferred replicas lead")


async def test_access_control_lists_are_kept(cluster: Cluster, tool: Tool) -> None:
    def use() -> None:
        acls = ("AclCommand", "--authorizer-properties", "zookeeper.connect={zookeeper}")
        tool(*acls, "--add", "--allow-principal", "User:bob", "--operation", "Read", "--topic", "t")
        prefixed = ("--topic", "pre", "--resource-pattern-type", "prefixed")
        tool(*acls, "--add", "--allow-principal", "User:bob", "--operation", "Write", *prefixed)
        shown = tool(*acls, "--list")
        assert "name=t, patternType=LITERAL" in shown
        assert "name=pre, patternType=PREFIXED" in shown
        tool(*acls, "--remove", "--allow-principal", "User:bob", "--operation", "Read", "--topic", "t", "--force")
        assert "bob" not in tool(*acls, "--list", "--topic", "t")

    await asyncio.to_thread(use)
