"""The records of `__consumer_offsets`: offsets and groups in Kafka's binary format, which tools read.

Floor 1, pure. Keys and values are those that Kafka 3.9 writes (OffsetCommitKey 1, OffsetCommitValue 3, GroupMetadataKey 2,
GroupMetadataValue 3, in group-coordinator/src/main/resources/common/message); older versions are read, too, and so is version 4 of
both values, the first flexible one. Its tagged fields are passed over: the id of a topic, which is not told apart here. A record without a
value is a tombstone. Keys of other kinds (those of KIP-848 begin at 3) are of no concern here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from raftkafka.group.primitives import FlexibleReader, Reader, Writer
from raftkafka.model.errors import ProtocolError
from raftkafka.model.ids import (
    NO_EPOCH,
    NO_TIMESTAMP,
    GenerationId,
    GroupId,
    LeaderEpoch,
    MemberId,
    Offset,
    PartitionIndex,
    TimestampMs,
)

OFFSET_KEY_VERSION: Final = 1
OFFSET_VALUE_VERSION: Final = 3
GROUP_KEY_VERSION: Final = 2
GROUP_VALUE_VERSION: Final = 3
READ_VERSION_MAX: Final = 4
"""Of either value."""
FLEXIBLE_VERSION: Final = 4

_MEMBER_MIN_BYTES: Final = 15  # of version 4; of version 0 18


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedOffset:
    """`commit_timestamp_ms` by the coordinator's clock. `expire_timestamp_ms`: only in records of Kafka before 2.1."""

    offset: Offset
    leader_epoch: LeaderEpoch = NO_EPOCH
    metadata: str = ""
    commit_timestamp_ms: TimestampMs
    expire_timestamp_ms: TimestampMs = NO_TIMESTAMP


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMember:
    member_id: MemberId
    group_instance_id: str | None = None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    subscription: bytes
    assignment: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGroup:
    """A generation as it was assigned, or an empty group."""

    protocol_type: str
    generation: GenerationId
    protocol: str | None = None
    leader: MemberId | None = None
    current_state_timestamp_ms: TimestampMs = NO_TIMESTAMP
    members: tuple[StoredMember, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetRecord:
    """`value` None: the offset was deleted."""

    group_id: GroupId
    topic: str
    partition: PartitionIndex
    value: CommittedOffset | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRecord:
    """`value` None: the group was deleted."""

    group_id: GroupId
    value: StoredGroup | None


GroupLogRecord = OffsetRecord | GroupRecord


def encode(record: GroupLogRecord) -> tuple[bytes, bytes | None]:
    """Key and value.

    Raises:
        ValueError: a string of more than 32,767 bytes.
    """
    if isinstance(record, OffsetRecord):
        key = Writer(OFFSET_KEY_VERSION)
        key.string(record.group_id)
        key.string(record.topic)
        key.int32(record.partition)
        return key.done(), None if record.value is None else _encode_offset(record.value)
    key = Writer(GROUP_KEY_VERSION)
    key.string(record.group_id)
    return key.done(), None if record.value is None else _encode_group(record.value)


def decode(key: bytes, value: bytes | None) -> GroupLogRecord | None:
    """The record; None for one of a kind that is not known here.

    Raises:
        ProtocolError: it is malformed, or its value has a version that is not known here.
    """
    reader = Reader(key)
    if 0 <= reader.version <= OFFSET_KEY_VERSION:
        return OffsetRecord(
            group_id=GroupId(reader.string()),
            topic=reader.string(),
            partition=PartitionIndex(reader.int32()),
            value=None if value is None else _decode_offset(_reader(value)),
        )
    if reader.version == GROUP_KEY_VERSION:
        return GroupRecord(
            group_id=GroupId(reader.string()), value=None if value is None else _decode_group(_reader(value))
        )
    return None


def _encode_offset(value: CommittedOffset) -> bytes:
    writer = Writer(OFFSET_VALUE_VERSION)
    writer.int64(value.offset)
    writer.int32(value.leader_epoch)
    writer.string(value.metadata)
    writer.int64(value.commit_timestamp_ms)
    return writer.done()


def _decode_offset(reader: Reader) -> CommittedOffset:
    offset = CommittedOffset(
        offset=Offset(reader.int64()),
        leader_epoch=LeaderEpoch(reader.int32()) if reader.version >= 3 else NO_EPOCH,
        metadata=reader.string(),
        commit_timestamp_ms=TimestampMs(reader.int64()),
        expire_timestamp_ms=TimestampMs(reader.int64()) if reader.version == 1 else NO_TIMESTAMP,
    )
    reader.end_of_structure()
    return offset


def _encode_group(value: StoredGroup) -> bytes:
    writer = Writer(GROUP_VALUE_VERSION)
    writer.string(value.protocol_type)
    writer.int32(value.generation)
    writer.string(value.protocol)
    writer.string(value.leader)
    writer.int64(value.current_state_timestamp_ms)
    writer.int32(len(value.members))
    for member in value.members:
        writer.string(member.member_id)
        writer.string(member.group_instance_id)
        writer.string(member.client_id)
        writer.string(member.client_host)
        writer.int32(member.rebalance_timeout_ms)
        writer.int32(member.session_timeout_ms)
        writer.byte_string(member.subscription)
        writer.byte_string(member.assignment)
    return writer.done()


def _decode_group(reader: Reader) -> StoredGroup:
    protocol_type = reader.string()
    generation = GenerationId(reader.int32())
    protocol = reader.nullable_string()
    leader = reader.nullable_string()
    group = StoredGroup(
        protocol_type=protocol_type,
        generation=generation,
        protocol=protocol,
        leader=None if leader is None else MemberId(leader),
        current_state_timestamp_ms=TimestampMs(reader.int64()) if reader.version >= 2 else NO_TIMESTAMP,
        members=tuple([_decode_member(reader) for _ in range(reader.count(_MEMBER_MIN_BYTES))]),
    )
    reader.end_of_structure()
    return group


def _decode_member(reader: Reader) -> StoredMember:
    version = reader.version
    member_id = MemberId(reader.string())
    instance_id = reader.nullable_string() if version >= 3 else None
    client_id, client_host = reader.string(), reader.string()
    rebalance_timeout_ms = reader.int32() if version >= 1 else -1
    session_timeout_ms = reader.int32()
    member = StoredMember(
        member_id=member_id,
        group_instance_id=instance_id,
        client_id=client_id,
        client_host=client_host,
        # Kafka before 0.10.1 knew one time-out only.
        rebalance_timeout_ms=session_timeout_ms if rebalance_timeout_ms < 0 else rebalance_timeout_ms,
        session_timeout_ms=session_timeout_ms,
        subscription=reader.byte_string(),
        assignment=reader.byte_string(),
    )
    reader.end_of_structure()
    return member


def _reader(value: bytes) -> Reader:
    reader = Reader(value)
    if not 0 <= reader.version <= READ_VERSION_MAX:
        raise ProtocolError(f"the value has version {reader.version}, known are 0 to {READ_VERSION_MAX}")
    return FlexibleReader(value) if reader.version >= FLEXIBLE_VERSION else reader
