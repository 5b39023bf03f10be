"""What consumers tell each other in a rebalance: Subscription (to the leader, in JoinGroup) and Assignment (back, in SyncGroup).

Floor 1, pure. The bytes are Kafka's ConsumerProtocol, versions 0 to 3 (ConsumerProtocolSubscription.json and
ConsumerProtocolAssignment.json): 1 added the owned partitions (KIP-429), 2 the generation (KIP-792), 3 the rack (KIP-881). As
in Kafka, a version above 3 is read as 3, and what follows is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from raftkafka.group.primitives import Reader, Writer
from raftkafka.model.errors import ProtocolError
from raftkafka.model.ids import NO_GENERATION, GenerationId, PartitionIndex

PROTOCOL_TYPE: Final = "consumer"
VERSION_MAX: Final = 3

AssignedPartition = tuple[str, PartitionIndex]
"""A topic's name and one of its partitions."""

_TOPIC_MIN_BYTES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """`owned_partitions` and `generation_id`: what this member had, and since when; a newer claim beats an older one."""

    topics: tuple[str, ...]
    user_data: bytes | None = None
    owned_partitions: tuple[AssignedPartition, ...] = ()
    generation_id: GenerationId = NO_GENERATION
    rack_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    partitions: tuple[AssignedPartition, ...] = ()
    user_data: bytes | None = None


def encode_subscription(value: Subscription, version: int = VERSION_MAX) -> bytes:
    """Topics and owned partitions are written in order, as Kafka's clients do.

    Raises:
        ValueError: a version that Kafka 3.9 does not know, or a string of more than 32,767 bytes.
    """
    writer = _begin(version)
    writer.int32(len(value.topics))
    for topic in sorted(value.topics):
        writer.string(topic)
    writer.byte_string(value.user_data)
    if version >= 1:
        _write_partitions(writer, sorted(value.owned_partitions))
    if version >= 2:
        writer.int32(value.generation_id)
    if version >= 3:
        writer.string(value.rack_id)
    return writer.done()


def decode_subscription(raw: bytes) -> Subscription:
    """
    Raises:
        ProtocolError: these are not the bytes of a subscription.
    """
    reader = _open(raw)
    topics = tuple([reader.string() for _ in range(reader.count(2))])
    user_data = reader.nullable_byte_string()
    version = reader.version
    return Subscription(
        topics=topics,
        user_data=user_data,
        owned_partitions=_read_partitions(reader) if version >= 1 else (),
        generation_id=GenerationId(reader.int32()) if version >= 2 else NO_GENERATION,
        rack_id=reader.nullable_string() if version >= 3 else None,
    )


def encode_assignment(value: Assignment, version: int = VERSION_MAX) -> bytes:
    """
    Raises:
        ValueError: a version that Kafka 3.9 does not know, or a topic of more than 32,767 bytes.
    """
    writer = _begin(version)
    _write_partitions(writer, value.partitions)
    writer.byte_string(value.user_data)
    return writer.done()


def decode_assignment(raw: bytes) -> Assignment:
    """
    Raises:
        ProtocolError: these are not the bytes of an assignment.
    """
    reader = _open(raw)
    partitions = _read_partitions(reader)
    return Assignment(partitions=partitions, user_data=reader.nullable_byte_string())


def _begin(version: int) -> Writer:
    if not 0 <= version <= VERSION_MAX:
        raise ValueError(f"the consumer protocol has versions 0 to {VERSION_MAX}, not {version}")
    return Writer(version)


def _open(raw: bytes) -> Reader:
    reader = Reader(raw)
    if reader.version < 0:
        raise ProtocolError(f"the consumer protocol has no version {reader.version}")
    return reader


def _write_partitions(writer: Writer, partitions: Iterable[AssignedPartition]) -> None:
    """Grouped by topic, in the order in which topics come first."""
    grouped: dict[str, list[int]] = {}
    for topic, partition in partitions:
        grouped.setdefault(topic, []).append(partition)
    writer.int32(len(grouped))
    for topic, indexes in grouped.items():
        writer.string(topic)
        writer.int32s(tuple(indexes))


def _read_partitions(reader: Reader) -> tuple[AssignedPartition, ...]:
    found: list[AssignedPartition] = []
    for _ in range(reader.count(_TOPIC_MIN_BYTES)):
        topic = reader.string()
        found.extend((topic, PartitionIndex(index)) for index in reader.int32s())
    return tuple(found)
