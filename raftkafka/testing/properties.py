"""What each node of a cluster under test is told, in Kafka's keys: the same for both forms. Floor 6."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from raftkafka.cli.layout import HOST
from raftkafka.testing.errors import ClusterError
from raftkafka.testing.ports import NodePorts

SESSION_TIMEOUT_MS: Final = 3_000
"""Kafka's 9 s (broker) and 30 s (replica) are for production; a test waits for a fail-over that a partition causes."""

_OWN: Final = frozenset(
    {
        "advertised.listeners",
        "broker.id",
        "cluster.secret.file",
        "controller.listener",
        "controller.quorum.voters",
        "http.listener",
        "listeners",
        "log.dir",
        "log.dirs",
        "metadata.log.dir",
        "node.id",
    }
)
"""Keys that say where a node lives; the cluster itself gives them."""


def node_properties(
    node_id: int, ports: Mapping[int, NodePorts], *, directory: Path, secret: Path, http: bool, given: Mapping[str, str]
) -> dict[str, str]:
    """The `server.properties` of one node. `given` are the test's own keys, which go before the defaults here.

    Raises:
        ClusterError: `given` names a key that the cluster itself has to set.
    """
    for key in given:
        if key in _OWN:
            raise ClusterError(f"{key} is set by the cluster itself")
    nodes, own = len(ports), ports[node_id]
    found = {
        "broker.id": str(node_id),
        "listeners": f"PLAINTEXT://{HOST}:{own.client.inside.number}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{own.client.outside.number}",
        "http.listener": f"HTTP://{HOST}:{own.http.number}" if http else "none",
        "log.dirs": str(directory),
        "default.replication.factor": str(min(3, nodes)),
        "min.insync.replicas": str(2 if nodes >= 3 else 1),
        "broker.session.timeout.ms": str(SESSION_TIMEOUT_MS),
        "broker.heartbeat.interval.ms": str(SESSION_TIMEOUT_MS // 6),
        "replica.lag.time.max.ms": str(SESSION_TIMEOUT_MS),
        # Kafka waits 3 s for further members of a new group, and makes 50 partitions for the offsets of all.
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "3",
    }
    if nodes > 1:
        found["controller.listener"] = f"CONTROLLER://{HOST}:{own.raft.inside.number}"
        found["controller.quorum.voters"] = ",".join(
            f"{each}@{HOST}:{its.raft.outside.number}" for each, its in ports.items()
        )
        found["cluster.secret.file"] = str(secret)
    return {**found, **given}


def text_of(properties: Mapping[str, str]) -> str:
    """A file that Java properties readers take for the same pairs."""
    # They would take a backslash in a path for an escape.
    return "".join(f"{key}={value}\n".replace("\\", "\\\\") for key, value in properties.items())
