"""Keeps the collector of reference cycles from stopping the event loop: what has lived through a long collection is looked at no more.

Floor 5. A full collection looks at every object that is alive, and ten thousand partitions are a million of them: a fifth of a
second each time that the process has grown by a quarter. What such a collection leaves is alive for long, so it is set aside
(`gc.freeze`). Invariant: a cycle among what was set aside is collected after all, once what was set aside is looked at again:
every THAW_INTERVAL_S, if something was.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any, Final

LONG_S: Final = 0.01
"""A full collection that takes longer is not to be repeated for the same objects."""
THAW_INTERVAL_S: Final = 3_600.0


class Collector:
    """`start` in a running loop; `now` in seconds, by any clock."""

    def __init__(self, *, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._began = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """What is alive now is set aside at once."""
        self._loop = asyncio.get_running_loop()
        gc.collect()
        gc.freeze()
        gc.callbacks.append(self._on_collection)

    def stop(self) -> None:
        if self._loop is not None:
            gc.callbacks.remove(self._on_collection)
            self._loop = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_collection(self, phase: str, about: dict[str, Any]) -> None:
        if phase == "start":
            self._began = self._now()
        elif about["generation"] == 2 and self._now() - self._began > LONG_S and self._loop is not None:
            gc.freeze()
            if self._timer is None:
                self._timer = self._loop.call_later(THAW_INTERVAL_S, self._thaw)

    def _thaw(self) -> None:
        """The next full collection, which comes soon after, looks at everything."""
        self._timer = None
        gc.unfreeze()
