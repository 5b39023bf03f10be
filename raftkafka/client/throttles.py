"""Replication throttles for the time of a reassignment: set with it, cleared when it is verified (KIP-73). Floor 3.

What is copied is held up on its way out of the replicas that are there and on its way into those that are added; members of the
ISR are not held up, whatever is set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from raftkafka.client.configs import ConfigResource
from raftkafka.model.api.configs import AlterableConfig, AlterOperation, ResourceType

if TYPE_CHECKING:
    from raftkafka.client.admin import Admin
    from raftkafka.client.spreading import Replicas
    from raftkafka.client.types import TopicPartition
    from raftkafka.model.api.reassignments import OngoingReassignment

LEADERS: Final = "leader.replication.throttled.replicas"
FOLLOWERS: Final = "follower.replication.throttled.replicas"
RATES: Final = ("leader.replication.throttled.rate", "follower.replication.throttled.rate")

Moves = Mapping["TopicPartition", tuple[frozenset[int], frozenset[int]]]
"""Of each partition: the brokers that have it, and those that get it."""


def moves_of(
    ongoing: Mapping[TopicPartition, OngoingReassignment],
    targets: Mapping[TopicPartition, Replicas],
    now: Mapping[TopicPartition, Replicas],
) -> Moves:
    """What is under way, and what is to begin in its place or beside it."""
    moves = {
        partition: (
            frozenset(map(int, each.replicas)) - frozenset(map(int, each.adding_replicas)),
            frozenset(map(int, each.adding_replicas)),
        )
        for partition, each in ongoing.items()
    }
    for partition, replicas in targets.items():
        sources = moves[partition][0] if partition in moves else frozenset(now[partition])
        moves[partition] = (sources, frozenset(replicas) - sources)
    return moves


def topic_values(moves: Moves) -> dict[str, tuple[str, str]]:
    """The throttled replicas of each topic, those that lead and those that follow: `partition:broker,...`."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for partition in sorted(moves):
        leaders, followers = found.setdefault(partition.topic, ([], []))
        sources, destinations = moves[partition]
        leaders += [f"{partition.partition}:{node}" for node in sorted(sources)]
        followers += [f"{partition.partition}:{node}" for node in sorted(destinations)]
    return {topic: (",".join(leaders), ",".join(followers)) for topic, (leaders, followers) in found.items()}


async def set_throttles(admin: Admin, moves: Moves, bytes_per_second: int) -> None:
    """Raises ApiError."""
    brokers = sorted({node for each in moves.values() for nodes in each for node in nodes})
    topics = {
        ConfigResource(ResourceType.TOPIC, topic): [
            AlterableConfig(name=key, value=value)
            for key, value in zip((LEADERS, FOLLOWERS), values, strict=True)
            if value
        ]
        for topic, values in topic_values(moves).items()
    }
    rates = [AlterableConfig(name=key, value=str(bytes_per_second)) for key in RATES]
    await admin.alter_configs(topics)
    await admin.alter_configs({ConfigResource(ResourceType.BROKER, str(node)): rates for node in brokers})


async def clear_throttles(admin: Admin, brokers: Iterable[int], topics: Iterable[str]) -> None:
    """Of all these, since nobody knows any more what was set. Raises ApiError."""

    def deletions(keys: Iterable[str]) -> list[AlterableConfig]:
        return [AlterableConfig(name=key, operation=AlterOperation.DELETE) for key in keys]

    # The rates last: whoever sees that no broker has one sees that nothing is left.
    await admin.alter_configs(
        {ConfigResource(ResourceType.TOPIC, topic): deletions((LEADERS, FOLLOWERS)) for topic in topics}
    )
    await admin.alter_configs({ConfigResource(ResourceType.BROKER, str(node)): deletions(RATES) for node in brokers})
