"""Kafka's RoundRobinAssignor: the partitions of all topics are dealt out like cards; who does not want one is passed over. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Final

from raftkafka.client.group.assignors.values import Member, Memoryless, Spread, in_order, partitions_of, subscribers


class RoundRobinAssignor(Memoryless):
    __slots__ = ()

    name: Final = "roundrobin"
    cooperative: Final = False

    def assign(self, partitions: Mapping[str, int], members: Sequence[Member]) -> Spread:
        spread: Spread = {member.member_id: [] for member in members}
        ordered = in_order(members)
        turn = cycle(ordered)
        for topic, wanting in subscribers(partitions, ordered).items():
            wants = {member.member_id for member in wanting}
            for partition in partitions_of(topic, partitions[topic]):
                # Somebody wants it, or the topic would not be here.
                taker = next(member for member in turn if member.member_id in wants)
                spread[taker.member_id].append(partition)
        return spread
