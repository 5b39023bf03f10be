"""I17: after the faults heal there is progress, and every ISR is full, within a bound; no process stopped of its own."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History


def check(history: History) -> Iterator[str]:
    if not history.healed and not history.stranded:
        yield f"I17: not healed: {history.not_healed}"
    for event in history.unexpected:
        yield f"I17: {event}"
