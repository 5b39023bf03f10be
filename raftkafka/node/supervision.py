"""What systemd is told of a node: when it is ready, what it waits for, that its event loop turns, that it stops.

Floor 5. Ready means that the listeners are open and Raft runs, not that there is a quorum: the first of three nodes that start
would otherwise be killed for waiting for the others. What it waits for is in the status line, and at `/health/ready`. The sign of
life comes from a timer of the loop that serves clients, so a loop that is stuck ends in a new start. See docs/adr/0024.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Self

from raftkafka.adapters.service_manager import ServiceManager

STATUS_INTERVAL_S: Final = 2.0
EXTENSION_INTERVAL_S: Final = 5.0
EXTENSION_S: Final = 30.0
EXTENSION_MAX_S: Final = 3600.0
"""A start or a stop may take as long as it gets on: reading a large journal, syncing many logs. But not for ever."""


class Supervision:
    """Told of each step of a node's life; does nothing where no service manager waits to hear of it.

    Its timers belong to the loop that runs inside the `with` block.
    """

    def __init__(self, manager: ServiceManager | None) -> None:
        self._manager = manager
        self._timers: list[_Every] = []
        self._said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._rest()

    def starting(self) -> None:
        self._tell(STATUS="starting")
        self._keep_extending()

    def ready(self, state: Callable[[], str]) -> None:
        """The node serves. `state` is asked for the status line from now on, every few seconds."""
        if self._manager is None:
            return
        self._rest()
        self._said = state()
        self._tell(READY="1", STATUS=self._said)
        self._every(STATUS_INTERVAL_S, lambda: self._tell_state(state()))
        self._keep_alive()

    def stopping(self) -> None:
        """The node stops in order from here on; it is still to be seen that the loop turns."""
        self._rest()
        self._tell(STOPPING="1", STATUS="stopping: moving leaderships away, then syncing and closing the logs")
        self._keep_alive()
        self._keep_extending()

    def failed(self, reason: str) -> None:
        """The last words of a node that could not start, or not go on."""
        self._tell(STATUS=reason)

    def _keep_alive(self) -> None:
        if self._manager is not None and self._manager.watchdog_s is not None:
            self._tell(WATCHDOG="1")
            self._every(self._manager.watchdog_s / 2, lambda: self._tell(WATCHDOG="1"))

    def _keep_extending(self) -> None:
        """The time-out of systemd counts again from each of these messages, as long as the loop turns."""
        if self._manager is None:
            return
        loop = asyncio.get_running_loop()
        last = loop.time() + EXTENSION_MAX_S

        def extend() -> None:
            if loop.time() < last:
                self._tell(EXTEND_TIMEOUT_USEC=str(int(EXTENSION_S * 1e6)))

        extend()
        self._every(EXTENSION_INTERVAL_S, extend)

    def _tell_state(self, state: str) -> None:
        if state != self._said:
            self._said = state
            self._tell(STATUS=state)
        else:
            self._tell()  # what could not be sent before

    def _tell(self, **variables: str) -> None:
        if self._manager is not None:
            self._manager.tell(**variables)

    def _every(self, interval_s: float, work: Callable[[], None]) -> None:
        self._timers.append(_Every(interval_s, work))

    def _rest(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


class _Every:
    """Calls `work` on the running loop, again and again."""

    def __init__(self, interval_s: float, work: Callable[[], None]) -> None:
        self._interval_s = interval_s
        self._work = work
        self._timer = asyncio.get_running_loop().call_later(interval_s, self._fire)

    def cancel(self) -> None:
        self._timer.cancel()

    def _fire(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._fire)
        self._work()
