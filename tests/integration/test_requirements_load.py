"""Rows of docs/requirements.md about load, by what a real node spends rather than by how long it takes: nothing here is timed."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import urllib.request
from dataclasses import fields
from pathlib import Path

import pytest

from raftkafka.client import Consumer, Producer, TopicPartition
from raftkafka.model.api.fetch import Fetch, FetchPartition
from raftkafka.model.api.produce import Produce, ProducePartition
from tests.clusters import Cluster

pytestmark = pytest.mark.integration

MIB = 1 << 20
PATIENCE_S = 90
PLACE = TopicPartition("t", 0)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


async def requests(cluster: Cluster, api: str) -> int:
    """How many of this kind the node has answered."""

    def scrape() -> str:
        url = f"http://127.0.0.1:{cluster.place(1).ports.http}/metrics"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())

    found = re.findall(rf'request_duration_seconds_count\{{api="{api}"\}} (\d+)', await asyncio.to_thread(scrape))
    return int(found[0]) if found else 0


def own_memory_bytes(cluster: Cluster) -> int:
    """What the process holds itself; pages of files that the kernel keeps for it do not count."""
    status = Path(f"/proc/{cluster.pid(1)}/status").read_text(encoding="ascii")
    return int(re.findall(r"RssAnon:\s+(\d+) kB", status)[0]) * 1024


async def fill(producer: Producer, size_bytes: int, *, value_bytes: int = 1_000) -> int:
    """The number of records."""
    values = [os.urandom(value_bytes) for _ in range(MIB // value_bytes)]
    calls = size_bytes // MIB
    await asyncio.gather(*[await producer.send_batch("t", values, partition=0) for _ in range(calls)])
    return calls * len(values)


async def read(consumer: Consumer, records: int, tail: Producer) -> int:
    """That many, from the beginning, with a record written and acknowledged after each answer; how many of those there were."""
    consumer.assign([PLACE])
    consumer.seek_to_beginning()
    count = acknowledged = 0
    async with asyncio.timeout(PATIENCE_S):
        while count < records:
            count += sum(len(each.values) for each in await consumer.poll_values(500))
            await tail.send_and_wait("t", b"the tail", partition=0)
            acknowledged += 1
    return acknowledged


async def test_B2_a_batch_costs_the_broker_what_a_single_record_does(single: Cluster) -> None:
    """One request either way, so that a hundred records in one are far more than ten times cheaper."""
    await single.create_topic("t")
    async with Producer(single.bootstrap) as producer:
        await producer.send_and_wait("t", b"x" * 100)
        before = await requests(single, "PRODUCE")
        for _ in range(100):
            await producer.send_and_wait("t", b"x" * 100)
        alone = await requests(single, "PRODUCE") - before
        await (await producer.send_batch("t", [b"x" * 100] * 1_000))
        batched = await requests(single, "PRODUCE") - before - alone
    assert alone == 100
    assert 1 <= batched <= 2


@linux_only
async def test_C7_a_backlog_is_no_burden_for_the_node_nor_for_those_who_write(single: Cluster) -> None:
    """Ten times the backlog, the same memory; and whoever reads it all keeps nobody from being acknowledged."""
    await single.create_topic("t", segment_bytes=str(4 * MIB))
    async with Producer(single.bootstrap) as producer, Consumer(single.bootstrap) as consumer:
        written = await fill(producer, 16 * MIB)
        await read(consumer, written, producer)
        small = own_memory_bytes(single)
        written += await fill(producer, 144 * MIB)
        assert await read(consumer, written, producer) >= 10
        large = own_memory_bytes(single)
    assert large - small < 48 * MIB


@linux_only
async def test_C12_a_consumer_that_idles_costs_nothing_for_what_it_does_not_read(single: Cluster) -> None:
    await single.create_topic("t")
    async with Producer(single.bootstrap) as producer, Consumer(single.bootstrap, group_id="g") as idle:
        idle.subscribe(["t"])
        await producer.send_and_wait("t", b"first")
        async with asyncio.timeout(PATIENCE_S):
            while not idle.assignment():
                await idle.poll(100)
        idle.pause(*idle.assignment())
        await fill(producer, 4 * MIB, value_bytes=20)
        before, fetches = own_memory_bytes(single), await requests(single, "FETCH")
        unread = await fill(producer, 20 * MIB, value_bytes=20)
        assert unread > 1_000_000
        assert await idle.poll(100) == {}
        after, fetched = own_memory_bytes(single), await requests(single, "FETCH") - fetches
    assert fetched <= 2, "what was under way when it paused"
    assert after - before < unread * 8, "less than a pointer per record"


def test_D4_producers_and_consumers_know_nothing_of_each_other() -> None:
    said = {field.name for kind in (Produce, ProducePartition) for field in fields(kind)}
    assert not [name for name in said if "group" in name or "consumer" in name or "member" in name]
    said = {field.name for kind in (Fetch, FetchPartition) for field in fields(kind)}
    assert not [name for name in said if "producer" in name or "transaction" in name or "sequence" in name]
