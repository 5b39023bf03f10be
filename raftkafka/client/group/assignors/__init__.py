"""How the partitions of subscribed topics are spread over the members of a group; the group's leader computes it. Pure.

The names and what they do are Kafka's, so that members of both kinds may share a group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from raftkafka.client.group.assignors.cooperative import CooperativeStickyAssignor
from raftkafka.client.group.assignors.range import RangeAssignor
from raftkafka.client.group.assignors.round_robin import RoundRobinAssignor
from raftkafka.client.group.assignors.sticky import StickyAssignor
from raftkafka.client.group.assignors.values import Assignor, Member, Spread
from raftkafka.model.errors import ConfigurationError

ASSIGNORS: Final[Mapping[str, Callable[[], Assignor]]] = {
    RangeAssignor.name: RangeAssignor,
    RoundRobinAssignor.name: RoundRobinAssignor,
    StickyAssignor.name: StickyAssignor,
    CooperativeStickyAssignor.name: CooperativeStickyAssignor,
}

__all__ = ["ASSIGNORS", "Assignor", "Member", "Spread", "assignors_of"]


def assignors_of(strategy: Iterable[str | Assignor]) -> tuple[Assignor, ...]:
    """One of each that `partition.assignment.strategy` names, the preferred one first; the application may bring its own.

    Raises:
        ConfigurationError: there is no such assignor, one is named twice, or none is.
    """
    found: dict[str, Assignor] = {}
    for each in (strategy,) if isinstance(strategy, str) else strategy:
        if isinstance(each, str) and each not in ASSIGNORS:
            known = ", ".join(ASSIGNORS)
            raise ConfigurationError(f"partition_assignment_strategy: there is no assignor {each!r}, only {known}")
        assignor = ASSIGNORS[each]() if isinstance(each, str) else each
        if assignor.name in found:
            raise ConfigurationError(f"partition_assignment_strategy names {assignor.name!r} twice")
        found[assignor.name] = assignor
    if not found:
        raise ConfigurationError("partition_assignment_strategy names no assignor")
    return tuple(found.values())
