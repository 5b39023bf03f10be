"""I5: whoever the controller has in the ISR is counted: the high watermark passes nobody of them."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History


def check(history: History) -> Iterator[str]:
    for event in history.counted:
        passed = set(event.controllers_isr) - set(event.there)
        if passed:
            yield (
                f"I5: {event.partition[0].hex()[:8]}-{event.partition[1]}: {event.node} moved the high watermark to "
                f"{event.high_watermark} in epoch {event.leader_epoch} at {event.at:.3f} past {sorted(passed)} of the ISR "
                f"{list(event.controllers_isr)}"
            )
