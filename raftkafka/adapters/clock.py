"""`ports.clock` on the system's wall clock.

Floor 4.
"""

from __future__ import annotations

import time

from raftkafka.model.ids import TimestampMs


class SystemClock:
    def now_ms(self) -> TimestampMs:
        """Milliseconds since the epoch, UTC; follows every adjustment of the system's clock."""
        return TimestampMs(time.time_ns() // 1_000_000)
