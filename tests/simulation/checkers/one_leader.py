"""I2: at most one leader per partition and leader epoch."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History


def check(history: History) -> Iterator[str]:
    leaders: dict[tuple[object, int], str] = {}
    for event in history.led:
        first = leaders.setdefault((event.partition, event.leader_epoch), event.node)
        if first != event.node:
            yield (
                f"I2: {event.partition[0].hex()[:8]}-{event.partition[1]} is led in epoch {event.leader_epoch} "
                f"by {first} and, from {event.at:.3f}, by {event.node}"
            )
