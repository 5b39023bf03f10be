"""I1: a record acknowledged with acks=all survives while fewer than min.insync.replicas disks lose what they synced."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History


def check(history: History) -> Iterator[str]:
    if history.stranded or len(history.lossy) >= history.min_insync_replicas:
        return
    there: dict[tuple[object, int], set[bytes]] = {}
    starts: dict[object, int] = {}
    for replica in history.replicas:
        starts[replica.partition] = max(starts.get(replica.partition, 0), replica.log_start)
        for record in replica.records:
            if record.offset < replica.high_watermark:
                there.setdefault((replica.partition, record.offset), set()).add(record.value)
    for ack in history.acknowledged:
        topic = ack.partition[0]
        if topic in history.deleted or ack.offset < starts.get(ack.partition, 0):
            continue
        found = there.get((ack.partition, ack.offset), set())
        if ack.value not in found:
            yield (
                f"I1: {ack.value!r} was acknowledged at {ack.at:.3f} as {ack.partition} offset {ack.offset}, "
                f"where there is {sorted(found) or 'nothing committed'}"
            )
