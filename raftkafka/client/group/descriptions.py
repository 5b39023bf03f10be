"""Groups as administrators see them. Floor 3, pure."""

from __future__ import annotations

from dataclasses import dataclass

from raftkafka.client.types import TopicPartition
from raftkafka.group.consumer_protocol import PROTOCOL_TYPE, decode_assignment, decode_subscription
from raftkafka.model.api.groups import DescribedGroup, DescribedMember, GroupEvent
from raftkafka.model.errors import ProtocolError
from raftkafka.model.ids import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberDescription:
    """`partitions` are its share, `topics` its subscription; both empty while the group rebalances."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    host: str
    topics: tuple[str, ...]
    partitions: tuple[TopicPartition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDescription:
    """`state`: Stable, PreparingRebalance, CompletingRebalance, Empty, or Dead where there is no such group."""

    group_id: str
    state: str
    protocol_type: str
    assignor: str
    generation_id: int
    coordinator: NodeId
    members: tuple[MemberDescription, ...]
    history: tuple[GroupEvent, ...]


def described(group: DescribedGroup, coordinator: NodeId) -> GroupDescription:
    consumers = group.protocol_type == PROTOCOL_TYPE
    return GroupDescription(
        group_id=group.group_id,
        state=group.group_state,
        protocol_type=group.protocol_type,
        assignor=group.protocol_data,
        generation_id=group.generation_id,
        coordinator=coordinator,
        members=tuple(_member(each, consumers=consumers) for each in group.members),
        history=group.history,
    )


def _member(member: DescribedMember, *, consumers: bool) -> MemberDescription:
    return MemberDescription(
        member_id=member.member_id,
        group_instance_id=member.group_instance_id,
        client_id=member.client_id,
        host=member.client_host,
        topics=_topics(member.member_metadata) if consumers else (),
        partitions=_partitions(member.member_assignment) if consumers else (),
    )


def _topics(metadata: bytes) -> tuple[str, ...]:
    """What a foreign client has written and nobody can read is shown as nothing."""
    try:
        return decode_subscription(metadata).topics if metadata else ()
    except ProtocolError:
        return ()


def _partitions(assignment: bytes) -> tuple[TopicPartition, ...]:
    try:
        return tuple(TopicPartition(*each) for each in decode_assignment(assignment).partitions) if assignment else ()
    except ProtocolError:
        return ()
