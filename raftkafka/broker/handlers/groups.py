"""FindCoordinator, ListGroups, DescribeGroups, DeleteGroups. Floor 3.

A request may name one large group many times: descriptions stop at ANSWER_MAX_BYTES, so that no answer outgrows memory or its frame.
"""

from __future__ import annotations

import asyncio
from typing import Final

from raftkafka.broker.groups.coordinator import GroupCoordinator
from raftkafka.broker.handlers.membership import check_group_id
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.model.api.groups import (
    KEY_TYPE_GROUP,
    KEY_TYPE_TRANSACTION,
    Coordinator,
    DeletedGroup,
    DeleteGroups,
    DeleteGroupsResponse,
    DescribedGroup,
    DescribeGroups,
    DescribeGroupsResponse,
    FindCoordinator,
    FindCoordinatorResponse,
    ListGroups,
    ListGroupsResponse,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import GroupId

KEYS_PER_TURN: Final = 500

ANSWER_MAX_BYTES: Final = 8 << 20
"""Of descriptions in one answer, about; the last one may go over it. Groups after it are for another request."""


class GroupsHandler:
    def __init__(self, *, coordinator: GroupCoordinator, store: MetadataStore) -> None:
        self._coordinator = coordinator
        self._store = store

    async def find_coordinator(self, context: RequestContext, request: FindCoordinator) -> FindCoordinatorResponse:
        found: list[Coordinator] = []
        for key in request.coordinator_keys:
            found.append(await self._find(request.key_type, key))
            if len(found) % KEYS_PER_TURN == 0:
                await asyncio.sleep(0)  # to find one often waits for nothing
        return FindCoordinatorResponse(coordinators=tuple(found))

    async def _find(self, key_type: int, key: str) -> Coordinator:
        try:
            if key_type == KEY_TYPE_TRANSACTION:
                raise ApiError(ErrorCode.UNSUPPORTED_VERSION, "transactions are not supported")
            if key_type != KEY_TYPE_GROUP:
                raise ApiError(ErrorCode.INVALID_REQUEST, f"key_type is 0 or 1, not {key_type}")
            check_group_id(key, may_be_empty=True)
            state = await self._coordinator.topic.require(GroupId(key))
            broker = self._store.image.brokers.get(state.leader)
            if broker is None or broker.fenced:
                raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE, "the group's partition has no leader")
        except ApiError as error:
            return Coordinator(key=key, error_code=error.code, error_message=error.message)
        advertised = broker.listeners[0]
        return Coordinator(key=key, node_id=broker.node_id, host=advertised.host, port=advertised.port)

    def list_groups(self, context: RequestContext, request: ListGroups) -> ListGroupsResponse:
        states = {each.lower() for each in request.states_filter}
        types = {each.lower() for each in request.types_filter}
        listed = [group.listed() for shard in self._coordinator if shard.log.is_led for group in shard]
        loading = any(not shard.is_loaded for shard in self._coordinator)
        return ListGroupsResponse(
            error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS if loading else ErrorCode.NONE,
            groups=tuple(
                sorted(
                    (
                        each
                        for each in listed
                        if (not states or each.group_state.lower() in states)
                        and (not types or each.group_type in types)
                    ),
                    key=lambda each: each.group_id,
                )
            ),
        )

    def describe(self, context: RequestContext, request: DescribeGroups) -> DescribeGroupsResponse:
        groups: list[DescribedGroup] = []
        left_bytes = ANSWER_MAX_BYTES
        for group_id in request.groups:
            if left_bytes <= 0:
                groups.append(DescribedGroup(group_id=group_id, error_code=ErrorCode.MESSAGE_TOO_LARGE))
                continue
            described = self._describe(group_id, request.include_history)
            groups.append(described)
            left_bytes -= _size_of(described)
        return DescribeGroupsResponse(groups=tuple(groups))

    def _describe(self, group_id: GroupId, include_history: bool) -> DescribedGroup:
        try:
            check_group_id(group_id, may_be_empty=True)
            return self._coordinator.shard_of(group_id).described(group_id, include_history=include_history)
        except ApiError as error:
            return DescribedGroup(group_id=group_id, error_code=error.code, error_message=error.message)

    async def delete(self, context: RequestContext, request: DeleteGroups) -> DeleteGroupsResponse:
        outcomes = [self._delete(each) for each in request.groups_names]
        return DeleteGroupsResponse(
            results=tuple(
                [
                    DeletedGroup(group_id=group_id, error_code=await outcome)
                    for group_id, outcome in zip(request.groups_names, outcomes, strict=True)
                ]
            )
        )

    def _delete(self, group_id: GroupId) -> asyncio.Future[ErrorCode]:
        try:
            check_group_id(group_id, may_be_empty=True)
            return self._coordinator.shard_of(group_id).delete(group_id)
        except ApiError as error:
            refused: asyncio.Future[ErrorCode] = asyncio.get_running_loop().create_future()
            refused.set_result(error.code)
            return refused


def _size_of(group: DescribedGroup) -> int:
    """About as many bytes as it takes in an answer."""
    members = sum(
        len(each.member_id)
        + len(each.group_instance_id or "")
        + len(each.client_id)
        + len(each.client_host)
        + len(each.member_metadata)
        + len(each.member_assignment)
        for each in group.members
    )
    return len(group.group_id) + members + sum(len(each.reason) + 32 for each in group.history)
