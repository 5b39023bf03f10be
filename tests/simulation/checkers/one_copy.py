"""I8: of an idempotent producer there is one copy of each record, in the order of sending, and where the producer was told.

Its records are `<name>-<number of six digits>`, numbered in the order of sending over all partitions.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History, Replica


def check(history: History) -> Iterator[str]:
    for replica in history.replicas:
        if replica.partition[0] not in history.deleted:
            yield from _check_replica(history, replica)


def _check_replica(history: History, replica: Replica) -> Iterator[str]:
    where = f"{replica.partition} of {replica.node}"
    places: dict[bytes, int] = {}
    last: dict[bytes, int] = {}
    for record in replica.records:
        sent = _sent(history, record.value)
        if sent is None or record.offset >= replica.high_watermark:
            continue
        name, number = sent
        if record.value in places:
            yield f"I8: {record.value[:20]!r} is at {places[record.value]} and at {record.offset} of {where}"
        elif number <= last.get(name, -1):
            yield f"I8: {record.value[:20]!r} is at {record.offset} of {where}, behind number {last[name]}"
        places.setdefault(record.value, record.offset)
        last[name] = max(number, last.get(name, -1))
    excused = history.stranded or len(history.lossy) >= history.min_insync_replicas
    for ack in history.acknowledged:
        sent = _sent(history, ack.value)
        if sent is None or ack.partition != replica.partition:
            continue
        found = places.get(ack.value)
        if found is not None and found != ack.offset:
            yield f"I8: {ack.value[:20]!r} was acknowledged as offset {ack.offset}, and is at {found} of {where}"
        elif found is None and not excused and ack.offset >= replica.log_start and sent[1] < last.get(sent[0], -1):
            yield f"I8: {ack.value[:20]!r}, acknowledged, is missing before number {last[sent[0]]} of {where}"


def _sent(history: History, value: bytes) -> tuple[bytes, int] | None:
    """The producer and its number; None for what no idempotent producer sent."""
    name, _, rest = value.partition(b"-")
    return (name, int(rest[:6])) if name in history.idempotent else None
