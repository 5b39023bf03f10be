"""The work of the sticky assignors: as even as subscriptions allow, and as little moved as that allows. Pure.

Where all members want the same topics, their numbers of partitions differ by at most one and no even spread would keep more in place.
Else no partition could go to a member that wants it and has at least two fewer; to get there, single partitions
move, as in Kafka's AbstractStickyAssignor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.client.group.assignors.claims import rightful
from raftkafka.client.group.assignors.values import Member, Spread, partitions_of, subscribers
from raftkafka.client.types import TopicPartition


def spread_sticky(partitions: Mapping[str, int], members: Sequence[Member]) -> Spread:
    """`members` say in `owned` and `generation` what they had."""
    if not members:
        return {}
    kept = rightful(partitions, members)
    wanting = {
        topic: [member.member_id for member in wants] for topic, wants in subscribers(partitions, members).items()
    }
    taken = {partition for mine in kept.values() for partition in mine}
    free = [each for topic in wanting for each in partitions_of(topic, partitions[topic]) if each not in taken]
    if all(len(each) == len(members) for each in wanting.values()):
        return _spread_alike(kept, free)
    return _spread_apart(kept, free, wanting)


def _spread_alike(kept: Spread, free: list[TopicPartition]) -> Spread:
    """Everybody wants everything: fill all to the lower quota, then as many as need be to the higher one."""
    low, higher = divmod(sum(map(len, kept.values())) + len(free), len(kept))
    spread: Spread = {}
    for member_id in sorted(kept):
        mine = kept[member_id]
        room = low
        if len(mine) > low and higher:
            room, higher = low + 1, higher - 1
        spread[member_id] = mine[:room]
        free += mine[room:]
    free.sort(reverse=True)
    hungry = [member_id for member_id, mine in spread.items() if len(mine) < low]
    while hungry:
        for member_id in hungry:
            spread[member_id].append(free.pop())
        hungry = [member_id for member_id in hungry if len(spread[member_id]) < low]
    for member_id in [member_id for member_id, mine in spread.items() if len(mine) == low][: len(free)]:
        spread[member_id].append(free.pop())
    return spread


def _spread_apart(kept: Spread, free: list[TopicPartition], wanting: Mapping[str, Sequence[str]]) -> Spread:
    """Members want different topics: the hardest to place first, then single moves as long as one makes it more even."""
    spread = {member_id: list(mine) for member_id, mine in kept.items()}

    def least_loaded(topic: str) -> str:
        return min(wanting[topic], key=lambda member_id: (len(spread[member_id]), member_id))

    for partition in sorted(free, key=lambda each: (len(wanting[each.topic]), each)):
        spread[least_loaded(partition.topic)].append(partition)
    owner = {partition: member_id for member_id, mine in spread.items() for partition in mine}
    movable = sorted(
        (each for each in owner if len(wanting[each.topic]) > 1), key=lambda each: (len(wanting[each.topic]), each)
    )
    moved = True
    while moved:  # ends: every move makes the sum of squares smaller
        moved = False
        for partition in movable:
            giver, taker = owner[partition], least_loaded(partition.topic)
            if len(spread[giver]) > len(spread[taker]) + 1:
                spread[giver].remove(partition)
                spread[taker].append(partition)
                owner[partition] = taker
                moved = True
    return spread
