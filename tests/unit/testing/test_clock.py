"""The clock follows the system's, and goes where the test moves it."""

from __future__ import annotations

import time

from raftkafka.testing.clock import MovableClock


def test_it_moves_and_goes_on() -> None:
    clock = MovableClock()
    assert _between(clock, 0)
    clock.advance(3_600)
    assert _between(clock, 3_600_000)
    clock.advance(-0.5)
    assert _between(clock, 3_599_500)


def _between(clock: MovableClock, moved_ms: int) -> bool:
    """Exactly `moved_ms` ahead of the system's clock, as far as two looks at it can tell."""
    before = time.time_ns() // 1_000_000
    now = clock.now_ms()
    return before <= now - moved_ms <= time.time_ns() // 1_000_000
