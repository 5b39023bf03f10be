"""Says what is wrong with connections, but not more often than a disk for logs can stand.

Floor 4. Who connects chooses what he is refused for and how often, so lines are counted, not kinds of them.
"""

from __future__ import annotations

import logging
from typing import Final

LINES_MAX: Final = 20
"""In a row; then one more for each EVERY_S seconds that pass."""
EVERY_S: Final = 3.0


class Complaints:
    """`log` gets LINES_MAX lines at once and one per EVERY_S seconds from then on; the next one says how many were left out."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._left = float(LINES_MAX)
        self._at = float("-inf")
        self._kept_back = 0

    def say(self, level: int, message: str, *, now: float) -> None:
        """`now` is the loop's clock, in seconds."""
        self._left = min(float(LINES_MAX), self._left + (now - self._at) / EVERY_S)
        self._at = now
        if self._left < 1:
            self._kept_back += 1
            return
        self._left -= 1
        more = f" (and {self._kept_back} connections more, of which nothing was said)" if self._kept_back else ""
        self._kept_back = 0
        self._log.log(level, "%s%s", message, more)
