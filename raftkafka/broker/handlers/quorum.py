"""AddRaftVoter, RemoveRaftVoter, UpdateFeatures: asked of any broker, carried out by the controller, which leads Raft.

Floor 3.
"""

from __future__ import annotations

from typing import Final, TypeVar

from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.model.api import Request
from raftkafka.model.api.features import UpdateFeatures, UpdateFeaturesResponse
from raftkafka.model.api.quorum import AddRaftVoter, AddRaftVoterResponse, RemoveRaftVoter, RemoveRaftVoterResponse
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError

FORWARD_LANE: Final = "forward-quorum"
"""Of its own: adding a voter waits until it has caught up, and must not hold up who creates topics."""
PATIENCE_MAX_S: Final = 60.0
_GRACE_S: Final = 2.0
"""Longer than the controller waits, so that its answer arrives."""

_Answer = TypeVar("_Answer", AddRaftVoterResponse, RemoveRaftVoterResponse, UpdateFeaturesResponse)


class QuorumHandler:
    def __init__(self, *, channel: ControllerChannel) -> None:
        self._channel = channel

    async def add_voter(self, context: RequestContext, request: AddRaftVoter) -> AddRaftVoterResponse:
        return await self._ask(context, request, request.timeout_ms, AddRaftVoterResponse)

    async def remove_voter(self, context: RequestContext, request: RemoveRaftVoter) -> RemoveRaftVoterResponse:
        return await self._ask(context, request, request.timeout_ms, RemoveRaftVoterResponse)

    async def update_features(self, context: RequestContext, request: UpdateFeatures) -> UpdateFeaturesResponse:
        return await self._ask(context, request, request.timeout_ms, UpdateFeaturesResponse)

    async def _ask(self, context: RequestContext, request: Request, timeout_ms: int, kind: type[_Answer]) -> _Answer:
        timeout_s = min(timeout_ms / 1000, PATIENCE_MAX_S) + _GRACE_S
        try:
            answer = await self._channel.ask(
                request, timeout_s=timeout_s, forward=not context.is_node, lane=FORWARD_LANE
            )
        except ApiError as error:
            return kind(error_code=error.code, error_message=error.message)
        assert isinstance(answer, kind)
        return answer
