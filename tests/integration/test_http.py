"""The JSON API of a real cluster, asked over HTTP as programs and pages do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.http_client import Browser

if TYPE_CHECKING:
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


async def test_the_cluster_and_its_topics(cluster: Cluster) -> None:
    await cluster.create_topic("t", partitions=3)
    async with cluster.load("t", 3) as load:
        await load.more(100)
        await load.end()
    await cluster.wait_isr_full("t")
    written = sum(len(each) for each in load.acked.values())
    for node_id in cluster.node_ids:
        browser = await asyncio.to_thread(Browser, cluster, node_id)
        assert browser.session["node_id"] == node_id
        found = await browser.get("/cluster")
        assert found["controller_id"] == found["raft"]["leader_id"] == await cluster.controller()
        assert found["raft"]["voters"] == sorted(cluster.node_ids)
        assert {each["id"]: each["state"] for each in found["brokers"]} == dict.fromkeys(cluster.node_ids, "online")
        assert found["counts"]["partitions"] == 3
        assert found["counts"]["under_replicated"] == found["counts"]["offline"] == 0
        listed = await browser.get("/topics?search=T")
        assert listed["total"] == 1
        assert listed["topics"][0]["name"] == "t"
        assert listed["topics"][0]["records"] == written
        topic = await browser.get("/topics/t")
        assert sum(each["latest"] - each["earliest"] for each in topic["partitions"]) == written
        assert {each["name"]: each["source"] for each in topic["configs"]}["retention.ms"] == "DEFAULT_CONFIG"
        assert (await browser.ask("GET", "/topics/none"))[0] == 404
