"""`rk why partition`: who led when, and why that changed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from raftkafka.client import Admin, ApiError, TopicPartition
from raftkafka.metadata.history import EVENTS_MAX
from tests.clusters import eventually

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


async def test_a_killed_leader_is_the_reason_and_every_node_knows_it_after_a_restart(cluster):
    await cluster.create_topic("t", replicas=3)
    leader = int((await cluster.has_leaders("t")).partitions[0].leader_id)
    cluster.kill(leader)

    async def moved() -> bool:
        return int((await cluster.topic("t")).partitions[0].leader_id) not in (-1, leader)

    await eventually(moved, "another broker leads")
    cluster.start(leader)
    await cluster.ready()
    await cluster.wait_isr_full("t")

    def rk(*arguments: str, asked: str = cluster.bootstrap) -> str:
        command = [sys.executable, "-m", "raftkafka.cli.main", "why", "partition", *arguments]
        bootstrap = ["--bootstrap-server", asked]
        return subprocess.run(
            command + bootstrap, capture_output=True, text=True, timeout=120, check=True, cwd=ROOT
        ).stdout

    events = json.loads(await asyncio.to_thread(rk, "t-0", "--json"))["events"]
    assert events[0]["cause"] == "created"
    assert events[0]["leader"] == leader
    assert events[1]["cause"] in ("broker_silent", "broker_unreachable", "broker_restarted")
    assert events[1]["node"] == leader
    assert events[1]["leader"] != leader
    assert 0 < events[0]["time"] <= events[1]["time"]
    follower = next(each for each in cluster.node_ids if each not in (leader, events[1]["leader"]))
    cluster.kill(follower)
    cluster.start(follower)
    await cluster.ready()
    # More may have happened since: eight events are kept, so that these are among the latest, or have gone from the front.
    later = json.loads(await asyncio.to_thread(rk, "t-0", "--json", asked=cluster.place(follower).address))["events"]
    assert events[-1] in later or len(later) == EVENTS_MAX
    text = await asyncio.to_thread(rk, "t-0")
    assert "the partition was created" in text
    async with Admin(cluster.bootstrap) as admin:
        with pytest.raises(ApiError, match="partition 7 of topic 't' does not exist"):
            await admin.describe_partition_history(TopicPartition("t", 7))
