"""What `administration.GroupAdministration` does, loaded when it is first used. Floor 3.

A group's coordinator is looked up for each question, and again where it has moved meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Final, TypeVar

from raftkafka.client.backoff import Backoff
from raftkafka.client.group.commits import fetch_committed, fetched_topics, offset_topics
from raftkafka.client.group.coordinator import LATER, Coordinator
from raftkafka.client.group.descriptions import GroupDescription, described
from raftkafka.client.group.resets import Bounds, OffsetReset, target, timestamps_of
from raftkafka.client.offsets import list_offsets
from raftkafka.client.routing import Router
from raftkafka.client.types import OffsetAndMetadata, TopicPartition
from raftkafka.model.api import Request
from raftkafka.model.api.committed_offsets import (
    OffsetCommit,
    OffsetCommitResponse,
    OffsetDelete,
    OffsetDeleteResponse,
    OffsetDeleteTopic,
)
from raftkafka.model.api.groups import (
    DeleteGroups,
    DeleteGroupsResponse,
    DescribeGroups,
    DescribeGroupsResponse,
    ListedGroup,
    ListGroups,
    ListGroupsResponse,
)
from raftkafka.model.errors import ApiError, ErrorCode, RaftKafkaError
from raftkafka.model.ids import GroupId, NodeId, TimestampMs

_Response = TypeVar("_Response")
_BACKOFF: Final = Backoff(first_s=0.05, max_s=1.0)
_RESETTABLE: Final = ("Empty", "Dead")


class Groups:
    """Each method is documented where `Admin` has it."""

    def __init__(self, *, router: Router, random: Random, timeout_s: float) -> None:
        self._router = router
        self._random = random
        self._timeout_s = timeout_s

    async def list_consumer_groups(self, *, states: Iterable[str] = (), types: Iterable[str] = ()) -> list[ListedGroup]:
        request = ListGroups(states_filter=tuple(states), types_filter=tuple(types))
        if not self._router.view.brokers:
            await self._router.wait_until(lambda: bool(self._router.view.brokers), timeout_s=self._timeout_s)
        answers = await asyncio.gather(*(self._list_of(node, request) for node in sorted(self._router.view.brokers)))
        groups = {group.group_id: group for answer in answers for group in answer.groups}
        return [groups[name] for name in sorted(groups)]

    async def _list_of(self, node: NodeId, request: ListGroups) -> ListGroupsResponse:
        reason: RaftKafkaError | None = None
        failures = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                while node in self._router.view.brokers:
                    try:
                        channel = await self._router.channel(node)
                        response = await channel.request(request, timeout_s=self._timeout_s)
                        assert isinstance(response, ListGroupsResponse)
                        if response.error_code is ErrorCode.NONE:
                            return response
                        reason = ApiError(response.error_code)
                        if response.error_code not in LATER:
                            raise reason
                    except ApiError:
                        raise
                    except RaftKafkaError as error:
                        reason = error
                        self._router.request_update()  # it may have left the cluster
                    failures += 1
                    await asyncio.sleep(_BACKOFF.delay_s(failures, self._random))
        except TimeoutError:
            text = f"broker {node} did not list its groups" + (f": {reason}" if reason else "")
            raise ApiError(ErrorCode.REQUEST_TIMED_OUT, text) from reason
        return ListGroupsResponse()

    async def describe_consumer_groups(
        self, group_ids: Iterable[str], *, include_history: bool = False
    ) -> list[GroupDescription]:
        return list(await asyncio.gather(*(self._describe(each, include_history) for each in group_ids)))

    async def _describe(self, group_id: str, include_history: bool) -> GroupDescription:
        request = DescribeGroups(groups=(GroupId(group_id),), include_history=include_history)
        coordinator = self._coordinator(group_id)
        response = await self._ask(coordinator, request, DescribeGroupsResponse, lambda it: it.groups[0].error_code)
        (group,) = response.groups
        _raise(group.error_code, group.error_message or f"group {group_id!r}")
        return described(group, NodeId(-1) if coordinator.node is None else coordinator.node)

    async def delete_consumer_groups(self, group_ids: Iterable[str]) -> None:
        for group_id in group_ids:
            request = DeleteGroups(groups_names=(GroupId(group_id),))
            response = await self._ask(
                self._coordinator(group_id), request, DeleteGroupsResponse, lambda answer: answer.results[0].error_code
            )
            code = response.results[0].error_code
            reason = {
                ErrorCode.NON_EMPTY_GROUP: f"group {group_id!r} has members",
                ErrorCode.GROUP_ID_NOT_FOUND: f"there is no group {group_id!r}",
            }
            _raise(code, reason.get(code, f"group {group_id!r}"))

    # Offsets

    async def list_consumer_group_offsets(
        self, group_id: str, partitions: Iterable[TopicPartition] | None = None
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        topics = None if partitions is None else fetched_topics(partitions)
        return await fetch_committed(self._coordinator(group_id), GroupId(group_id), topics, timeout_s=self._timeout_s)

    async def alter_consumer_group_offsets(
        self, group_id: str, offsets: Mapping[TopicPartition, int | OffsetAndMetadata]
    ) -> None:
        if not offsets:
            return
        places = {
            each: place if isinstance(place, OffsetAndMetadata) else OffsetAndMetadata(place)
            for each, place in offsets.items()
        }
        request = OffsetCommit(group_id=GroupId(group_id), topics=offset_topics(places))
        response = await self._ask(self._coordinator(group_id), request, OffsetCommitResponse, _any_code)
        for topic in response.topics:
            for each in topic.partitions:
                if each.error_code is ErrorCode.UNKNOWN_MEMBER_ID:
                    raise ApiError(ErrorCode.NON_EMPTY_GROUP, f"group {group_id!r} has members: stop them first")
                _raise(each.error_code, f"{topic.name}-{each.partition}")

    async def delete_consumer_group_offsets(self, group_id: str, partitions: Iterable[TopicPartition]) -> None:
        topics = tuple(
            OffsetDeleteTopic(name=each.name, partitions=each.partitions) for each in fetched_topics(partitions)
        )
        request = OffsetDelete(group_id=GroupId(group_id), topics=topics)
        response = await self._ask(
            self._coordinator(group_id), request, OffsetDeleteResponse, lambda answer: answer.error_code
        )
        _raise(response.error_code, f"group {group_id!r}")
        for topic in response.topics:
            for each in topic.partitions:
                subscribed = each.error_code is ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
                why = f"members of group {group_id!r} read it" if subscribed else each.error_code.name
                _raise(each.error_code, f"{topic.name}-{each.partition}: {why}")

    async def reset_consumer_group_offsets(
        self, group_id: str, partitions: Iterable[TopicPartition], reset: OffsetReset, *, dry_run: bool = False
    ) -> dict[TopicPartition, int]:
        wanted = list(dict.fromkeys(TopicPartition(*each) for each in partitions))
        (group,) = await self.describe_consumer_groups([group_id])
        if group.state not in _RESETTABLE:
            raise ApiError(
                ErrorCode.NON_EMPTY_GROUP,
                f"offsets can only be reset while the group is inactive, but group {group_id!r} is {group.state} with "
                f"{len(group.members)} members",
            )
        committed = await self.list_consumer_group_offsets(group_id, wanted) if wanted else {}
        bounds = await self._bounds(wanted, timestamps_of(reset))
        targets = {
            each: target(reset, each, bounds[each], committed[each].offset if each in committed else None)
            for each in wanted
        }
        if not dry_run:
            await self.alter_consumer_group_offsets(group_id, targets)
        return targets

    async def _bounds(
        self, partitions: list[TopicPartition], timestamps: tuple[int, ...]
    ) -> dict[TopicPartition, Bounds]:
        found = await asyncio.gather(
            *(
                list_offsets(self._router, dict.fromkeys(partitions, TimestampMs(timestamp)), timeout_s=self._timeout_s)
                for timestamp in timestamps
            )
        )
        return {
            each: Bounds(
                earliest=found[0][each].offset,
                latest=found[1][each].offset,
                at_time=found[2][each].offset if len(found) > 2 else -1,
            )
            for each in partitions
        }

    # Asking

    def _coordinator(self, group_id: str) -> Coordinator:
        return Coordinator(
            router=self._router,
            group_id=GroupId(group_id),
            backoff=_BACKOFF,
            random=self._random,
            request_timeout_s=self._timeout_s,
        )

    async def _ask(
        self,
        coordinator: Coordinator,
        request: Request,
        kind: type[_Response],
        code_of: Callable[[_Response], ErrorCode],
    ) -> _Response:
        return await coordinator.ask_until(request, kind, code_of, timeout_s=self._timeout_s)


def _any_code(response: OffsetCommitResponse) -> ErrorCode:
    codes = (each.error_code for topic in response.topics for each in topic.partitions)
    return next((code for code in codes if code is not ErrorCode.NONE), ErrorCode.NONE)


def _raise(code: ErrorCode, message: str) -> None:
    if code is not ErrorCode.NONE:
        raise ApiError(code, message)
