"""Which of the partitions that members say they own are theirs to keep. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.client.group.assignors.values import Member
from raftkafka.client.types import TopicPartition


def rightful(partitions: Mapping[str, int], members: Sequence[Member]) -> dict[str, list[TopicPartition]]:
    """By member id, sorted: of partitions that exist, in topics that the member still wants.

    Of several owners the one of the latest generation is right: the others were away when theirs was given to somebody else. Two of
    one generation cannot both be, so neither is (as Kafka's AbstractStickyAssignor has it).
    """
    owners: dict[TopicPartition, tuple[int, Member | None]] = {}
    for member in members:
        for partition in dict.fromkeys(member.owned):
            rival = owners.get(partition)
            if rival is None or member.generation > rival[0]:
                owners[partition] = (member.generation, member)
            elif member.generation == rival[0]:
                owners[partition] = (member.generation, None)
    kept: dict[str, list[TopicPartition]] = {member.member_id: [] for member in members}
    for partition in sorted(owners):
        owner = owners[partition][1]
        if (
            owner is not None
            and partition.topic in owner.topics
            and 0 <= partition.partition < partitions.get(partition.topic, 0)
        ):
            kept[owner.member_id].append(partition)
    return kept
