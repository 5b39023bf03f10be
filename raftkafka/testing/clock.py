"""The wall clock of nodes in this process: the system's, plus what the test has moved it by. Floor 6."""

from __future__ import annotations

from typing import Final

from raftkafka.adapters.clock import SystemClock
from raftkafka.model.ids import TimestampMs


class MovableClock:
    """Implements `ports.clock`; one for all nodes, so that they never disagree."""

    def __init__(self) -> None:
        self._system: Final = SystemClock()
        self._moved_ms = 0

    def now_ms(self) -> TimestampMs:
        return TimestampMs(self._system.now_ms() + self._moved_ms)

    def advance(self, seconds: float) -> None:
        self._moved_ms += round(seconds * 1000)
