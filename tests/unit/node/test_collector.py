"""A long collection is long once; what it left is looked at again later."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

from raftkafka.node import collector as module
from raftkafka.node.collector import LONG_S, Collector


class Clock:
    """Goes on by `step_s` between two questions: as long as a collection takes."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.step_s = 0.0

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """The collector is the process's: others are tested in it, too."""
    yield
    gc.unfreeze()


async def test_what_a_long_collection_leaves_is_set_aside(monkeypatch):
    monkeypatch.setattr(module, "THAW_INTERVAL_S", 0.05)
    clock = Clock()
    collector = Collector(now=clock)
    collector.start()
    try:
        kept = [[number] for number in range(1_000)]
        set_aside = gc.get_freeze_count()
        assert set_aside > 0
        clock.step_s = LONG_S / 2
        gc.collect()
        assert gc.get_freeze_count() == set_aside, "a short one changes nothing"
        clock.step_s = 2 * LONG_S
        gc.collect(1)
        assert gc.get_freeze_count() == set_aside, "nor one of the young"
        gc.collect()
        assert gc.get_freeze_count() >= set_aside + len(kept)
        async with asyncio.timeout(10):
            while gc.get_freeze_count():
                await asyncio.sleep(0.01)
    finally:
        collector.stop()


async def test_when_it_is_stopped_it_is_out_of_the_way():
    before = list(gc.callbacks)
    clock = Clock()
    collector = Collector(now=clock)
    collector.start()
    collector.stop()
    collector.stop()
    assert gc.callbacks == before
    gc.unfreeze()
    clock.step_s = 2 * LONG_S
    gc.collect()
    assert gc.get_freeze_count() == 0
