"""Bytes and requests that no client should send: they cost their own connection, one log line, and nobody else anything."""

from __future__ import annotations

import asyncio
import random
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raftkafka.cli.layout import HOST
from raftkafka.client import Admin, ApiError, Consumer, Producer, TopicPartition
from raftkafka.client.connection import Connection
from raftkafka.model.api.broker_lifecycle import AlterPartition, BrokerHeartbeat, BrokerRegistration, ListenerEndpoint
from raftkafka.model.api.fetch import Fetch, FetchPartition
from raftkafka.model.errors import ErrorCode
from raftkafka.wire.session import PREFACE

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


TWO_GIB = 2 << 30
MEMORY_GROWTH_MAX_BYTES = 64 << 20

FRAMES = {
    "garbage": PREFACE + random.Random(1).randbytes(4_000),
    "no preface": random.Random(2).randbytes(100),
    "2 GiB": PREFACE + struct.pack(">II", TWO_GIB, 100),
    "2 GiB, and more of it": PREFACE + struct.pack(">II", TWO_GIB, 100) + bytes(100_000),
    "negative": PREFACE + struct.pack(">ii", -1, -1),
    "header of 2 GiB": PREFACE + struct.pack(">II", 1_000, TWO_GIB),
    "no length": PREFACE + bytes(8),
    "header longer than its frame": PREFACE + struct.pack(">II", 10, 500) + bytes(10),
    "garbage in a good frame": PREFACE + struct.pack(">II", 104, 100) + b"\xff" * 100,
    "AMQP": b"AMQP\x00\x00\x09\x01",
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "Kafka": struct.pack(">ihhih", 25, 18, 3, 1, 7) + b"console" + bytes(8),
}

NAMES = ["a/b", "../../tmp/evil", "..", ".", "", "x" * 250, "ü", "a\0b", "a b", "a\n2026-01-01 INFO"]


async def outcome(port: int, sent: bytes) -> tuple[int, bytes]:
    """Our own port, and what came back until the other side closed."""
    reader, writer = await asyncio.open_connection(HOST, port)
    mine = writer.get_extra_info("sockname")[1]
    received = b""
    try:
        async with asyncio.timeout(20):
            writer.write(sent)
            await writer.drain()
            received = await reader.read()
    except ConnectionResetError:
        pass  # closed while we were still sending
    finally:
        writer.close()
    return mine, received


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS:"))


async def test_frames_that_are_none(single: Cluster) -> None:
    await single.create_topic("t")
    pid = single.pid(1)
    before_bytes = resident_bytes(pid)
    async with single.load("t") as load:
        for name, sent in FRAMES.items():
            port, received = await outcome(single.place(1).ports.client, sent)
            assert received == b"", name
            line = await single.logged(1, f"closing {HOST}:{port} on PLAINTEXT: ")
            assert " WARNING " in line, name
        await load.more()
        await load.end()
    assert load.failures == []
    await load.assert_nothing_lost(single)
    # Nothing is allocated on a stranger's word.
    assert resident_bytes(pid) - before_bytes < MEMORY_GROWTH_MAX_BYTES
    assert "AMQP client" in single.node_log(1)
    assert "HTTP client" in single.node_log(1)


async def test_a_connection_that_ends_in_the_middle_of_a_frame(single: Cluster) -> None:
    for end in range(len(PREFACE) + 8):
        _, writer = await asyncio.open_connection(HOST, single.place(1).ports.client)
        writer.write((PREFACE + struct.pack(">II", 1_000, 900))[:end])
        writer.close()
        await writer.wait_closed()
    await single.create_topic("t")


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, struct.pack("<I", TWO_GIB), bytes(64)],
    ids=["HTTP", "ones", "2 GiB", "zeros"],
)
async def test_strangers_at_the_door_of_raft(cluster: Cluster, sent: bytes) -> None:
    async with Admin(cluster.bootstrap) as admin:
        before = await admin.describe_quorum()
        port, _ = await outcome(cluster.place(1).ports.raft, sent)
        await cluster.logged(1, f"{HOST}:{port}")
        after = await admin.describe_quorum()
    assert (after.leader_id, after.term) == (before.leader_id, before.term)


