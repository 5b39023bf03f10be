"""Notices leaders that owe an answer. Floor 3.

A process that is stopped, or a machine that is cut off, keeps its connections open; waiting for the request time-out would hold
its partitions up for half a minute although another leader was elected long before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from raftkafka.client.routing import Router

SILENCE_S: Final = 1.0
"""After so long without an answer that was due, look whether leadership has moved meanwhile."""

LOOK_AGAIN_S: Final = 0.3
"""While an answer is overdue, how often to look."""

_Asked = TypeVar("_Asked")


class Owed(Generic[_Asked]):
    """Requests without an answer. While one is overdue the view is refreshed again and again.

    Once `moved` says that something it asked for is led elsewhere by now, `abandon` is called for it.
    """

    def __init__(
        self, *, router: Router, moved: Callable[[_Asked], bool], abandon: Callable[[_Asked], None], silence_s: float
    ) -> None:
        self._router = router
        self._moved = moved
        self._abandon = abandon
        self._silence_s = silence_s
        self._due: dict[_Asked, float] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        router.on_update.append(self._look)

    def add(self, asked: _Asked, *, due_s: float = 0.0) -> None:
        """An answer is due `due_s` seconds from now."""
        self._due[asked] = self._loop.time() + due_s + self._silence_s
        if self._timer is None:
            self._timer = self._loop.call_later(self._silence_s, self._watch)

    def discard(self, asked: _Asked) -> None:
        """It was answered, or failed."""
        self._due.pop(asked, None)

    def stop(self) -> None:
        self._router.on_update.remove(self._look)
        if self._timer is not None:
            self._timer.cancel()

    def _watch(self) -> None:
        self._timer = None
        if self._due:
            overdue = self._overdue()
            if overdue:
                self._router.request_update()
            self._timer = self._loop.call_later(LOOK_AGAIN_S if overdue else self._silence_s, self._watch)

    def _overdue(self) -> list[_Asked]:
        now = self._loop.time()
        return [asked for asked, due in self._due.items() if due <= now]

    def _look(self) -> None:
        for asked in self._overdue():
            if self._moved(asked):
                self._abandon(asked)
