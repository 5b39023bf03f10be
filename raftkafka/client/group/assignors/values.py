"""What assignors speak of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from raftkafka.client.types import TopicPartition

Spread = dict[str, list[TopicPartition]]
"""The partitions of each member, by member id; a member that gets none is there with an empty list."""

NO_GENERATION: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What a member has told the leader. `owned` is what it reads now, and `generation` the one in which it was given."""

    member_id: str
    group_instance_id: str | None = None
    topics: tuple[str, ...]
    owned: tuple[TopicPartition, ...] = ()
    generation: int = NO_GENERATION
    user_data: bytes | None = None


class Assignor(Protocol):
    """`cooperative`: members keep what they read while the group rebalances (KIP-429), so a partition that changes hands is
    withheld for one generation; else all members stop before they join.
    """

    @property
    def name(self) -> str: ...

    @property
    def cooperative(self) -> bool: ...

    def user_data(self) -> bytes | None:
        """What this member tells the leader's assignor beyond its topics."""
        ...

    def assign(self, partitions: Mapping[str, int], members: Sequence[Member]) -> Spread:
        """`partitions`: the number of partitions of each topic that exists."""
        ...

    def assigned(self, partitions: Sequence[TopicPartition], generation: int) -> None:
        """This member was given these."""
        ...


class Memoryless:
    """An assignor that knows no more than this round's members."""

    __slots__ = ()

    def user_data(self) -> bytes | None:
        return None

    def assigned(self, partitions: Sequence[TopicPartition], generation: int) -> None:
        """Nothing to remember."""


def in_order(members: Sequence[Member]) -> list[Member]:
    """Static members by their instance ids, which outlive restarts (KIP-345), then the others by their member ids."""
    return sorted(members, key=_order)


def _order(member: Member) -> tuple[bool, str]:
    instance = member.group_instance_id
    return (True, member.member_id) if instance is None else (False, instance)


def subscribers(partitions: Mapping[str, int], members: Sequence[Member]) -> dict[str, list[Member]]:
    """Who wants each topic that exists; topics in the order of their names, members in that of `members`."""
    wanted: dict[str, list[Member]] = {}
    for member in members:
        for topic in dict.fromkeys(member.topics):
            wanted.setdefault(topic, []).append(member)
    return {topic: wanted[topic] for topic in sorted(wanted) if partitions.get(topic, 0) > 0}


def partitions_of(topic: str, count: int) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(count)]
