"""BrokerRegistration, BrokerHeartbeat, AlterPartition, AllocateProducerIds, and what brokers ask for their ZooKeeper clients: from
the nodes of this cluster to the controller.

Floor 3. These change who leads what, or speak for clients that have proved themselves there: nobody but an authenticated node may
ask, and only in its own name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from raftkafka.broker.controller import Controller
from raftkafka.model.api.broker_lifecycle import (
    AlterPartition,
    AlterPartitionResponse,
    BrokerHeartbeat,
    BrokerHeartbeatResponse,
    BrokerRegistration,
    BrokerRegistrationResponse,
)
from raftkafka.model.api.producers import AllocateProducerIds, AllocateProducerIdsResponse
from raftkafka.model.api.znodes import (
    AlterZkSession,
    AlterZkSessionResponse,
    ChangeZnodes,
    ChangeZnodesResponse,
    TouchZkSessions,
    TouchZkSessionsResponse,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId

_Answer = TypeVar("_Answer")
_OfABroker = (
    BrokerRegistration
    | BrokerHeartbeat
    | AlterPartition
    | AllocateProducerIds
    | AlterZkSession
    | ChangeZnodes
    | TouchZkSessions
)


class ControllerHandler:
    def __init__(self, *, controller: Controller) -> None:
        self._controller = controller

    async def register(self, context: RequestContext, request: BrokerRegistration) -> BrokerRegistrationResponse:
        return await self._answer(
            context,
            request,
            BrokerRegistrationResponse,
            lambda error: BrokerRegistrationResponse(error_code=error.code, error_message=error.message),
        )

    async def heartbeat(self, context: RequestContext, request: BrokerHeartbeat) -> BrokerHeartbeatResponse:
        return await self._answer(
            context, request, BrokerHeartbeatResponse, lambda error: BrokerHeartbeatResponse(error_code=error.code)
        )

    async def alter_partition(self, context: RequestContext, request: AlterPartition) -> AlterPartitionResponse:
        return await self._answer(
            context, request, AlterPartitionResponse, lambda error: AlterPartitionResponse(error_code=error.code)
        )

    async def allocate_producer_ids(
        self, context: RequestContext, request: AllocateProducerIds
    ) -> AllocateProducerIdsResponse:
        return await self._answer(
            context,
            request,
            AllocateProducerIdsResponse,
            lambda error: AllocateProducerIdsResponse(error_code=error.code),
        )

    async def alter_zk_session(self, context: RequestContext, request: AlterZkSession) -> AlterZkSessionResponse:
        return await self._answer(
            context, request, AlterZkSessionResponse, lambda error: AlterZkSessionResponse(error_code=error.code)
        )

    async def change_znodes(self, context: RequestContext, request: ChangeZnodes) -> ChangeZnodesResponse:
        return await self._answer(
            context, request, ChangeZnodesResponse, lambda error: ChangeZnodesResponse(error_code=error.code)
        )

    async def touch_zk_sessions(self, context: RequestContext, request: TouchZkSessions) -> TouchZkSessionsResponse:
        return await self._answer(
            context, request, TouchZkSessionsResponse, lambda error: TouchZkSessionsResponse(error_code=error.code)
        )

    async def _answer(
        self, context: RequestContext, request: _OfABroker, kind: type[_Answer], refused: Callable[[ApiError], _Answer]
    ) -> _Answer:
        """The controller's answer, which is a `kind`; what `refused` makes of the reason when it cannot be had."""
        try:
            _own_name(context, request.broker_id)
            answer = await self._controller.handle(request)
        except ApiError as error:
            return refused(error)
        assert isinstance(answer, kind)
        return answer


def _own_name(context: RequestContext, broker_id: NodeId) -> None:
    if not context.is_node or context.node_id != broker_id:
        raise ApiError(
            ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "only a node of the cluster may ask this, and in its own name"
        )
