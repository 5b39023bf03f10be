"""I14: compaction keeps each key's last value, changes no record that it keeps, and removes nothing but the superseded."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History, Keyed


def check(history: History) -> Iterator[str]:
    if history.stranded or len(history.lossy) >= history.min_insync_replicas:
        return
    newest: dict[tuple[object, bytes], Keyed] = {}
    written: dict[tuple[object, int], Keyed] = {}
    for ack in history.keyed:
        written[ack.partition, ack.offset] = ack
        known = newest.get((ack.partition, ack.key))
        if known is None or ack.offset > known.offset:
            newest[ack.partition, ack.key] = ack
    for replica in history.replicas:
        if replica.partition[0] not in history.compacted:
            continue
        where = f"{replica.partition} on {replica.node}"
        last: dict[bytes | None, int] = {}
        there: set[int] = set()
        for record in replica.records:
            last[record.key] = record.offset
            there.add(record.offset)
            ack = written.get((replica.partition, record.offset))
            if ack is not None and (ack.key, ack.value or b"") != (record.key, record.value):
                yield f"I14: {where} offset {record.offset}: {record.value!r} stands where {ack.value!r} was acknowledged"
        for (partition, key), ack in newest.items():
            if partition != replica.partition or ack.offset < replica.log_start:
                continue
            if ack.value is None or key in history.perhaps_deleted:
                # A tombstone may go in its time, and what it covers was allowed to go before.
                continue
            if ack.offset not in there and last.get(key, -1) < ack.offset:
                yield (
                    f"I14: {where}: the last value of {key!r} is {ack.value!r}, acknowledged at {ack.at:.3f} as offset "
                    f"{ack.offset}; it is gone, what is left of the key ends at {last.get(key)}"
                )
