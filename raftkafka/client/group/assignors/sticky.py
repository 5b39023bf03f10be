"""Kafka's StickyAssignor (KIP-54): even, and a member gets back what it had. Pure.

All members stop before they join (eager), so what they had is told in the user data, in Kafka's format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from struct import Struct, error
from typing import Final

from raftkafka.client.group.assignors.balance import spread_sticky
from raftkafka.client.group.assignors.values import NO_GENERATION, Member, Spread
from raftkafka.client.types import TopicPartition

_INT16: Final = Struct(">h")
_INT32: Final = Struct(">i")


class StickyAssignor:
    __slots__ = ("_generation", "_mine")

    name: Final = "sticky"
    cooperative: Final = False

    def __init__(self) -> None:
        self._mine: tuple[TopicPartition, ...] = ()
        self._generation = NO_GENERATION

    def user_data(self) -> bytes | None:
        return encode_owned(self._mine, self._generation)

    def assigned(self, partitions: Sequence[TopicPartition], generation: int) -> None:
        self._mine, self._generation = tuple(partitions), generation

    def assign(self, partitions: Mapping[str, int], members: Sequence[Member]) -> Spread:
        known = [_with_memory(member) for member in members]
        return spread_sticky(partitions, known)


def _with_memory(member: Member) -> Member:
    owned, generation = decode_owned(member.user_data)
    return replace(member, owned=owned, generation=generation)


def encode_owned(owned: Sequence[TopicPartition], generation: int) -> bytes:
    """Kafka's STICKY_ASSIGNOR_USER_DATA_V1: an array of topic and partitions, and the generation."""
    topics: dict[str, list[int]] = {}
    for topic, partition in owned:
        topics.setdefault(topic, []).append(partition)
    parts = [_INT32.pack(len(topics))]
    for topic, numbers in topics.items():
        name = topic.encode()
        parts += (_INT16.pack(len(name)), name, _INT32.pack(len(numbers)))
        parts += map(_INT32.pack, numbers)
    return b"".join([*parts, _INT32.pack(generation)])


def decode_owned(user_data: bytes | None) -> tuple[tuple[TopicPartition, ...], int]:
    """Bytes that cannot be read say nothing: that member is spread as if it had had nothing (as Kafka does)."""
    if not user_data:
        return (), NO_GENERATION
    try:
        return _decode(memoryview(user_data))
    except (error, ValueError):
        return (), NO_GENERATION


def _decode(view: memoryview) -> tuple[tuple[TopicPartition, ...], int]:
    at = 0

    def take(kind: Struct) -> int:
        nonlocal at
        (number,) = kind.unpack_from(view, at)
        at += kind.size
        return int(number)

    def counted(size: int, count: int) -> int:
        if not 0 <= count <= (len(view) - at) // size:
            raise ValueError(f"{count} is no possible count")
        return count

    def entries() -> Iterator[TopicPartition]:
        nonlocal at
        for _ in range(counted(_INT16.size, take(_INT32))):
            length = counted(1, take(_INT16))
            topic, at = str(view[at : at + length], "utf-8"), at + length
            for _ in range(counted(_INT32.size, take(_INT32))):
                yield TopicPartition(topic, take(_INT32))

    owned = tuple(entries())
    # Version 0 ends here; whoever speaks it has no generation.
    return owned, take(_INT32) if at < len(view) else NO_GENERATION
