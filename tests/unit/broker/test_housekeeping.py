"""Duties in their own rhythm; one that fails by the disk goes on."""

from __future__ import annotations

import asyncio

from raftkafka.broker.housekeeping import Duty, Housekeeping
from raftkafka.model.errors import StorageError


async def test_each_duty_has_its_rhythm_and_survives_the_disk():
    done = {"often": 0, "seldom": 0}

    def duty(name: str, interval_s: float, error: StorageError | None = None) -> Duty:
        async def work() -> None:
            done[name] += 1
            if error is not None:
                raise error

        return Duty(name=name, interval_s=interval_s, work=work)

    housekeeping = Housekeeping([duty("often", 1, StorageError("EIO")), duty("seldom", 4)])
    housekeeping.start()
    await asyncio.sleep(8.5)
    await housekeeping.stop()
    await asyncio.sleep(10)
    assert done == {"often": 8, "seldom": 2}


async def test_run_now_works_everything_off_and_never_twice_at_once():
    running, runs_at_once, done = 0, 0, []

    def duty(name: str, interval_s: float) -> Duty:
        async def work() -> None:
            nonlocal running, runs_at_once
            running += 1
            runs_at_once = max(runs_at_once, running)
            await asyncio.sleep(3)
            running -= 1
            done.append(name)

        return Duty(name=name, interval_s=interval_s, work=work)

    housekeeping = Housekeeping([duty("slow", 5)])
    housekeeping.start()
    await asyncio.sleep(6)  # in the middle of the first run
    await housekeeping.run_now()
    assert (done, runs_at_once) == (["slow", "slow"], 1)
    await housekeeping.stop()
    once = Housekeeping([duty("a", 1_000), duty("b", 1_000)])
    once.start()
    await once.run_now()
    assert done[2:] == ["a", "b"]
    await once.stop()
