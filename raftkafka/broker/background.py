"""Tasks that run as long as the broker does: one that ends by a fault of ours says so at once.

Floor 3. An exception in a task that somebody keeps is seen by nobody, and what the task did simply stops: a follower that
follows no more, a broker without heartbeats. Here it goes to the event loop's exception handler, where the node decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

DUTY: Final = "raftkafka_duty"
"""The key under which an exception handler finds the name of the background task that has stopped."""


def start(work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
    """Run `work` on the running loop; `name` says in the log what has stopped."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(_tell)
    return task


def _tell(task: asyncio.Task[None]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        task.get_loop().call_exception_handler(
            {"message": f"{task.get_name()} has stopped", "exception": error, "task": task, DUTY: task.get_name()}
        )
