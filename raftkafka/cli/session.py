"""Running a command's coroutine, on uvloop as the broker does. Floor 5."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import uvloop

from raftkafka.cli.output import say

Result = TypeVar("Result")

_SLOW_S: Final = 2.0


def run(main: Coroutine[Any, Any, Result], *, log_format: str = "rk: %(message)s") -> Result:
    """The coroutine's result; Ctrl-C and SIGTERM cancel it and then raise `KeyboardInterrupt`. What the client warns of goes to stderr."""
    logging.basicConfig(format=log_format, level=logging.WARNING)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_term(main))


async def _until_term(main: Coroutine[Any, Any, Result]) -> Result:
    """SIGTERM asks for the same as Ctrl-C: to end in order, which for a consumer means to commit and to leave its group."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    asked = False

    def end() -> None:
        nonlocal asked
        asked = True
        task.cancel()

    loop.add_signal_handler(signal.SIGTERM, end)
    try:
        return await main
    except asyncio.CancelledError:
        if asked:
            raise KeyboardInterrupt from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


@contextmanager
def told_when_slow(bootstrap: str, timeout_ms: int) -> Iterator[None]:
    """Inside a coroutine: say what is waited for when it takes long, so that nobody looks at a silent terminal."""
    left_s = timeout_ms / 1000 - _SLOW_S
    text = f"no answer from {bootstrap} yet; waiting for another {left_s:.0f} s (Ctrl-C ends, --timeout-ms sets it)"
    timer = asyncio.get_running_loop().call_later(_SLOW_S, say, text) if left_s > 0 else None
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
