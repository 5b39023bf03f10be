"""JoinGroup, SyncGroup, Heartbeat, LeaveGroup: asked of the group's coordinator. Floor 3."""

from __future__ import annotations

import asyncio
from typing import Final

from raftkafka.broker.groups.coordinator import GroupCoordinator
from raftkafka.group.effects import Client
from raftkafka.model.api.membership import (
    Heartbeat,
    HeartbeatResponse,
    JoinGroup,
    JoinGroupResponse,
    LeaveGroup,
    LeaveGroupResponse,
    SyncGroup,
    SyncGroupResponse,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.topics import why_illegal

STRING_MAX_BYTES: Final = 32_767
"""What a record of the group can hold."""


class MembershipHandler:
    def __init__(self, *, coordinator: GroupCoordinator) -> None:
        self._coordinator = coordinator

    def join(
        self, context: RequestContext, request: JoinGroup
    ) -> JoinGroupResponse | asyncio.Future[JoinGroupResponse]:
        try:
            check_group_id(request.group_id)
            _check_names(request)
            shard = self._coordinator.shard_of(request.group_id)
        except ApiError as error:
            return JoinGroupResponse(error_code=error.code, member_id=request.member_id)
        return shard.join(request, Client(client_id=context.client_id, client_host=_host(context)))

    def sync(
        self, context: RequestContext, request: SyncGroup
    ) -> SyncGroupResponse | asyncio.Future[SyncGroupResponse]:
        try:
            check_group_id(request.group_id)
            return self._coordinator.shard_of(request.group_id).sync(request)
        except ApiError as error:
            # A coordinator that has just taken over knows of no rebalance in progress: the members begin it anew, here.
            loading = error.code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            return SyncGroupResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS if loading else error.code)

    def heartbeat(self, context: RequestContext, request: Heartbeat) -> HeartbeatResponse:
        try:
            check_group_id(request.group_id)
            return HeartbeatResponse(error_code=self._coordinator.shard_of(request.group_id).heartbeat(request))
        except ApiError as error:
            # As Kafka: sessions begin anew when the group is read, so there is nothing to tell.
            loading = error.code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            return HeartbeatResponse(error_code=ErrorCode.NONE if loading else error.code)

    def leave(self, context: RequestContext, request: LeaveGroup) -> LeaveGroupResponse:
        try:
            check_group_id(request.group_id)
            return self._coordinator.shard_of(request.group_id).leave(request)
        except ApiError as error:
            return LeaveGroupResponse(error_code=error.code)


def check_group_id(group_id: str, *, may_be_empty: bool = False) -> None:
    """
    Raises:
        ApiError: INVALID_GROUP_ID. Only offsets may belong to a group without a name, as in Kafka.
    """
    if (not group_id and not may_be_empty) or len(group_id.encode()) > STRING_MAX_BYTES:
        raise ApiError(ErrorCode.INVALID_GROUP_ID, "the group id is empty or too long")


def _check_names(request: JoinGroup) -> None:
    """Instance ids follow the rules of topic names (KIP-345); the rest has to fit into a record."""
    instance = request.group_instance_id
    if instance is not None and why_illegal(instance) is not None:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"illegal group.instance.id: {why_illegal(instance)}")
    names = (request.protocol_type, *(each.name for each in request.protocols))
    if any(len(name.encode()) > STRING_MAX_BYTES for name in names):
        raise ApiError(ErrorCode.INVALID_REQUEST, "the name of a protocol is too long")


def _host(context: RequestContext) -> str:
    """As Kafka shows it: Java's form of an address without a name."""
    return f"/{context.client_address.rpartition(':')[0] or context.client_address}"
