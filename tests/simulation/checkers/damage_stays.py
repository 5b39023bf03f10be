"""I15: damaged bytes are never served nor replicated: what readers and replicas have is what a producer was given."""

from __future__ import annotations

from collections.abc import Iterator

from raftkafka.model.topics import OFFSETS_TOPIC
from tests.simulation.history import History


def check(history: History) -> Iterator[str]:
    for event in history.damaged:
        yield (
            f"I15: {event.partition[0].hex()[:8]}-{event.partition[1]}: {event.node} {event.where} a damaged batch at "
            f"offset {event.base_offset} at {event.at:.3f}"
        )
    if not history.sent:
        return
    for read in history.reads:
        if read.partition[0] not in history.deleted and read.value not in history.sent:
            yield (
                f"I15: {read.reader} read {read.value!r} at {read.partition} offset {read.offset} at {read.at:.3f}, "
                "which nobody wrote"
            )
    for replica in history.replicas:
        if replica.partition[0] in history.deleted or replica.partition[0] == OFFSETS_TOPIC:
            continue
        for record in replica.records:
            if record.value not in history.sent:
                yield (
                    f"I15: {replica.node} has {record.value!r} at {replica.partition} offset {record.offset}, "
                    "which nobody wrote"
                )
