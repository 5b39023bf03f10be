"""How much replication traffic of listed replicas may pass: a token bucket, and the list (KIP-73).

Floor 1, pure. Only replicas that are listed *and* not in sync are ever held up: a throttle must not push anybody out of the ISR.
Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from typing import Final

UNLIMITED: Final = (1 << 63) - 1
"""Kafka's default of `leader.replication.throttled.rate` and `follower.replication.throttled.rate`."""

BURST_S: Final = 1.0
"""So many seconds' worth may pass at once after a pause."""


def is_listed(text: str | None, partition: int, node_id: int) -> bool:
    """True when the list names this partition's replica on this broker."""
    if not text:
        return False
    return text == "*" or f"{partition}:{node_id}" in text.split(",")


class Throttle:
    """`rate` bytes per second. A batch passes whole: what it takes too much has to be made up for before the next."""

    __slots__ = ("_at", "_tokens", "rate")

    def __init__(self, *, rate: int, now: float) -> None:
        self.rate = rate
        self._tokens = rate * BURST_S
        self._at = now

    def is_exceeded(self, now: float) -> bool:
        self._refill(now)
        return self._tokens <= 0

    def record(self, count: int, now: float) -> None:
        """So many bytes have passed."""
        self._refill(now)
        self._tokens -= count

    def pause_s(self, now: float) -> float:
        """Seconds until something may pass again."""
        self._refill(now)
        return max(0.0, -self._tokens / self.rate)

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self.rate * BURST_S, self._tokens + (now - self._at) * self.rate)
            self._at = now
