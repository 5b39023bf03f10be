"""Wall-clock time. Durations and deadlines come from the event loop's own clock, never from here.

Floor 1.
"""

from __future__ import annotations

from typing import Protocol

from raftkafka.model.ids import TimestampMs


class Clock(Protocol):
    def now_ms(self) -> TimestampMs:
        """Milliseconds since the epoch, UTC; may jump in either direction."""
        ...
