"""OffsetCommit, OffsetFetch, OffsetDelete: asked of the group's coordinator.

Floor 3. Whether a topic exists is looked up here; whether the group may commit is for the group to say.
A request may ask for one offset with its metadata many times: an answer stops at ANSWER_MAX_CHARS of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Final

from raftkafka.broker.groups.coordinator import GroupCoordinator
from raftkafka.broker.groups.shard import refused_commit
from raftkafka.broker.handlers.membership import check_group_id
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.metadata.image import Image
from raftkafka.model.api.committed_offsets import (
    OffsetCommit,
    OffsetCommitPartition,
    OffsetCommitPartitionResponse,
    OffsetCommitResponse,
    OffsetCommitTopic,
    OffsetCommitTopicResponse,
    OffsetDelete,
    OffsetDeletePartitionResponse,
    OffsetDeleteResponse,
    OffsetDeleteTopic,
    OffsetDeleteTopicResponse,
    OffsetFetch,
    OffsetFetchGroup,
    OffsetFetchGroupResponse,
    OffsetFetchResponse,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NO_OFFSET, NO_TOPIC_ID

ANSWER_MAX_CHARS: Final = 8 << 20
"""Of metadata and names in one answer to OffsetFetch: 32 MB at most, what a frame's header holds."""

_NONE = ErrorCode.NONE


class CommittedOffsetsHandler:
    def __init__(self, *, coordinator: GroupCoordinator, store: MetadataStore) -> None:
        self._coordinator = coordinator
        self._store = store

    def commit(
        self, context: RequestContext, request: OffsetCommit
    ) -> OffsetCommitResponse | Awaitable[OffsetCommitResponse]:
        try:
            check_group_id(request.group_id, may_be_empty=True)
            shard = self._coordinator.shard_of(request.group_id)
        except ApiError as error:
            return refused_commit(request, error.code)
        image = self._store.image
        refused = {
            (at, position): code
            for at, topic in enumerate(request.topics)
            for position, each in enumerate(topic.partitions)
            if (code := _why_not(image, topic, each)) is not _NONE
        }
        if not refused:
            return shard.commit(request)
        return self._merged(request, refused, shard.commit(_without(request, refused)))

    @staticmethod
    async def _merged(
        request: OffsetCommit,
        refused: dict[tuple[int, int], ErrorCode],
        outcome: OffsetCommitResponse | asyncio.Future[OffsetCommitResponse],
    ) -> OffsetCommitResponse:
        """The answer in the order of the request, with what was not passed on put back into its place."""
        answer = outcome if isinstance(outcome, OffsetCommitResponse) else await outcome
        topics: list[OffsetCommitTopicResponse] = []
        for at, (topic, answered) in enumerate(zip(request.topics, answer.topics, strict=True)):
            passed = iter(answered.partitions)
            topics.append(
                OffsetCommitTopicResponse(
                    name=topic.name,
                    partitions=tuple(
                        [
                            OffsetCommitPartitionResponse(partition=each.partition, error_code=refused[at, position])
                            if (at, position) in refused
                            else next(passed)
                            for position, each in enumerate(topic.partitions)
                        ]
                    ),
                )
            )
        return OffsetCommitResponse(topics=tuple(topics))

    def fetch(self, context: RequestContext, request: OffsetFetch) -> OffsetFetchResponse:
        groups: list[OffsetFetchGroupResponse] = []
        left_chars = ANSWER_MAX_CHARS
        for wanted in request.groups:
            if left_chars > 0:
                fetched = self._fetch(wanted)
                left_chars -= _size_of(fetched)
            if left_chars <= 0:
                # What does not fit is not sent, and what comes after it is not even looked up.
                fetched = OffsetFetchGroupResponse(group_id=wanted.group_id, error_code=ErrorCode.MESSAGE_TOO_LARGE)
            groups.append(fetched)
        return OffsetFetchResponse(groups=tuple(groups))

    def _fetch(self, wanted: OffsetFetchGroup) -> OffsetFetchGroupResponse:
        try:
            check_group_id(wanted.group_id, may_be_empty=True)
            return self._coordinator.shard_of(wanted.group_id).fetch(wanted)
        except ApiError as error:
            return OffsetFetchGroupResponse(group_id=wanted.group_id, error_code=error.code)

    def delete(
        self, context: RequestContext, request: OffsetDelete
    ) -> OffsetDeleteResponse | Awaitable[OffsetDeleteResponse]:
        try:
            check_group_id(request.group_id)
            shard = self._coordinator.shard_of(request.group_id)
        except ApiError as error:
            return OffsetDeleteResponse(error_code=error.code)
        image = self._store.image
        unknown = [topic for topic in request.topics if topic.name not in image.topic_ids]
        known = tuple([topic for topic in request.topics if topic.name in image.topic_ids])
        outcome = shard.delete_offsets(replace(request, topics=known))
        if not unknown:
            return outcome
        return self._with_unknown(unknown, outcome)

    @staticmethod
    async def _with_unknown(
        unknown: list[OffsetDeleteTopic], outcome: OffsetDeleteResponse | asyncio.Future[OffsetDeleteResponse]
    ) -> OffsetDeleteResponse:
        answer = outcome if isinstance(outcome, OffsetDeleteResponse) else await outcome
        if answer.error_code is not _NONE:
            return answer
        refused = [
            OffsetDeleteTopicResponse(
                name=topic.name,
                partitions=tuple(
                    [
                        OffsetDeletePartitionResponse(partition=each, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                        for each in topic.partitions
                    ]
                ),
            )
            for topic in unknown
        ]
        return replace(answer, topics=(*answer.topics, *refused))


def _size_of(group: OffsetFetchGroupResponse) -> int:
    """About as many characters as it takes in an answer."""
    size = len(group.group_id)
    for topic in group.topics:
        size += len(topic.name) + sum([len(each.metadata or "") + 16 for each in topic.partitions])
    return size


def _why_not(image: Image, topic: OffsetCommitTopic, each: OffsetCommitPartition) -> ErrorCode:
    known = image.topic_by_name(topic.name)
    if topic.topic_id != NO_TOPIC_ID and (known is None or known.topic_id != topic.topic_id):
        # Of a topic that is gone, even when there is another one of its name.
        return ErrorCode.UNKNOWN_TOPIC_ID
    if known is None or each.partition >= len(known.partitions):
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return _NONE if each.committed_offset > NO_OFFSET else ErrorCode.INVALID_REQUEST


def _without(request: OffsetCommit, refused: dict[tuple[int, int], ErrorCode]) -> OffsetCommit:
    return replace(
        request,
        topics=tuple(
            [
                replace(
                    topic,
                    partitions=tuple(
                        [each for position, each in enumerate(topic.partitions) if (at, position) not in refused]
                    ),
                )
                for at, topic in enumerate(request.topics)
            ]
        ),
    )
