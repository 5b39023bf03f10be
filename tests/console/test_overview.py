"""The overview, brokers and the partition map say what the cluster says."""

from __future__ import annotations

import re

import pytest

from raftkafka.client import Admin
from tests.clusters import eventually
from tests.console.browser import Visitor


async def test_the_overview_shows_the_cluster_as_it_is(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("overview", partitions=3, replicas=3)
    await visitor.cluster.wait_isr_full("overview")
    await visitor.open("/")
    page = visitor.page
    async with Admin(visitor.cluster.bootstrap) as admin:
        quorum = await admin.describe_quorum()
    assert await page.locator('[data-tile="Controller"] b').inner_text() == str(quorum.leader_id)
    assert await page.locator('[data-tile="Raft term"] b').inner_text() == f"{quorum.term:,}"
    await page.locator(".verdict", has_text="All is well").wait_for()
    for node_id in visitor.cluster.node_ids:
        assert "online" in await visitor.row("Brokers", str(node_id)).inner_text()
        role = "leader" if node_id == quorum.leader_id else "voter"
        assert role in await visitor.row("Raft", str(node_id)).inner_text()
    await visitor.screenshot("overview")


@pytest.mark.core
async def test_charts_move_by_server_sent_events(visitor: Visitor) -> None:
    # Figures are those of the node that serves the page: of three partitions it leads one.
    await visitor.cluster.create_topic("charted", partitions=3)
    await visitor.open("/")
    await visitor.page.locator(".link-state.live").wait_for()
    figure = visitor.card("Throughput").locator(".legend span").first

    async def bytes_in() -> bool:
        return re.search(r"[1-9]", await figure.inner_text()) is not None

    async with visitor.cluster.load("charted", 3) as load:
        await eventually(bytes_in, "the chart of throughput shows what is written")
        await load.end()
    canvas = visitor.card("Throughput").locator("canvas")
    assert re.search(r"in [\d.,]+ \w*B/s", await canvas.get_attribute("aria-label") or "")


async def test_a_broker_shows_its_settings_and_log_directories(visitor: Visitor) -> None:
    await visitor.open("/brokers")
    await visitor.row("Brokers", "2").click()
    await visitor.shows("/brokers/2")
    directory = str(visitor.cluster.place(2).directory)
    await visitor.row("Log directories", directory).wait_for()
    await visitor.page.get_by_label("Search settings").fill("broker.id")
    setting = visitor.row("Settings", "broker.id")
    assert "2" in await setting.inner_text()


@pytest.mark.core
async def test_the_partition_map_shows_leaders_and_followers(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("mapped", partitions=6, replicas=2)
    await visitor.cluster.wait_isr_full("mapped")
    await visitor.open("/map?topic=mapped")
    picture = visitor.page.locator(".picture canvas")
    await picture.focus()
    described = {each.partition: each for each in (await visitor.cluster.topic("mapped")).partitions}
    words = visitor.page.locator(".picture-line")
    for broker in visitor.cluster.node_ids:
        await visitor.page.keyboard.press("Home" if broker == 1 else "ArrowDown")
        said = await words.inner_text()
        partition = described[0]
        if partition.leader_id == broker:
            expected = f"broker {broker} leads"
        elif broker in partition.replica_nodes:
            expected = f"broker {broker} follows and is in sync"
        else:
            expected = f"not on broker {broker}"
        assert f"mapped-0: {expected}" in said
    for number, partition in described.items():
        leads = visitor.row("The same as a list", f"mapped-{number}").locator(".replica.leads")
        assert await leads.inner_text() == str(partition.leader_id)
    await visitor.screenshot("map")


async def test_a_broker_that_is_away_is_seen_at_once(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("bereft", partitions=3, replicas=3)
    await visitor.cluster.wait_isr_full("bereft")
    await visitor.open("/")
    visitor.cluster.kill(3)
    try:
        # What it says depends on the topics of the other tests: some have two replicas and want both.
        await visitor.page.locator(".verdict.warn, .verdict.bad").wait_for()
        await visitor.row("Brokers", "3").locator(".pill.warn, .pill.bad").wait_for()
        await visitor.screenshot("broker-away")
    finally:
        visitor.cluster.start(3)
        await visitor.cluster.ready(3)
    await visitor.page.locator(".verdict", has_text="All is well").wait_for()
