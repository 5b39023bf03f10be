"""Running a command's coroutine, on uvloop as the broker does. Floor 5."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

Result = TypeVar("Result")


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """The coroutine's result; Ctrl-C cancels it and then raises `KeyboardInterrupt`."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
