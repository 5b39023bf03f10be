"""Measures how late a timer fires: the longest step that anybody took on the event loop.

Floor 5. Raft elections and fail-over live on the same loop as the data path, so this is the first figure to look at when
either is slow.
"""

from __future__ import annotations

import asyncio
from typing import Final

from raftkafka.ports.probe import Probe

INTERVAL_S: Final = 0.1


class LoopDelayMeter:
    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + INTERVAL_S
        self._timer = loop.call_at(self._due, self._fire)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._probe.loop_delay(max(0.0, asyncio.get_running_loop().time() - self._due))
        self.start()
