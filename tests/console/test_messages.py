"""The message browser shows what a client wrote, and a client reads what it wrote."""

from __future__ import annotations

import json

import pytest

from raftkafka.client import Consumer, Producer, TopicPartition
from tests.console.browser import Visitor

BIG = 12345678901234567890
"""A number that a browser cannot hold: it must come through as it is."""


async def written(visitor: Visitor, topic: str, records: int = 30) -> None:
    await visitor.cluster.create_topic(topic, partitions=1)
    async with Producer(visitor.cluster.bootstrap) as producer:
        for number in range(records):
            value = json.dumps({"number": number, "big": BIG, "note": f"note-{number:03d}"}).encode()
            await producer.send_and_wait(
                topic,
                value,
                key=b"key-%d" % (number % 7),
                timestamp_ms=1_700_000_000_000 + number * 1_000,
                headers=[("trace", b"trace-%d" % number)],
            )


async def offsets(visitor: Visitor) -> list[int]:
    """Of the rows in sight, from top to bottom."""
    keys = (
        await visitor.page.get_by_role("grid", name="Messages")
        .locator(".grid-body > .grid-row")
        .evaluate_all("rows => rows.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(each => each.dataset.key)")
    )
    return [int(key.split("-")[1]) for key in keys]


async def read(visitor: Visitor) -> None:
    await visitor.button("Read").click()
    await visitor.page.locator(".messages [role=status]", has_text="looked at").wait_for()


@pytest.mark.core
async def test_messages_are_found_by_offset_time_key_and_text(visitor: Visitor) -> None:
    await written(visitor, "browsed")
    page = visitor.page
    await visitor.open("/messages?topic=browsed")
    await visitor.row("Messages", "0-29").wait_for()
    assert (await offsets(visitor))[:3] == [29, 28, 27]
    await visitor.screenshot("messages")

    await page.get_by_label("From").select_option("offset")
    await visitor.fill("Offset", "20")
    await read(visitor)
    await visitor.row("Messages", "0-20").wait_for()
    assert await offsets(visitor) == list(range(20, 30))

    await page.get_by_label("From").select_option("timestamp")
    local = await page.evaluate(
        "ms => { const d = new Date(ms); return new Date(ms - d.getTimezoneOffset() * 60000).toISOString().slice(0, 19); }",
        1_700_000_025_000,
    )
    await visitor.fill("Time", local)
    await read(visitor)
    await visitor.row("Messages", "0-20").wait_for(state="detached")
    assert await offsets(visitor) == list(range(25, 30))

    await page.get_by_label("From").select_option("earliest")
    await visitor.fill("With this key", "key-3")
    await read(visitor)
    await visitor.row("Messages", "0-3").wait_for()
    assert await offsets(visitor) == [3, 10, 17, 24]

    await visitor.fill("With this key", "")
    await visitor.fill("Search for", "note-011")
    await read(visitor)
    await visitor.row("Messages", "0-3").wait_for(state="detached")
    assert await offsets(visitor) == [11]

    await visitor.fill("Search for", "trace-12")
    await read(visitor)
    await visitor.row("Messages", "0-12").wait_for()
    await page.get_by_label("in headers").uncheck()
    await read(visitor)
    await page.get_by_text("No message shown.").wait_for()


async def test_a_message_is_shown_as_json_and_in_hex(visitor: Visitor) -> None:
    await written(visitor, "shown", 1)
    async with Producer(visitor.cluster.bootstrap) as producer:
        await producer.send_and_wait("shown", bytes([0, 255, 65, 66]), key=b"<b>bold</b>")
    await visitor.open("/messages?topic=shown")
    await visitor.row("Messages", "0-0").click()
    payload = visitor.page.locator("dialog .payload")
    assert f'"big": {BIG}' in await payload.inner_text()
    assert "\n" in await payload.inner_text()
    await visitor.screenshot("json")
    await visitor.page.keyboard.press("Escape")
    await visitor.row("Messages", "0-1").click()
    assert "00 ff 41 42" in await payload.inner_text()
    assert "|..AB|" in await payload.inner_text()
    # What a record says stays text.
    assert await visitor.page.locator("dialog").get_by_text("<b>bold</b>").count() == 1
    assert await visitor.page.locator("dialog dd b").count() == 0


async def test_more_pages_of_messages(visitor: Visitor) -> None:
    await written(visitor, "paged", 150)
    await visitor.open("/messages?topic=paged&from=earliest")
    await visitor.page.locator(".messages [role=status]", has_text="100 messages").wait_for()
    await visitor.button("More").click()
    await visitor.page.locator(".messages [role=status]", has_text="150 messages").wait_for()
    await visitor.row("Messages", "0-0").focus()
    await visitor.page.keyboard.press("End")
    await visitor.row("Messages", "0-149").wait_for()


@pytest.mark.core
async def test_a_message_is_produced_and_a_client_reads_it(visitor: Visitor) -> None:
    await visitor.cluster.create_topic("produced", partitions=2)
    await visitor.open("/topics/produced")
    await visitor.button("Produce message").click()
    await visitor.page.get_by_label("Partition", exact=True).select_option("1")
    await visitor.fill("Key", "k")
    await visitor.page.locator("dialog").get_by_label("Value", exact=True).fill('{"안녕": 1}')
    await visitor.fill("Headers", "trace=abc\ntrace=def")
    await visitor.screenshot("produce")
    await visitor.dialog_button("Produce").click()
    await visitor.says("Written to partition 1 at offset 0")
    partition = TopicPartition("produced", 1)
    async with Consumer(visitor.cluster.bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([partition])
        record = await anext(aiter(consumer))
    assert (record.key, record.value) == (b"k", '{"안녕": 1}'.encode())
    assert list(record.headers) == [("trace", b"abc"), ("trace", b"def")]


@pytest.mark.core
async def test_new_messages_appear_while_following(visitor: Visitor) -> None:
    await written(visitor, "followed", 5)
    await visitor.open("/messages?topic=followed")
    await visitor.row("Messages", "0-4").wait_for()
    await visitor.button("Follow live").click()
    await visitor.page.get_by_text("waiting for new messages").wait_for()
    await visitor.row("Messages", "0-4").wait_for(state="detached")
    async with Producer(visitor.cluster.bootstrap) as producer:
        # The stream may begin a moment after the page says that it waits: what comes until then is not news.
        while await visitor.page.get_by_text("live-value").count() == 0:
            await producer.send_and_wait("followed", b"live-value")
    await visitor.button("Follow live").click()
    assert await visitor.button("Follow live").get_attribute("aria-pressed") == "false"
