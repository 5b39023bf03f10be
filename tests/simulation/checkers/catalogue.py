"""All checkers, by the invariant they guard."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.simulation.checkers import (
    acknowledged_survives,
    bounded,
    commits_stand,
    compaction_keeps,
    damage_stays,
    heals,
    members_complete,
    metadata_linear,
    offsets_ordered,
    one_copy,
    one_leader,
    one_owner,
    reads_stable,
    replicas_alike,
    unknown_not_failed,
    watermark_monotone,
    watermark_waits,
)
from tests.simulation.history import History

CHECKERS: dict[str, Callable[[History], Iterable[str]]] = {
    "I1": acknowledged_survives.check,
    "I2": one_leader.check,
    "I3": replicas_alike.check,
    "I4": members_complete.check,
    "I5": watermark_waits.check,
    "I6": reads_stable.check,
    "I7": watermark_monotone.check,
    "I8": one_copy.check,
    "I11": commits_stand.check,
    "I12": one_owner.check,
    "I13": offsets_ordered.check,
    "I14": compaction_keeps.check,
    "I15": damage_stays.check,
    "I16": metadata_linear.check,
    "I17": heals.check,
    "I17 bounds": bounded.check,
    "I18": unknown_not_failed.check,
}


def violations(history: History) -> list[str]:
    """At most three per invariant: the first ones tell."""
    found: list[str] = []
    for check in CHECKERS.values():
        for number, violation in enumerate(check(history)):
            if number == 3:
                break
            found.append(violation)
    return found
