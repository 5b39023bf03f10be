"""Topics are created, configured, grown and deleted from the console: seen by a client of the cluster."""

from __future__ import annotations

import pytest

from raftkafka.client import Admin, ApiError, ConfigResource
from raftkafka.model.api.configs import ResourceType
from tests.clusters import eventually
from tests.console.browser import Visitor


async def config_of(visitor: Visitor, topic: str, name: str) -> str | None:
    async with Admin(visitor.cluster.bootstrap) as admin:
        [configs] = (await admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)])).values()
    return next(each.value for each in configs if each.name == name)


@pytest.mark.core
async def test_a_topic_is_created_with_its_settings(visitor: Visitor) -> None:
    await visitor.open("/topics")
    await visitor.button("Create topic").click()
    await visitor.fill("Name", "made-here")
    await visitor.fill("Partitions", "4")
    await visitor.fill("Replication", "2")
    await visitor.fill("Settings", "retention.ms=123456789\ncleanup.policy=compact")
    await visitor.dialog_button("Only check").click()
    await visitor.says("Nothing speaks against it")
    async with Admin(visitor.cluster.bootstrap) as admin:
        assert "made-here" not in await admin.list_topics()
    await visitor.dialog_button("Create").click()
    await visitor.shows("/topics/made-here")
    topic = await visitor.cluster.has_leaders("made-here")
    assert [len(each.replica_nodes) for each in topic.partitions] == [2] * 4
    assert await config_of(visitor, "made-here", "retention.ms") == "123456789"
    assert await config_of(visitor, "made-here", "cleanup.policy") == "compact"
    await visitor.screenshot("topic")


async def test_what_the_cluster_refuses_is_one_clear_line(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("taken")
    visitor.expected_statuses = {400, 404, 409}
    await visitor.open("/topics")
    await visitor.button("Create topic").click()
    await visitor.fill("Name", "taken")
    await visitor.dialog_button("Create").click()
    problem = visitor.page.locator("dialog .problem")
    await problem.wait_for()
    assert "TOPIC_ALREADY_EXISTS" in await problem.inner_text()
    await visitor.page.keyboard.press("Escape")
    await visitor.open("/topics/no-such-topic")
    await visitor.page.locator(".problem", has_text="UNKNOWN_TOPIC_OR_PARTITION").wait_for()


@pytest.mark.core
async def test_a_setting_is_changed_and_goes_back_to_its_default(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("configured")
    default = await config_of(visitor, "configured", "retention.ms")
    await visitor.open("/topics/configured?tab=configs")
    row = visitor.row("Settings", "retention.ms")
    await visitor.page.get_by_role("button", name="Edit retention.ms").click()
    await visitor.fill("Value", "86400000")
    await visitor.dialog_button("Save").click()
    await row.get_by_text("86400000").wait_for()
    assert await config_of(visitor, "configured", "retention.ms") == "86400000"
    await visitor.page.get_by_role("button", name="Edit retention.ms").click()
    await visitor.dialog_button("Back to default").click()

    async def is_default() -> bool:
        return await config_of(visitor, "configured", "retention.ms") == default

    await eventually(is_default, "retention.ms is inherited again")


@pytest.mark.core
async def test_a_topic_grows(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("growing", partitions=2)
    await visitor.open("/topics/growing")
    await visitor.button("Add partitions").click()
    await visitor.fill("Partitions afterwards", "5")
    await visitor.dialog_button("Add partitions").click()
    await visitor.row("Partitions", "4").wait_for()
    assert len((await visitor.cluster.has_leaders("growing")).partitions) == 5


async def test_several_topics_grow_at_once(visitor: Visitor) -> None:
    names = ["several-a", "several-b"]
    for name in names:
        await visitor.cluster.create_topic(name)
    await visitor.open("/topics?search=several-")
    for name in names:
        await visitor.row("Topics", name).locator("input").check()
    await visitor.button("Add partitions").click()
    await visitor.fill("Partitions afterwards", "3")
    await visitor.dialog_button("Add partitions").click()
    await visitor.says("Partitions are added to 2 topics")
    for name in names:
        assert len((await visitor.cluster.has_leaders(name)).partitions) == 3


@pytest.mark.core
async def test_a_topic_is_deleted_only_when_its_name_is_typed(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("doomed")
    await visitor.open("/topics/doomed")
    await visitor.button("Delete").click()
    really = visitor.dialog_button("Delete")
    assert await really.is_disabled()
    await visitor.page.locator("#typed-name").fill("doome")
    assert await really.is_disabled()
    await visitor.page.locator("#typed-name").press("Enter")
    async with Admin(visitor.cluster.bootstrap) as admin:
        assert "doomed" in await admin.list_topics()
    await visitor.page.locator("#typed-name").fill("doomed")
    await really.click()
    await visitor.shows("/topics")

    async def gone() -> bool:
        async with Admin(visitor.cluster.bootstrap) as admin:
            try:
                return "doomed" not in await admin.list_topics()
            except ApiError:
                return False

    await eventually(gone, "the topic is deleted")


async def test_topics_are_searched(visitor: Visitor) -> None:
    for name in ("needle-in-hay", "hay-only"):
        await visitor.cluster.create_topic(name)
    await visitor.open("/topics")
    await visitor.row("Topics", "hay-only").wait_for()
    await visitor.page.get_by_label("Search topics").fill("needle")
    await visitor.row("Topics", "hay-only").wait_for(state="detached")
    assert await visitor.row("Topics", "needle-in-hay").count() == 1


async def test_a_partition_tells_why_it_is_led_as_it_is(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("explained")
    leader = (await visitor.cluster.has_leaders("explained")).partitions[0].leader_id
    await visitor.open("/topics/explained")
    await visitor.row("Partitions", "0").get_by_role("button").click()
    story = visitor.page.locator("dialog .story")
    await story.wait_for()
    assert f"{leader}" in await story.inner_text()
    await visitor.page.keyboard.press("Escape")
    await story.wait_for(state="detached")
