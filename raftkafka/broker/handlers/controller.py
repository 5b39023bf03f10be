"""BrokerRegistration, BrokerHeartbeat, AlterPartition, AllocateProducerIds, and what brokers ask for their ZooKeeper clients: from
the nodes of this cluster to the controller.

Floor 3. These change who leads what, or speak for clients that have proved themselves there, so nobody but an authenticated node may ask, and only in its own name.
"""

from __future__ import annotations

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


class ControllerHandler:
    def __init__(self, *, controller: Controller) -> None:
        self._controller = controller

    async def register(self, context: RequestContext, request: BrokerRegistration) -> BrokerRegistrationResponse:
        try:
            _own_name(context, request.broker_id)
            answer = await self._controller.handle(request)
        except ApiError as error:
            return BrokerRegistrationResponse(error_code=error.code, error_message=error.message)
        assert isinstance(answer, BrokerRegistrationResponse)
        return answer

    async def heartbeat(self, context: RequestContext, request: BrokerHeartbeat) -> BrokerHeartbeatResponse:
        try:
            _own_name(context, request.broker_id)
            answer = await self._controller.handle(request)
        except ApiError as error:
            return BrokerHeartbeatResponse(error_code=error.code)
        assert isinstance(answer, BrokerHeartbeatResponse)
        return answer

    async def alter_partition(self, context: RequestContext, request: AlterPartition) -> AlterPartitionResponse:
        try:
            _own_name(context, request.broker_id)
            answer = await self._controller.handle(request)
        except ApiError as error:
            return AlterPartitionResponse(error_code=error.code)
        assert isinstance(answer, AlterPartitionResponse)
        return answer

    async def allocate_producer_ids(
        self, context: RequestContext, request: AllocateProducerIds
    ) -> AllocateProducerIdsResponse:
        try:
            _own_name(context, request.broker_id)
            answer = await self._controller.handle(request)
        except ApiError as error:
            return AllocateProducerIdsResponse(error_code=error.code)
        assert isinstance(answer, AllocateProducerIdsResponse)
        return answer

    async def alter_zk_session(self, context: RequestContext, request: AlterZkSession) -> AlterZkSessionResponse:
        try:
            _own_name(context, request.broker_id)
            answer = await self._controller.handle(request)
        except ApiError as error:
            return AlterZkSessionResponse(error_code=error.code)
        assert isinstance(answer, AlterZkSessionResponse)
        return answer

    async def change_znodes(self, context: RequestContext, request: ChangeZnodes) -> ChangeZnodesResponse:
        try:
            _own_name(context, request.broker_id)
            answer = await self._controller.handle(request)
        except ApiError as error:
            return ChangeZnodesResponse(error_code=error.code)
        assert isinstance(answer, ChangeZnodesResponse)
        return answer

    async def touch_zk_sessions(self, context: RequestContext, request: TouchZkSessions) -> TouchZkSessionsResponse:
        try:
            _own_name(context, request.broker_id)
            answer = await self._controller.handle(request)
        except ApiError as error:
            return TouchZkSessionsResponse(error_code=error.code)
        assert isinstance(answer, TouchZkSessionsResponse)
        return answer


def _own_name(context: RequestContext, broker_id: NodeId) -> None:
    if not context.is_node or context.node_id != broker_id:
        raise ApiError(
            ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "only a node of the cluster may ask this, and in its own name"
        )
