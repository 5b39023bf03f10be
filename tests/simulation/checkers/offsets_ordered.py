"""I13: log start <= high watermark <= log end on every replica at any time, and log start is monotone in one life."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History


def check(history: History) -> Iterator[str]:
    starts: dict[object, int] = {}
    for event in history.seen:
        where = f"{event.partition[0].hex()[:8]}-{event.partition[1]} on {event.node} at {event.at:.3f}"
        if not event.log_start <= event.high_watermark <= event.log_end:
            yield f"I13: {where}: start {event.log_start}, HW {event.high_watermark}, end {event.log_end}"
        key = event.node, event.life, event.partition, event.opening
        if event.log_start < starts.get(key, 0):
            yield f"I13: {where}: the log start goes back from {starts[key]} to {event.log_start}"
        starts[key] = event.log_start
