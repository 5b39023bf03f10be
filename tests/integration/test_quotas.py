"""Client quotas: who goes beyond is slowed down to the rate, and nobody else is."""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request

import pytest

from raftkafka.client import Admin, ApiError, Consumer, Producer, TopicPartition
from raftkafka.model.api.quotas import QuotaAlteration, QuotaEntityPart, QuotaFilter, QuotaMatch, QuotaOperation
from raftkafka.model.errors import ErrorCode

pytestmark = pytest.mark.integration

FAST = {"quota.window.num": "3"}
"""Two seconds of burst instead of ten, so that a test need not wait for long."""


def quota(client_id: str | None, **rates: float | None) -> QuotaAlteration:
    return QuotaAlteration(
        entity=(QuotaEntityPart(entity_type="client-id", entity_name=client_id),),
        operations=tuple(
            QuotaOperation(key=f"{kind}_byte_rate", value=rate or 0.0, remove=rate is None)
            for kind, rate in rates.items()
        ),
    )


async def test_a_producer_and_a_consumer_are_slowed_down_to_their_rate_and_nobody_else_is(new_cluster):
    cluster = new_cluster(1, FAST)
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("t")

    async def produced(client_id: str) -> float:
        async with Producer(cluster.bootstrap, client_id=client_id, linger_ms=0, batch_size=20_000) as producer:
            began = time.monotonic()
            for _ in range(20):
                await producer.send("t", b"x" * 10_000)
            return time.monotonic() - began

    async def consumed(client_id: str) -> float:
        consumer = Consumer(
            cluster.bootstrap, client_id=client_id, auto_offset_reset="earliest", fetch_max_bytes=20_000
        )
        async with consumer:
            consumer.assign([TopicPartition("t", 0)])
            began, read = time.monotonic(), 0
            while read < 20:
                read += sum(map(len, (await consumer.poll(timeout_ms=1_000)).values()))
            return time.monotonic() - began

    async with Admin(cluster.bootstrap) as admin:
        await admin.alter_client_quotas([quota("slow", producer=50_000.0, consumer=50_000.0)])
        # 200 kB at 50 kB/s, of which two seconds' worth may pass at once.
        assert await produced("slow") >= 1.5
        assert await consumed("slow") >= 1.5
        throttles = await throttled(cluster)
        assert set(throttles) == {"producer_byte_rate", "consumer_byte_rate"}
        await produced("other")
        await consumed("other")
        assert await throttled(cluster) == throttles
        await admin.alter_client_quotas([quota("slow", producer=None, consumer=None)])
        await produced("slow")
        assert await throttled(cluster) == throttles
        assert await admin.describe_client_quotas() == []


async def throttled(cluster) -> dict[str, float]:
    """How often clients went beyond, by quota."""
    url = cluster.place(1).metrics_url
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=30).read().decode())
    return {
        name: float(count)
        for name, count in re.findall(r'^raftkafka_quota_throttles_total\{quota="(\w+)"\} (\S+)$', text, re.MULTILINE)
    }


async def test_quotas_are_kept_by_the_cluster_and_described(cluster):
    async with Admin(cluster.bootstrap) as admin:
        await admin.alter_client_quotas([quota("app", producer=1_000_000.0), quota(None, consumer=2_000_000.0)])
        await cluster.stop()
        cluster.start()
        await cluster.ready()
        found = {each.entity[0].entity_name: each.values[0] for each in await admin.describe_client_quotas()}
        assert {name: (value.key, value.value) for name, value in found.items()} == {
            "app": ("producer_byte_rate", 1_000_000.0),
            None: ("consumer_byte_rate", 2_000_000.0),
        }
        default = QuotaFilter(entity_type="client-id", match_type=QuotaMatch.DEFAULT)
        assert [each.entity[0].entity_name for each in await admin.describe_client_quotas([default])] == [None]
        with pytest.raises(ApiError, match="greater than 0") as refused:
            await admin.alter_client_quotas([quota("app", producer=-1.0)])
        assert refused.value.code is ErrorCode.INVALID_REQUEST
