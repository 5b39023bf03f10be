"""I7: the high watermark shown to a consumer never goes back."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History


def check(history: History) -> Iterator[str]:
    if len(history.lossy) >= history.min_insync_replicas:
        return
    highest: dict[object, tuple[int, float]] = {}
    for event in history.watermarks:
        if event.partition[0] in history.deleted:
            continue
        key = event.reader, event.partition
        known, at = highest.get(key, (0, 0.0))
        if event.high_watermark < known:
            yield (
                f"I7: {event.partition}: {event.reader} was shown {known} at {at:.3f} "
                f"and {event.high_watermark} at {event.at:.3f}"
            )
        else:
            highest[key] = event.high_watermark, event.at
