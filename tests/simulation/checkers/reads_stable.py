"""I6: what was once read at an offset never changes or disappears, for any reader, nor in the logs at the end."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History


def check(history: History) -> Iterator[str]:
    if len(history.lossy) >= history.min_insync_replicas:
        return
    seen: dict[tuple[object, int], tuple[bytes, str, float]] = {}
    for read in history.reads:
        if read.partition[0] in history.deleted:
            continue
        value, reader, at = seen.setdefault((read.partition, read.offset), (read.value, read.reader, read.at))
        if value != read.value:
            yield (
                f"I6: {read.partition} offset {read.offset}: {reader} read {value!r} at {at:.3f}, "
                f"{read.reader} {read.value!r} at {read.at:.3f}"
            )
    for replica in history.replicas:
        if replica.partition[0] in history.deleted:
            continue
        for record in replica.records:
            known = seen.get((replica.partition, record.offset))
            if record.offset < replica.high_watermark and known is not None and known[0] != record.value:
                yield (
                    f"I6: {replica.partition} offset {record.offset}: {known[1]} read {known[0]!r} at {known[2]:.3f}, "
                    f"{replica.node} has {record.value!r} at the end"
                )
    ends: dict[object, int] = {}
    for replica in history.replicas:
        ends[replica.partition] = max(ends.get(replica.partition, 0), replica.high_watermark)
    for (partition, offset), (value, reader, at) in seen.items():
        if partition in ends and offset >= ends[partition]:
            yield f"I6: {partition} offset {offset} ({value!r}, read by {reader} at {at:.3f}) is beyond the end now"
    positions: dict[tuple[str, object], int] = {}
    for read in history.reads:
        key = read.reader, read.partition
        expected = positions.get(key)
        skips = read.partition[0] in history.compacted and expected is not None and read.offset > expected
        if expected is not None and read.offset != expected and not skips and read.partition[0] not in history.deleted:
            yield f"I6: {read.reader} reads {read.partition} offset {read.offset} at {read.at:.3f}, not {expected}"
        positions[key] = read.offset + 1
