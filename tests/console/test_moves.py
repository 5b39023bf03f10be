"""Replicas and leaders are moved from the console, and the cluster's own view of them changes."""

from __future__ import annotations

import pytest

from raftkafka.client import Admin, ElectionType, Producer, TopicPartition
from tests.clusters import eventually
from tests.console.browser import Visitor


async def replicas_of(visitor: Visitor, topic: str) -> list[list[int]]:
    return [
        [int(each) for each in partition.replica_nodes] for partition in (await visitor.cluster.topic(topic)).partitions
    ]


async def moved(visitor: Visitor) -> bool:
    async with Admin(visitor.cluster.bootstrap) as admin:
        return not await admin.list_partition_reassignments()


async def place(visitor: Visitor, topic: str, *replicas: list[int]) -> None:
    """The partitions of the topic lie there, everything is in sync, and the first replicas lead."""
    async with Admin(visitor.cluster.bootstrap) as admin:
        await admin.alter_partition_reassignments(
            {TopicPartition(topic, number): nodes for number, nodes in enumerate(replicas)}
        )
    await eventually(lambda: moved(visitor), f"{topic} lies on {replicas}")
    await visitor.cluster.wait_isr_full(topic)
    async with Admin(visitor.cluster.bootstrap) as admin:
        await admin.elect_leaders(
            ElectionType.PREFERRED, [TopicPartition(topic, each) for each in range(len(replicas))]
        )


async def reorder(visitor: Visitor, topic: str, *replicas: int) -> None:
    """Another replica of the only partition is the preferred one now; the leader stays."""
    async with Admin(visitor.cluster.bootstrap) as admin:
        await admin.alter_partition_reassignments({TopicPartition(topic, 0): replicas})
    await eventually(lambda: moved(visitor), f"{topic} prefers {replicas[0]}")


@pytest.mark.core
async def test_a_reassignment_is_generated_previewed_run_and_watched(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("moving", partitions=2, replicas=2)
    await place(visitor, "moving", [1, 2], [2, 1])
    async with Producer(visitor.cluster.bootstrap) as producer:
        for _ in range(20):
            await producer.send_and_wait("moving", b"x" * 1_000, partition=0)
    await visitor.open("/reassign?topics=moving")
    brokers = visitor.page.locator(".pick").last
    await brokers.locator('[data-value="1"]').uncheck()
    await visitor.button("Generate").click()
    preview = visitor.page.locator('[data-part="preview"]')
    await preview.wait_for()
    assert "2 partitions would move" in await preview.locator("h3").inner_text()
    assert "KiB" in await visitor.row("Preview", "moving-0").inner_text()
    await visitor.screenshot("reassignment")
    wanted = await preview.locator("input.tight").evaluate_all("inputs => inputs.map(each => each.value)")
    await visitor.button("Run").click()
    await visitor.says("2 partitions are on their way")

    async def lies_as_planned() -> bool:
        return await replicas_of(visitor, "moving") == [[int(each) for each in text.split(",")] for text in wanted]

    await eventually(lies_as_planned, "the partitions lie where the preview said")
    assert all(1 not in nodes for nodes in await replicas_of(visitor, "moving"))
    await visitor.page.get_by_text("No partition is being moved.").wait_for()


async def test_a_plan_can_be_typed_over(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("typed", replicas=2)
    await place(visitor, "typed", [1, 2])
    await visitor.open("/reassign?topics=typed")
    await visitor.page.locator(".pick").last.locator('[data-value="1"]').uncheck()
    await visitor.button("Generate").click()
    await visitor.fill("Wanted replicas of typed-0", "3, 2, 1")
    await visitor.button("Run").click()

    async def lies_as_typed() -> bool:
        return await replicas_of(visitor, "typed") == [[3, 2, 1]]

    await eventually(lies_as_typed, "the partition lies where it was typed")


async def test_a_reassignment_is_cancelled(visitor: Visitor) -> None:
    """A broker that is away keeps the move from ending, so there is something to cancel."""
    await visitor.cluster.create_topic("stuck", replicas=2)
    await place(visitor, "stuck", [1, 2])
    visitor.cluster.kill(3)
    try:
        async with Admin(visitor.cluster.bootstrap) as admin:
            await admin.alter_partition_reassignments({TopicPartition("stuck", 0): [1, 3]})
        await visitor.open("/reassign")
        row = visitor.row("In progress", "stuck-0")
        await row.wait_for()
        await visitor.screenshot("in-progress")
        await row.get_by_role("button").click()
        await visitor.says("1 move is cancelled")
        await eventually(lambda: moved(visitor), "the move is cancelled")
        assert await replicas_of(visitor, "stuck") == [[1, 2]]
    finally:
        visitor.cluster.start(3)
        await visitor.cluster.ready(3)


@pytest.mark.core
async def test_preferred_leaders_are_elected(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("elected", replicas=2)
    await place(visitor, "elected", [1, 2])
    await reorder(visitor, "elected", 2, 1)
    assert (await visitor.cluster.topic("elected")).partitions[0].leader_id == 1
    await visitor.open("/election?topics=elected")
    await visitor.row("Preferred election", "elected-0").wait_for()
    await visitor.screenshot("election")
    await visitor.button("Elect for all").click()
    await visitor.page.get_by_text("Every partition is led by its preferred replica.").wait_for()
    assert (await visitor.cluster.topic("elected")).partitions[0].leader_id == 2
