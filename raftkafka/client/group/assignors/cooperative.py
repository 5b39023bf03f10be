"""Kafka's CooperativeStickyAssignor (KIP-429): as sticky, and members go on reading what they keep. Pure.

Invariant: a partition that somebody still owns is given to nobody else in this generation. Its owner, who finds it missing in its share,
gives it up and joins again, and the next generation hands it on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from struct import Struct
from typing import Final

from raftkafka.client.group.assignors.balance import spread_sticky
from raftkafka.client.group.assignors.values import NO_GENERATION, Member, Spread
from raftkafka.client.types import TopicPartition

_GENERATION: Final = Struct(">i")


class CooperativeStickyAssignor:
    __slots__ = ("_generation",)

    name: Final = "cooperative-sticky"
    cooperative: Final = True

    def __init__(self) -> None:
        self._generation = NO_GENERATION

    def user_data(self) -> bytes | None:
        """The generation, for leaders that look for it here and not in the subscription (before KIP-792)."""
        return _GENERATION.pack(self._generation)

    def assigned(self, partitions: Sequence[TopicPartition], generation: int) -> None:
        self._generation = generation

    def assign(self, partitions: Mapping[str, int], members: Sequence[Member]) -> Spread:
        known = [_with_generation(member) for member in members]
        return _withhold_moving(spread_sticky(partitions, known), known)


def _with_generation(member: Member) -> Member:
    if (
        member.generation == NO_GENERATION
        and member.user_data is not None
        and len(member.user_data) == _GENERATION.size
    ):
        return replace(member, generation=_GENERATION.unpack(member.user_data)[0])
    return member


def _withhold_moving(spread: Spread, members: Sequence[Member]) -> Spread:
    owners: dict[TopicPartition, set[str]] = {}
    for member in members:
        for partition in member.owned:
            owners.setdefault(partition, set()).add(member.member_id)
    return {
        member_id: [each for each in mine if each not in owners or member_id in owners[each]]
        for member_id, mine in spread.items()
    }