async def test_topic_names_that_are_paths(new_cluster: ClusterFactory) -> None:
    single = new_cluster(1)
    single.start()
    await single.ready()
    files = sorted(single.directory.rglob("*"))
    async with Admin(single.bootstrap) as admin, Producer(single.bootstrap, max_block_ms=20_000) as producer:
        for name in NAMES:
            with pytest.raises(ApiError) as refused:
                await admin.create_topic(name, num_partitions=1, replication_factor=1)
            assert refused.value.code is ErrorCode.INVALID_TOPIC_EXCEPTION, name
            # Nor does the first use of a topic create it.
            with pytest.raises(ApiError) as refused:
                await producer.send(name, b"value")
            assert refused.value.code is ErrorCode.INVALID_TOPIC_EXCEPTION, name
        assert await admin.list_topics() == []
    assert sorted(single.directory.rglob("*")) == files


async def test_topics_that_cannot_be(single: Cluster) -> None:
    async with Admin(single.bootstrap) as admin:
        for arguments, code, words in [
            ({"replication_factor": 2}, ErrorCode.INVALID_REPLICATION_FACTOR, "larger than available brokers: 1"),
            ({"replication_factor": 0}, ErrorCode.INVALID_REPLICATION_FACTOR, ""),
            ({"num_partitions": 0}, ErrorCode.INVALID_PARTITIONS, ""),
            ({"num_partitions": 2_000_000_000}, None, ""),
            ({"configs": {"retention.ms": "soon"}}, ErrorCode.INVALID_CONFIG, "retention.ms"),
            ({"configs": {"no.such.key": "1"}}, ErrorCode.INVALID_CONFIG, "no.such.key"),
        ]:
            with pytest.raises(ApiError) as refused:
                await admin.create_topic("t", **arguments)
            assert code in (None, refused.value.code), arguments
            assert words in refused.value.message
        assert await admin.list_topics() == []
        await admin.create_topic("t", num_partitions=1, replication_factor=1)


async def test_records_that_are_too_large(single: Cluster) -> None:
    await single.create_topic("t")
    async with Producer(single.bootstrap, max_request_size=8 << 20) as producer:
        # Once the leader is at work: a record whose first try met none is in doubt, whatever is said of it later.
        assert (await producer.send("t", b"small")).offset == 0
        with pytest.raises(ApiError) as refused:
            await producer.send("t", bytes(2 << 20))
        assert refused.value.code is ErrorCode.MESSAGE_TOO_LARGE
        assert (await producer.send("t", b"small")).offset == 1


async def test_offsets_that_are_not_there(single: Cluster) -> None:
    await single.create_topic("t")
    async with Consumer(single.bootstrap, auto_offset_reset="none") as consumer:
        consumer.assign([TopicPartition("t", 0)])
        consumer.seek(TopicPartition("t", 0), 5)
        with pytest.raises(ApiError) as refused:
            await consumer.poll(timeout_ms=20_000)
    assert refused.value.code is ErrorCode.OFFSET_OUT_OF_RANGE


async def test_a_client_that_poses_as_a_node(cluster: Cluster) -> None:
    await cluster.create_topic("t")
    topic = await cluster.topic("t")
    before = topic.partitions
    for node_id in cluster.node_ids:
        connection = await Connection.open(HOST, cluster.place(node_id).ports.client, client_id="impostor")
        try:
            registration = BrokerRegistration(
                broker_id=2,
                cluster_id="",
                incarnation_id=bytes(16),
                listeners=(ListenerEndpoint(name="PLAINTEXT", host=HOST, port=9),),
            )
            for request in (
                registration,
                BrokerHeartbeat(broker_id=2, broker_epoch=1, applied_index=1, want_shut_down=True),
                AlterPartition(broker_id=2, broker_epoch=1, partitions=()),
            ):
                answer = await connection.request(request)
                assert answer.error_code is ErrorCode.CLUSTER_AUTHORIZATION_FAILED
            fetch = Fetch(
                replica_id=2,
                replica_epoch=1,
                partitions=(FetchPartition(topic_id=topic.topic_id, partition=0, fetch_offset=1_000_000),),
            )
            answer = await connection.request(fetch)
            assert answer.error_code is ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        finally:
            await connection.close()
    assert (await cluster.topic("t")).partitions == before
