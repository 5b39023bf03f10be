"""A task that ends by a fault is heard of; one that ends otherwise is not."""

from __future__ import annotations

import asyncio

from raftkafka.broker import background


async def test_only_a_fault_reaches_the_loops_exception_handler():
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

    async def ends() -> None: ...

    async def breaks() -> None:
        raise ZeroDivisionError

    tasks = [background.start(work, name="work") for work in (ends(), breaks(), asyncio.sleep(99))]
    await asyncio.sleep(1)
    tasks[2].cancel()
    await asyncio.sleep(1)
    assert [(context["message"], type(context["exception"])) for context in told] == [
        ("work has stopped", ZeroDivisionError)
    ]
