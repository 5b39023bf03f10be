"""I18: an outcome that nobody knows is never reported as a failure: what was said not to be written is not there."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History


def check(history: History) -> Iterator[str]:
    refused = {event.value: event for event in history.unacknowledged if event.unsent}
    for replica in history.replicas:
        for record in replica.records:
            event = refused.get(record.value)
            if event is not None and record.offset < replica.high_watermark:
                yield (
                    f"I18: {record.value!r} was refused at {event.at:.3f} ({event.error}) and lies at "
                    f"{replica.partition} offset {record.offset} of {replica.node}"
                )
