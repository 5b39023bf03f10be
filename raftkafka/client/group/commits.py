"""Commits offsets, and asks for those that were committed. Floor 3.

Invariant: commits of one consumer leave one after the other, so that none that is repeated undoes a later one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from raftkafka.client.group.coordinator import LATER, Coordinator
from raftkafka.client.group.errors import CommitFailedError, RebalanceInProgressError
from raftkafka.client.group.membership import OUT, Identity, Membership
from raftkafka.client.types import OffsetAndMetadata, TopicPartition
from raftkafka.model.api.committed_offsets import (
    OffsetCommit,
    OffsetCommitPartition,
    OffsetCommitResponse,
    OffsetCommitTopic,
    OffsetFetch,
    OffsetFetchGroup,
    OffsetFetchGroupResponse,
    OffsetFetchResponse,
    OffsetFetchTopic,
)
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import GroupId, LeaderEpoch, Offset, PartitionIndex


class Commits:
    def __init__(self, *, coordinator: Coordinator, group_id: GroupId, membership: Membership) -> None:
        self._coordinator = coordinator
        self._group_id = group_id
        self._membership = membership
        self._one_at_a_time = asyncio.Lock()
        self.members_only = False
        """A consumer that has subscribed commits as the member it is, or not at all: a group without members believes strangers."""

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], *, timeout_s: float) -> None:
        """Returns when they are as durable as records acknowledged by all in-sync replicas.

        Raises:
            CommitFailedError, RebalanceInProgressError, FencedInstanceIdError: the group has moved on.
            ApiError: refused (OFFSET_METADATA_TOO_LARGE, ...), or REQUEST_TIMED_OUT: the outcome is unknown.
        """
        if not offsets:
            return
        async with self._one_at_a_time:
            # The identity of now, for all tries: what another generation may commit is not for this one to say.
            sent_as = self._membership.identity
            if self.members_only and sent_as.generation < 0:
                text = f"not a member of group {self._group_id!r} now: nothing was committed; the next poll joins"
                raise CommitFailedError(ErrorCode.UNKNOWN_MEMBER_ID, text)
            request = OffsetCommit(
                group_id=self._group_id,
                generation_id=sent_as.generation,
                member_id=sent_as.member_id,
                group_instance_id=sent_as.group_instance_id,
                topics=offset_topics(offsets),
            )
            response = await self._coordinator.ask_until(
                request, OffsetCommitResponse, _commit_code, timeout_s=timeout_s
            )
        code = _commit_code(response)
        if code is not ErrorCode.NONE:
            raise self._refusal(sent_as, code, response)

    def _refusal(self, sent_as: Identity, code: ErrorCode, response: OffsetCommitResponse) -> ApiError:
        membership = self._membership
        if code is ErrorCode.FENCED_INSTANCE_ID:
            return membership.fenced()
        if code is ErrorCode.REBALANCE_IN_PROGRESS or (
            code in OUT
            and sent_as.generation >= 0
            and (membership.joining or membership.identity.generation > sent_as.generation)
        ):
            if not membership.joining and sent_as == membership.identity:
                membership.ask_to_rejoin("a commit met a rebalance")
            text = f"group {self._group_id!r} rebalances: nothing was committed; poll, and commit again"
            return RebalanceInProgressError(code, text)
        if code not in OUT:
            return ApiError(code, f"not committed: {_refused(response)}")
        if sent_as.generation < 0:
            return CommitFailedError(code, f"group {self._group_id!r} has members: only they may commit")
        membership.lose(sent_as, code)
        return CommitFailedError(
            code,
            f"group {self._group_id!r} has rebalanced without this consumer ({code.name}): nothing was committed; the time between "
            "polls was longer than max_poll_interval_ms, or no heartbeat arrived within session_timeout_ms",
        )

    async def committed(
        self, partitions: Iterable[TopicPartition], *, timeout_s: float
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """None where nothing is committed. Raises ApiError."""
        wanted = list(dict.fromkeys(partitions))
        if not wanted:
            return {}
        topics = fetched_topics(wanted)
        return dict.fromkeys(wanted) | await fetch_committed(
            self._coordinator, self._group_id, topics, timeout_s=timeout_s
        )


async def fetch_committed(
    coordinator: Coordinator, group_id: GroupId, topics: tuple[OffsetFetchTopic, ...] | None, *, timeout_s: float
) -> dict[TopicPartition, OffsetAndMetadata]:
    """What the group has committed of these, or (None) of everything. Raises ApiError."""
    request = OffsetFetch(groups=(OffsetFetchGroup(group_id=group_id, topics=topics),))
    response = await coordinator.ask_until(request, OffsetFetchResponse, _fetch_code, timeout_s=timeout_s)
    code = _fetch_code(response)
    if code is not ErrorCode.NONE:
        raise ApiError(code, f"the committed offsets of group {group_id!r}")
    return {
        TopicPartition(topic.name, each.partition): OffsetAndMetadata(
            each.committed_offset, each.metadata or "", each.committed_leader_epoch
        )
        for group in response.groups
        for topic in group.topics
        for each in topic.partitions
        if each.committed_offset >= 0
    }


def fetched_topics(partitions: Iterable[TopicPartition]) -> tuple[OffsetFetchTopic, ...]:
    return tuple(
        OffsetFetchTopic(name=name, partitions=tuple(PartitionIndex(each) for each in numbers))
        for name, numbers in _by_topic(partitions).items()
    )


def offset_topics(offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> tuple[OffsetCommitTopic, ...]:
    return tuple(
        OffsetCommitTopic(
            name=name,
            partitions=tuple(
                OffsetCommitPartition(
                    partition=PartitionIndex(number),
                    committed_offset=Offset(place.offset),
                    committed_leader_epoch=LeaderEpoch(place.leader_epoch),
                    committed_metadata=place.metadata,
                )
                for number in numbers
                for place in (offsets[TopicPartition(name, number)],)
            ),
        )
        for name, numbers in _by_topic(offsets).items()
    )


def _by_topic(partitions: Iterable[TopicPartition]) -> dict[str, list[int]]:
    topics: dict[str, list[int]] = {}
    for topic, partition in partitions:
        topics.setdefault(topic, []).append(partition)
    return topics


def _commit_code(response: OffsetCommitResponse) -> ErrorCode:
    """What to do about the whole: the first refusal that is final, else the first that is not."""
    codes = [each.error_code for topic in response.topics for each in topic.partitions]
    refusals = [code for code in codes if code is not ErrorCode.NONE]
    return next((code for code in refusals if code not in LATER), refusals[0] if refusals else ErrorCode.NONE)


def _refused(response: OffsetCommitResponse) -> str:
    return ", ".join(
        f"{topic.name}-{each.partition}: {each.error_code.name}"
        for topic in response.topics
        for each in topic.partitions
        if each.error_code is not ErrorCode.NONE
    )


def _fetch_code(response: OffsetFetchResponse) -> ErrorCode:
    codes = [code for group in response.groups for code in _fetch_codes(group) if code is not ErrorCode.NONE]
    # An open transaction ends by itself.
    codes = [ErrorCode.REQUEST_TIMED_OUT if code is ErrorCode.UNSTABLE_OFFSET_COMMIT else code for code in codes]
    return next((code for code in codes if code not in LATER), codes[0] if codes else ErrorCode.NONE)


def _fetch_codes(group: OffsetFetchGroupResponse) -> list[ErrorCode]:
    return [group.error_code, *(each.error_code for topic in group.topics for each in topic.partitions)]
