"""Kafka's RangeAssignor: topic by topic, each member gets a range of partitions; the first members get the rest. Pure.

Topics with the same number of partitions and the same subscribers are spread alike, so partition n of each goes to one member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from raftkafka.client.group.assignors.values import Member, Memoryless, Spread, in_order, partitions_of, subscribers


class RangeAssignor(Memoryless):
    __slots__ = ()

    name: Final = "range"
    cooperative: Final = False

    def assign(self, partitions: Mapping[str, int], members: Sequence[Member]) -> Spread:
        spread: Spread = {member.member_id: [] for member in members}
        for topic, wanting in subscribers(partitions, in_order(members)).items():
            each, more = divmod(partitions[topic], len(wanting))
            numbered = partitions_of(topic, partitions[topic])
            start = 0
            for place, member in enumerate(wanting):
                end = start + each + (place < more)
                spread[member.member_id] += numbered[start:end]
                start = end
        return spread
