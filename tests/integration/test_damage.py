"""Files damaged behind a node's back: damage is found, said and never served (I15)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raftkafka.cli.layout import HOST
from raftkafka.client import Producer
from raftkafka.client.connection import Connection
from raftkafka.model.api.fetch import Fetch, FetchPartition
from raftkafka.model.errors import ErrorCode

if TYPE_CHECKING:
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


def journal(cluster: Cluster, node_id: int) -> Path:
    [path] = (cluster.place(node_id).directory / "__cluster_metadata").glob("journal-*.seg")
    return path


def flip_bit(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        [byte] = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1]))


async def test_a_torn_tail_of_the_raft_journal(single: Cluster) -> None:
    await single.create_topic("t")
    single.kill(1)
    path = journal(single, 1)
    path.write_bytes(path.read_bytes() + b"RkJ1 and then the power went")
    single.start()
    await single.ready()
    await single.has_leaders("t")
    assert "cutting" in single.node_log(1)


async def test_damage_in_the_middle_of_the_raft_journal(single: Cluster) -> None:
    await single.create_topic("t")
    await single.stop()
    path = journal(single, 1)
    flip_bit(path, path.stat().st_size // 2)
    single.start()
    assert await single.exit_code(1) == 1
    lines = [line for line in single.node_log(1).splitlines() if line.startswith("rk broker: ")]
    assert len(lines) == 1
    assert "the Raft journal cannot be trusted" in lines[0]
    assert path.name in lines[0]
    # Mended, it starts: the refusal has changed nothing.
    flip_bit(path, path.stat().st_size // 2)
    single.start()
    await single.ready()
    await single.has_leaders("t")


async def fetch(cluster: Cluster, topic_id: bytes, partition: int, end: int) -> set[ErrorCode]:
    """What a consumer is told that asks for every offset below `end`, one batch each."""
    connection = await Connection.open(HOST, cluster.place(1).ports.client, client_id="test")
    try:
        codes = set()
        for offset in range(end):
            wanted = FetchPartition(topic_id=topic_id, partition=partition, fetch_offset=offset, max_bytes=1)
            answer = await connection.request(Fetch(partitions=(wanted,), min_bytes=0), timeout_s=20)
            codes.add(answer.partitions[0].error_code)
        return codes
    finally:
        await connection.close()


@pytest.mark.parametrize("clean", [True, False], ids=["stopped", "killed"])
async def test_a_flipped_bit_without_another_replica(single: Cluster, clean: bool) -> None:
    await single.create_topic("t", partitions=2)
    async with single.load("t", 2) as load:
        await load.more()
        await load.end()
    await single.stop()
    if not clean:
        # Synced long ago and then damaged: a crash does not make it a torn write.
        single.start()
        await single.ready()
        single.kill(1)
    [segment] = single.partition_dir(1, "t").glob("*.log")
    flip_bit(segment, segment.stat().st_size // 2)
    single.start()
    await single.ready()
    topic_id = (await single.topic("t")).topic_id

    # What lies before the damage may have been served; whoever comes to it is told, and so is everybody after that.
    ends = {partition: len(acks) for partition, acks in load.acked.items()}
    assert await fetch(single, topic_id, 0, ends[0]) <= {ErrorCode.NONE, ErrorCode.KAFKA_STORAGE_ERROR}
    assert await fetch(single, topic_id, 0, ends[0]) == {ErrorCode.KAFKA_STORAGE_ERROR}
    assert await fetch(single, topic_id, 1, ends[1]) == {ErrorCode.NONE}
    await single.logged(1, "goes offline")
    async with Producer(single.bootstrap) as producer:
        assert (await producer.send("t", b"more", partition=1)).offset == len(load.acked[1])


async def test_a_flipped_bit_in_one_of_three_replicas(cluster: Cluster) -> None:
    await cluster.create_topic("t")
    async with cluster.load("t") as load:
        await load.more()
        await load.end()
    await cluster.wait_isr_full("t")
    [partition] = (await cluster.topic("t")).partitions
    leader = int(partition.leader_id)
    # The leader's file while it leads: its next reader must not get these bytes.
    [segment] = cluster.partition_dir(leader, "t").glob("*.log")
    flip_bit(segment, len(b"".join(value or b"" for _, value in load.acked[0])) // 2)
    await load.assert_nothing_lost(cluster)
    # It was fetched again from another replica, so all three are whole once more.
    await cluster.wait_isr_full("t")
    await load.assert_nothing_lost(cluster)
    await cluster.stop()
    cluster.assert_replicas_equal("t", 1)
