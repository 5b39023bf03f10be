"""Says what is wrong with a peer once, and again only when it has gone on for a while.

Floor 4. A voter with another secret, or one that is stalled, is dialled again several times a second: without this its
neighbours would fill their disks with one sentence.
"""

from __future__ import annotations

import logging
from typing import Final

AGAIN_S: Final = 30.0
KINDS_MAX: Final = 256
"""Remembered at a time; strangers choose what they are refused for, so the memory is bounded."""


class Complaints:
    """`log` gets at most one line per subject and reason in AGAIN_S seconds."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def say(self, subject: str, reason: str, now: float, *, address: str | None = None) -> None:
        """`now` is the loop's clock, in seconds. `address` is shown in place of `subject`: each try of a peer comes from
        another port, and the complaint is the same.
        """
        said_at, kept_back = self._said.get((subject, reason), (float("-inf"), 0))
        if now - said_at < AGAIN_S:
            self._said[subject, reason] = (said_at, kept_back + 1)
            return
        if len(self._said) >= KINDS_MAX:
            self._said.clear()
        self._said[subject, reason] = (now, 0)
        often = f" (and {kept_back} times more since this was last said)" if kept_back else ""
        self._log.warning("closing the Raft connection to %s: %s%s", address or subject, reason, often)
