"""I3: below the lowest high watermark all replicas hold identical records, without gaps, once a run has healed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.simulation.history import History, Replica


def check(history: History) -> Iterator[str]:
    by_partition: dict[object, list[Replica]] = {}
    for replica in history.replicas:
        by_partition.setdefault(replica.partition, []).append(replica)
    for partition, replicas in by_partition.items():
        compacted = replicas[0].partition[0] in history.compacted
        start = max(replica.log_start for replica in replicas)
        end = min(replica.high_watermark for replica in replicas)
        first = {record.offset: record for record in replicas[0].records if start <= record.offset < end}
        for other in replicas[1:]:
            second = {record.offset: record for record in other.records if start <= record.offset < end}
            for offset in range(start, end):
                if compacted and (offset not in first or offset not in second):
                    # Every replica compacts in its own time; I14 says what must be there.
                    continue
                if first.get(offset) != second.get(offset):
                    yield (
                        f"I3: {partition} offset {offset}: {replicas[0].node} has {first.get(offset)}, "
                        f"{other.node} has {second.get(offset)}"
                    )
                    break
        for replica in replicas:
            offsets = [record.offset for record in replica.records]
            if compacted:
                if any(before >= after for before, after in pairwise(offsets)):
                    yield f"I3: {partition} on {replica.node}: the offsets do not rise"
            elif offsets != list(range(replica.log_start, replica.log_end)):
                yield f"I3: {partition} on {replica.node}: the offsets have gaps or repeat: {_gap(offsets)}"


def _gap(offsets: list[int]) -> str:
    for before, after in pairwise(offsets):
        if after != before + 1:
            return f"{before} is followed by {after}"
    return f"{offsets[:1]} to {offsets[-1:]} do not match the log's ends"
