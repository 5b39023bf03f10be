"""The meter tells how late its timer fired, again and again, until it is stopped."""

from __future__ import annotations

import asyncio
import time

from raftkafka.node.loop_delay import INTERVAL_S, LoopDelayMeter
from raftkafka.ports.probe import NullProbe


class Delays(NullProbe):
    def __init__(self) -> None:
        self.seen: list[float] = []

    def loop_delay(self, seconds: float) -> None:
        self.seen.append(seconds)


async def test_a_step_that_holds_the_loop_up_is_measured():
    probe = Delays()
    meter = LoopDelayMeter(probe)
    meter.start()
    time.sleep(INTERVAL_S + 0.05)
    async with asyncio.timeout(10):
        while len(probe.seen) < 2:
            await asyncio.sleep(0.01)
    meter.stop()
    meter.stop()
    count = len(probe.seen)
    assert probe.seen[0] >= 0.05
    await asyncio.sleep(2 * INTERVAL_S)
    assert len(probe.seen) == count
