"""What a cluster says about itself, asked over a connection of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from benchmarks.nodes import NodeProcess
from raftkafka.client.connection import Connection
from raftkafka.model.api.cluster import DescribeQuorum, DescribeQuorumResponse, Metadata, MetadataResponse
from raftkafka.model.api.topics import CreateTopics, CreateTopicsResponse, NewTopic
from raftkafka.model.errors import ErrorCode, RaftKafkaError

_T = TypeVar("_T")
POLL_S = 0.02


async def create_topic(node: NodeProcess, name: str, *, partitions: int, replicas: int) -> None:
    connection = await Connection.open("127.0.0.1", node.port, client_id="benchmark")
    try:
        topic = NewTopic(name=name, num_partitions=partitions, replication_factor=replicas)
        response = await connection.request(CreateTopics(topics=(topic,)))
        assert isinstance(response, CreateTopicsResponse)
        if response.topics[0].error_code is not ErrorCode.NONE:
            raise RuntimeError(f"the topic was not created: {response.topics[0]}")
    finally:
        await connection.close()


async def metadata(node: NodeProcess, topic: str) -> MetadataResponse:
    connection = await Connection.open("127.0.0.1", node.port, client_id="benchmark")
    try:
        response = await connection.request(Metadata(topics=(topic,)), timeout_s=10)
        assert isinstance(response, MetadataResponse)
        return response
    finally:
        await connection.close()


async def raft_leader(node: NodeProcess) -> int:
    connection = await Connection.open("127.0.0.1", node.port, client_id="benchmark")
    try:
        response = await connection.request(DescribeQuorum(), timeout_s=5)
        assert isinstance(response, DescribeQuorumResponse)
        return response.leader_id
    finally:
        await connection.close()


async def wait_for(
    node: NodeProcess,
    topic: str,
    what: str,
    condition: Callable[[MetadataResponse], bool],
    *,
    timeout_s: float = 30,
    poll_s: float = POLL_S,
) -> MetadataResponse:
    """Ask until `condition` holds; `what` says in the error what did not happen in time. A description of thousands of
    partitions costs a node a tenth of a second: then `poll_s` must leave it time for what is waited for."""
    deadline = time.monotonic() + timeout_s
    seen: MetadataResponse | None = None
    while time.monotonic() < deadline:
        try:
            seen = await metadata(node, topic)
        except RaftKafkaError:
            await asyncio.sleep(poll_s)
            continue
        if condition(seen):
            return seen
        await asyncio.sleep(poll_s)
    raise RuntimeError(f"not within {timeout_s} s: {what}; last seen: {str(seen)[:1000]}")


def all_in_sync(replicas: int) -> Callable[[MetadataResponse], bool]:
    """Whether every partition has a leader and `replicas` in-sync replicas."""

    def check(seen: MetadataResponse) -> bool:
        return bool(seen.topics and seen.topics[0].partitions) and all(
            partition.leader_id >= 0 and len(partition.isr_nodes) == replicas for partition in seen.topics[0].partitions
        )

    return check
