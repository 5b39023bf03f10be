"""I12: one owner per partition per generation, however often and of whomever a member asks."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History


def check(history: History) -> Iterator[str]:
    if history.stranded or len(history.lossy) >= history.min_insync_replicas:
        return  # a generation that was lost with its disks is decided again under the same number
    owners: dict[tuple[int, int], str] = {}
    shares: dict[tuple[int, str], tuple[int, ...]] = {}
    for each in history.assigned:
        share = shares.setdefault((each.generation, each.member), each.partitions)
        if share != each.partitions:
            yield (
                f"I12: {each.member} was given {each.partitions} at {each.at:.3f} in generation {each.generation}, "
                f"and {share} before"
            )
        for partition in each.partitions:
            owner = owners.setdefault((each.generation, partition), each.member)
            if owner != each.member:
                yield (
                    f"I12: {each.member} was given partition {partition} at {each.at:.3f} in generation "
                    f"{each.generation}, which {owner} has"
                )
