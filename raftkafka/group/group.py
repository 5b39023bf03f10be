"""One group: its membership and its offsets, and the decisions that concern both.

Floor 1, pure. *Decide, commit, apply*: what changes offsets is returned as records, and seen once they are committed.
"""

from __future__ import annotations

from dataclasses import dataclass

from raftkafka.group import consumer_protocol
from raftkafka.group.effects import GroupLimits, GroupState, Now
from raftkafka.group.membership import Membership
from raftkafka.group.offsets import NO_TOPICS, CommittedOffsets, Place
from raftkafka.group.records import CommittedOffset, GroupLogRecord, GroupRecord, OffsetRecord
from raftkafka.model.api.committed_offsets import (
    OffsetCommit,
    OffsetCommitPartitionResponse,
    OffsetCommitTopicResponse,
    OffsetDelete,
    OffsetDeletePartitionResponse,
    OffsetDeleteTopicResponse,
    OffsetFetchGroup,
    OffsetFetchGroupResponse,
    OffsetFetchPartitionResponse,
    OffsetFetchTopicResponse,
)
from raftkafka.model.api.groups import DescribedGroup, DescribedMember, ListedGroup
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import GroupId, PartitionIndex

_E = ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitDecision:
    """What to append, and the answer once that is committed."""

    records: tuple[OffsetRecord, ...]
    topics: tuple[OffsetCommitTopicResponse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteDecision:
    error_code: ErrorCode = ErrorCode.NONE
    records: tuple[OffsetRecord, ...] = ()
    topics: tuple[OffsetDeleteTopicResponse, ...] = ()


class Group:
    def __init__(self, group_id: GroupId, limits: GroupLimits) -> None:
        self.group_id = group_id
        self.membership = Membership(limits)
        self.offsets = CommittedOffsets()

    @property
    def is_nothing(self) -> bool:
        """True for a group of which nothing needs to be remembered: no members, none about to join, no offsets."""
        return self.membership.is_idle and not self.offsets

    # Offsets

    def decide_commit(self, request: OffsetCommit, *, metadata_max_bytes: int, now: Now) -> CommitDecision:
        error = self.membership.may_commit(request.member_id, request.group_instance_id, request.generation_id, now=now)
        records: list[OffsetRecord] = []
        topics: list[OffsetCommitTopicResponse] = []
        for topic in request.topics:
            answers: list[OffsetCommitPartitionResponse] = []
            for each in topic.partitions:
                metadata = each.committed_metadata or ""
                refusal = error
                if refusal is _E.NONE and len(metadata.encode()) > metadata_max_bytes:
                    refusal = _E.OFFSET_METADATA_TOO_LARGE
                answers.append(OffsetCommitPartitionResponse(partition=each.partition, error_code=refusal))
                if refusal is not _E.NONE:
                    continue
                value = CommittedOffset(
                    offset=each.committed_offset,
                    leader_epoch=each.committed_leader_epoch,
                    metadata=metadata,
                    commit_timestamp_ms=now.wall_ms,
                )
                records.append(
                    OffsetRecord(group_id=self.group_id, topic=topic.name, partition=each.partition, value=value)
                )
            topics.append(OffsetCommitTopicResponse(name=topic.name, partitions=tuple(answers)))
        return CommitDecision(records=tuple(records), topics=tuple(topics))

    def fetch(self, wanted: OffsetFetchGroup) -> OffsetFetchGroupResponse:
        asked: dict[str, list[OffsetFetchPartitionResponse]] = {}
        if wanted.topics is None:
            for (topic, partition), value in self.offsets:
                asked.setdefault(topic, []).append(_fetched(partition, value))
        else:
            for each in wanted.topics:
                asked.setdefault(each.name, []).extend(
                    _fetched(partition, self.offsets.get(each.name, partition)) for partition in each.partitions
                )
        return OffsetFetchGroupResponse(
            group_id=self.group_id,
            topics=tuple([OffsetFetchTopicResponse(name=name, partitions=tuple(rows)) for name, rows in asked.items()]),
        )

    def decide_delete_offsets(self, request: OffsetDelete) -> DeleteDecision:
        """KIP-496: while there are members, only what they are not subscribed to."""
        membership = self.membership
        subscribed = NO_TOPICS
        if membership.state is GroupState.DEAD:
            return DeleteDecision(error_code=_E.GROUP_ID_NOT_FOUND)
        if membership.state is not GroupState.EMPTY:
            if membership.protocol_type != consumer_protocol.PROTOCOL_TYPE:
                return DeleteDecision(error_code=_E.NON_EMPTY_GROUP)
            known = membership.subscribed_topics
            # Where the subscriptions are not known (yet), every topic may be among them.
            subscribed = frozenset(topic.name for topic in request.topics) if known is None else known
        records: list[OffsetRecord] = []
        topics: list[OffsetDeleteTopicResponse] = []
        for topic in request.topics:
            refusal = _E.GROUP_SUBSCRIBED_TO_TOPIC if topic.name in subscribed else _E.NONE
            topics.append(
                OffsetDeleteTopicResponse(
                    name=topic.name,
                    partitions=tuple(
                        [OffsetDeletePartitionResponse(partition=each, error_code=refusal) for each in topic.partitions]
                    ),
                )
            )
            if refusal is _E.NONE:
                wanted = {(topic.name, each) for each in topic.partitions}
                records += self._tombstones([place for place in self.offsets.places if place in wanted])
        return DeleteDecision(records=tuple(records), topics=tuple(topics))

    def offsets_of_topics(self, gone: frozenset[str]) -> list[OffsetRecord]:
        """Tombstones for the offsets of topics that are no more."""
        return self._tombstones([place for place in self.offsets.places if place[0] in gone])

    def decide_expiry(self, *, retention_ms: int, now: Now) -> tuple[GroupLogRecord, ...]:
        """Tombstones for what nobody has used for so long, and for the group when nothing of it is left (KIP-211)."""
        membership = self.membership
        over: list[Place] = []
        if membership.protocol_type is None:
            # Offsets of somebody who assigns partitions himself: each lives from its own commit on.
            over = self.offsets.expired(now_ms=now.wall_ms, retention_ms=retention_ms)
        elif membership.state is GroupState.EMPTY:
            over = self.offsets.expired(
                now_ms=now.wall_ms, retention_ms=retention_ms, since_ms=membership.state_since_ms
            )
        elif membership.state is GroupState.STABLE and membership.subscribed_topics is not None:
            over = self.offsets.expired(
                now_ms=now.wall_ms, retention_ms=retention_ms, spared=membership.subscribed_topics
            )
        records: list[GroupLogRecord] = [*self._tombstones(over)]
        if membership.is_idle and len(over) == len(self.offsets.places):
            records.append(GroupRecord(group_id=self.group_id, value=None))
        return tuple(records)

    def _tombstones(self, places: list[Place]) -> list[OffsetRecord]:
        return [
            OffsetRecord(group_id=self.group_id, topic=topic, partition=partition, value=None)
            for topic, partition in places
        ]

    # The group as a whole

    def why_not_delete(self) -> ErrorCode:
        state = self.membership.state
        if state is GroupState.DEAD:
            return _E.GROUP_ID_NOT_FOUND
        return _E.NONE if state is GroupState.EMPTY else _E.NON_EMPTY_GROUP

    def deletion(self) -> tuple[GroupLogRecord, ...]:
        """Tombstones for all of it, what is on its way into the log included."""
        return (*self._tombstones(list(self.offsets.places)), GroupRecord(group_id=self.group_id, value=None))

    def listed(self) -> ListedGroup:
        membership = self.membership
        return ListedGroup(
            group_id=self.group_id,
            protocol_type=membership.protocol_type or "",
            group_state=membership.state.value,
        )

    def described(self, *, include_history: bool) -> DescribedGroup:
        """As Kafka, a group that rebalances shows its members without their metadata: there is no protocol to read them by."""
        membership = self.membership
        stable = membership.state is GroupState.STABLE
        protocol = (membership.protocol or "") if stable else ""
        return DescribedGroup(
            group_id=self.group_id,
            group_state=membership.state.value,
            protocol_type=membership.protocol_type or "",
            protocol_data=protocol,
            generation_id=membership.generation,
            members=tuple(
                [
                    DescribedMember(
                        member_id=each.member_id,
                        group_instance_id=each.group_instance_id,
                        client_id=each.client_id,
                        client_host=each.client_host,
                        member_metadata=each.metadata(protocol) if stable else b"",
                        member_assignment=each.assignment if stable else b"",
                    )
                    for each in membership.members
                ]
            ),
            history=tuple(membership.history) if include_history else (),
        )


def _fetched(partition: PartitionIndex, value: CommittedOffset | None) -> OffsetFetchPartitionResponse:
    if value is None:
        return OffsetFetchPartitionResponse(partition=partition)
    return OffsetFetchPartitionResponse(
        partition=partition,
        committed_offset=value.offset,
        committed_leader_epoch=value.leader_epoch,
        metadata=value.metadata,
    )
