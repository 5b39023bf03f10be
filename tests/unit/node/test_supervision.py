"""What systemd hears of a node's life, and when."""

from __future__ import annotations

import asyncio
import time
from typing import cast

from raftkafka.adapters.service_manager import ServiceManager
from raftkafka.node import supervision
from raftkafka.node.supervision import Supervision


class Heard:
    def __init__(self, watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self.messages: list[dict[str, str]] = []

    def tell(self, **variables: str) -> bool:
        if variables:
            self.messages.append(variables)
        return True

    def count(self, key: str) -> int:
        return sum(key in message for message in self.messages)

    async def until(self, key: str, count: int) -> None:
        async with asyncio.timeout(20):
            while self.count(key) < count:
                await asyncio.sleep(0.005)


def told(heard: Heard) -> Supervision:
    return Supervision(cast(ServiceManager, heard))


async def test_a_life_in_order():
    heard = Heard()
    with told(heard) as node:
        node.starting()
        node.ready(lambda: "waiting for a majority")
        node.stopping()
    assert heard.messages == [
        {"STATUS": "starting"},
        {"EXTEND_TIMEOUT_USEC": "30000000"},
        {"READY": "1", "STATUS": "waiting for a majority"},
        {"STOPPING": "1", "STATUS": "stopping: moving leaderships away, then syncing and closing the logs"},
        {"EXTEND_TIMEOUT_USEC": "30000000"},
    ]


async def test_signs_of_life_come_at_half_of_the_time_also_while_the_node_stops():
    heard = Heard(watchdog_s=0.2)
    with told(heard) as node:
        node.starting()
        assert heard.count("WATCHDOG") == 0
        node.ready(lambda: "")
        began = time.monotonic()
        await heard.until("WATCHDOG", 4)
        assert time.monotonic() - began > 0.25
        node.stopping()
        seen = heard.count("WATCHDOG")
        await heard.until("WATCHDOG", seen + 2)
    seen = heard.count("WATCHDOG")
    await asyncio.sleep(0.3)
    assert heard.count("WATCHDOG") == seen


async def test_a_loop_that_is_stuck_gives_none():
    heard = Heard(watchdog_s=0.1)
    with told(heard) as node:
        node.ready(lambda: "")
        await heard.until("WATCHDOG", 2)
        seen = heard.count("WATCHDOG")
        time.sleep(0.4)
        assert heard.count("WATCHDOG") == seen
        await heard.until("WATCHDOG", seen + 1)


async def test_the_status_is_told_when_it_changes(monkeypatch):
    monkeypatch.setattr(supervision, "STATUS_INTERVAL_S", 0.01)
    heard = Heard()
    states = ["waiting"]
    asked = 0

    def state() -> str:
        nonlocal asked
        asked += 1
        return states[-1]

    with told(heard) as node:
        node.ready(state)
        async with asyncio.timeout(20):
            while asked < 5:
                await asyncio.sleep(0.005)
        assert heard.messages == [{"READY": "1", "STATUS": "waiting"}]
        states.append("controller")
        await heard.until("STATUS", 2)
    assert heard.messages[1:] == [{"STATUS": "controller"}]


async def test_a_start_may_take_as_long_as_it_gets_on_but_not_for_ever(monkeypatch):
    monkeypatch.setattr(supervision, "EXTENSION_INTERVAL_S", 0.01)
    monkeypatch.setattr(supervision, "EXTENSION_MAX_S", 0.2)
    heard = Heard()
    with told(heard) as node:
        node.starting()
        await heard.until("EXTEND_TIMEOUT_USEC", 3)
        async with asyncio.timeout(20):
            while True:
                seen = heard.count("EXTEND_TIMEOUT_USEC")
                await asyncio.sleep(0.1)
                if heard.count("EXTEND_TIMEOUT_USEC") == seen:
                    break


async def test_nobody_to_tell():
    with Supervision(None) as node:
        node.starting()
        node.ready(lambda: 1 / 0)  # type: ignore[arg-type,return-value]
        node.failed("why")
        node.stopping()
