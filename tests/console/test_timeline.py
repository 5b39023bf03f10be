"""The timeline goes back over the metadata log: who led what, when, and why."""

from __future__ import annotations

import pytest

from raftkafka.client import Admin, ElectionType, TopicPartition
from tests.clusters import eventually
from tests.console.browser import Visitor
from tests.console.test_moves import place, reorder


async def leader_shown(visitor: Visitor) -> str:
    return await visitor.row("Who led what", "timed-0").locator(".cell").nth(2).inner_text()


@pytest.mark.core
async def test_the_slider_shows_an_earlier_leader_and_why(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("timed", replicas=2)
    await place(visitor, "timed", [1, 2])
    await reorder(visitor, "timed", 2, 1)
    async with Admin(visitor.cluster.bootstrap) as admin:
        await admin.elect_leaders(ElectionType.PREFERRED, [TopicPartition("timed", 0)])
    await visitor.open("/timeline?topic=timed")

    async def shows(leader: str) -> bool:
        return await leader_shown(visitor) == leader

    await eventually(lambda: shows("2"), "the present leader")
    await visitor.screenshot("timeline")
    slider = visitor.page.get_by_role("slider")
    await slider.focus()

    events = (await visitor.page.evaluate("fetch('api/v1/timeline?topic=timed').then((answer) => answer.json())"))[
        "events"
    ]
    earlier = max(each["time_ms"] for each in events if each["leader"] == 1)
    for _ in events:  # an event to the left with each press
        await slider.press("ArrowLeft")
        if f"at={earlier}" in await visitor.page.evaluate("location.hash"):
            break
    await eventually(lambda: shows("1"), "an earlier moment has the earlier leader")
    assert "timed-0" in await visitor.card("What happened around it").inner_text()
    await visitor.button("Now").click()
    await eventually(lambda: shows("2"), "the present again")


async def test_a_partition_says_why_a_leader_changed(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("reasoned", replicas=2)
    await place(visitor, "reasoned", [1, 2])
    await reorder(visitor, "reasoned", 2, 1)
    async with Admin(visitor.cluster.bootstrap) as admin:
        await admin.elect_leaders(ElectionType.PREFERRED, [TopicPartition("reasoned", 0)])
    await visitor.open("/topics/reasoned")
    await visitor.row("Partitions", "0").get_by_role("button").click()
    story = visitor.page.locator("dialog .story")
    await story.wait_for()
    assert "preferred" in (await story.inner_text()).lower()
