"""A leader that was stopped for longer than its session acknowledges nothing when it goes on, whatever waits in its sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from raftkafka.cli.layout import HOST
from raftkafka.client.connection import Connection
from raftkafka.model.api.produce import Produce, ProducePartition, ProduceResponse
from raftkafka.model.errors import ErrorCode, RaftKafkaError
from raftkafka.model.ids import PartitionIndex, TopicId
from raftkafka.record.build import encode_values

if TYPE_CHECKING:
    from tests.clusters import Cluster, ClusterFactory

pytestmark = pytest.mark.integration

SESSION_S = 1.5
CONNECTIONS = 8


def produce(topic_id: TopicId, acks: int, value: bytes) -> Produce:
    """Without a leader epoch: it is not the epoch that has to refuse this."""
    records = memoryview(bytearray(encode_values([value], timestamp_ms=1)))
    partition = ProducePartition(topic_id=topic_id, partition=PartitionIndex(0), records=records)
    return Produce(acks=acks, timeout_ms=5_000, partitions=(partition,))


async def codes(connection: Connection, topic_id: TopicId, number: int) -> list[ErrorCode]:
    """The answers to one produce with acks=1 and one with acks=all; empty where the connection was closed instead."""
    asked = [
        connection.request(produce(topic_id, acks, b"stale-%d-%d" % (number, acks)), timeout_s=20) for acks in (1, -1)
    ]
    found = []
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(answer, ProduceResponse | RaftKafkaError), answer
        if isinstance(answer, ProduceResponse):
            found.append(answer.partitions[0].error_code)
    return found


@pytest.mark.parametrize("min_insync", ["1", "2"])
async def test_a_leader_that_slept_through_its_session_acknowledges_nothing(
    new_cluster: ClusterFactory, min_insync: str
) -> None:
    cluster: Cluster = new_cluster(
        3,
        {
            "broker.session.timeout.ms": str(int(SESSION_S * 1000)),
            "broker.heartbeat.interval.ms": "300",
            "min.insync.replicas": min_insync,
        },
    )
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("t")
    topic = await cluster.topic("t")
    old = int(topic.partitions[0].leader_id)
    assert await cluster.read_all("t") == {0: []}  # from now on the leader serves: it has opened its log

    async def another_leads() -> bool:
        return (await cluster.topic("t")).partitions[0].leader_id not in (old, -1)

    connections = [
        await Connection.open(HOST, cluster.place(old).ports.client, client_id="t") for _ in range(CONNECTIONS)
    ]
    try:
        for number, connection in enumerate(connections):
            assert await codes(connection, topic.topic_id, number) == [ErrorCode.NONE, ErrorCode.NONE]
        cluster.pause(old)
        waiting = [
            asyncio.create_task(codes(connection, topic.topic_id, number))
            for number, connection in enumerate(connections, start=100)
        ]
        await asyncio.sleep(SESSION_S)  # a session passes, whatever the controller does meanwhile
        await cluster.eventually(another_leads, f"another node than {old} leads")
        cluster.resume(old)
        answers = [code for found in await asyncio.gather(*waiting) for code in found]
    finally:
        for connection in connections:
            connection.abort()
    assert answers, "at least one connection lived to hear an answer"
    assert set(answers) == {ErrorCode.NOT_LEADER_OR_FOLLOWER}
    await cluster.wait_isr_full("t")
    values = [value for _, value in (await cluster.read_all("t"))[0]]
    assert len(values) == 2 * CONNECTIONS
    assert not [value for value in values if value is not None and int(value.split(b"-")[1]) >= 100]
    await cluster.stop()
    cluster.assert_replicas_equal("t", 1)
