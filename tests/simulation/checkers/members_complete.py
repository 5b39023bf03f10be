"""I4: every member of the ISR and of the ELR holds all committed records, at any time, unless its disk lost what it had."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History


def check(history: History) -> Iterator[str]:
    if len(history.lossy) >= history.min_insync_replicas:
        return
    for event in history.members:
        if event.log_end < event.committed and event.node not in history.lossy:
            yield (
                f"I4: {event.partition[0].hex()[:8]}-{event.partition[1]}: {event.node} is in the {event.role} at "
                f"{event.at:.3f} and ends at {event.log_end}, {event.committed} is committed"
            )
