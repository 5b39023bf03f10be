"""Groups in the console: their lag, who owns what, and offsets that move as a client of the cluster then sees them."""

from __future__ import annotations

import pytest

from raftkafka.client import Admin, Consumer, Producer, TopicPartition
from tests.clusters import eventually
from tests.console.browser import Visitor

RECORDS = 10


async def written(visitor: Visitor, topic: str, *, partitions: int = 2) -> None:
    """RECORDS in each partition."""
    await visitor.cluster.create_topic(topic, partitions=partitions)
    async with Producer(visitor.cluster.bootstrap) as producer:
        for partition in range(partitions):
            for number in range(RECORDS):
                await producer.send_and_wait(topic, b"%d" % number, partition=partition)


async def committed(visitor: Visitor, group: str, topic: str) -> list[int]:
    async with Admin(visitor.cluster.bootstrap) as admin:
        offsets = await admin.list_consumer_group_offsets(group)
    return [each.offset for partition, each in sorted(offsets.items()) if partition.topic == topic]


async def commit(visitor: Visitor, group: str, topic: str, *offsets: int) -> None:
    async with Admin(visitor.cluster.bootstrap) as admin:
        await admin.alter_consumer_group_offsets(
            group, {TopicPartition(topic, partition): offset for partition, offset in enumerate(offsets)}
        )


@pytest.mark.core
async def test_lag_and_members_are_shown(visitor: Visitor) -> None:
    await written(visitor, "read")
    await commit(visitor, "readers", "read", 3, 4)
    async with Consumer(visitor.cluster.bootstrap, group_id="readers", enable_auto_commit=False) as consumer:
        consumer.subscribe(["read"])
        await eventually(lambda: _polled(consumer), "the consumer is a member")
        await visitor.open("/groups")
        row = visitor.row("Consumer groups", "readers")
        assert "Stable" in await row.inner_text()
        assert "13" in await row.inner_text()
        await row.click()
        await visitor.shows("/groups/readers")
        owner = visitor.page.get_by_role("grid", name="Members").locator(".grid-body > .grid-row")
        assert "read 0, 1" in await owner.inner_text()
        assert "7" in await visitor.row("Offsets", "read-0").inner_text()
        legend = visitor.card("Lag over time").locator(".legend")
        await legend.get_by_text("13").first.wait_for()
        await visitor.screenshot("group")


async def _polled(consumer: Consumer) -> bool:
    await consumer.poll_values(100)
    return len(consumer.assignment()) == 2


@pytest.mark.core
async def test_offsets_are_reset_after_a_preview(visitor: Visitor) -> None:
    await written(visitor, "rewound")
    await commit(visitor, "rewinders", "rewound", 7, 8)
    await visitor.open("/groups/rewinders")
    await visitor.button("Reset offsets").click()
    apply = visitor.dialog_button("Apply")
    assert not await apply.is_visible()
    await visitor.page.get_by_label("Move to").select_option("shift")
    await visitor.fill("Records (negative: back)", "-2")
    await visitor.dialog_button("Preview").click()
    preview = visitor.row("Preview", "rewound-1")
    assert (await preview.inner_text()).split() == ["rewound", "1", "8", "6"]
    assert await committed(visitor, "rewinders", "rewound") == [7, 8]
    await visitor.screenshot("reset")
    await apply.click()
    await visitor.says("Offsets of rewinders are reset")
    assert await committed(visitor, "rewinders", "rewound") == [5, 6]


async def test_a_group_with_members_is_not_reset(visitor: Visitor) -> None:
    await written(visitor, "held")
    visitor.expected_statuses = {409}
    async with Consumer(visitor.cluster.bootstrap, group_id="holders", enable_auto_commit=False) as consumer:
        consumer.subscribe(["held"])
        await eventually(lambda: _polled(consumer), "the consumer is a member")
        await consumer.commit({TopicPartition("held", 0): 4})
        await visitor.open("/groups/holders")
        await visitor.button("Reset offsets").click()
        await visitor.dialog_button("Preview").click()
        problem = visitor.page.locator("dialog .problem", has_text="NON_EMPTY_GROUP")
        apply = visitor.dialog_button("Apply")
        await problem.or_(apply).first.wait_for()
        if await apply.is_visible():
            await apply.click()
            await problem.wait_for()
        assert (await committed(visitor, "holders", "held"))[0] == 4


async def test_a_group_is_deleted_when_its_name_is_typed(visitor: Visitor) -> None:
    await written(visitor, "forgotten", partitions=1)
    await commit(visitor, "forgetters", "forgotten", 1)
    await visitor.open("/groups/forgetters")
    await visitor.button("Delete").click()
    await visitor.page.locator("#typed-name").fill("forgetters")
    await visitor.dialog_button("Delete").click()
    await visitor.shows("/groups")
    async with Admin(visitor.cluster.bootstrap) as admin:
        assert "forgetters" not in [each.group_id for each in await admin.list_consumer_groups()]


async def test_a_topic_names_the_groups_that_read_it(visitor: Visitor) -> None:
    await written(visitor, "shared")
    await commit(visitor, "sharers", "shared", 9, 9)
    await visitor.open("/topics/shared?tab=groups")
    row = visitor.row("Groups", "sharers")
    assert (await row.inner_text()).split() == ["sharers", "0", "2"]
