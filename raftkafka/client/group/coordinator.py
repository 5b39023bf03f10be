"""Finds the coordinator of a group, and asks it. Floor 3.

The coordinator is the leader of a partition of `__consumer_offsets`: it moves as leaders do. Whoever finds that it has moved, or gets no
answer, forgets it; the next question looks it up. A coordinator that is silent is not waited for alone: others are asked
whether it still is the one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import Random
from typing import Final, TypeVar

from raftkafka.client.backoff import Backoff
from raftkafka.client.routing import Router
from raftkafka.client.types import NotReachableError
from raftkafka.model.api import Request
from raftkafka.model.api.groups import Coordinator as Place
from raftkafka.model.api.groups import FindCoordinator, FindCoordinatorResponse
from raftkafka.model.errors import ApiError, ErrorCode, ProtocolError, RaftKafkaError
from raftkafka.model.ids import GroupId, NodeId

_log = logging.getLogger("raftkafka.client")

LANE: Final = "coordinator"
"""Heartbeats, commits: what is answered soon."""

JOIN_LANE: Final = "join"
"""What waits for all members; behind it no heartbeat could be answered."""

LOOK_S: Final = 1.0
"""After so long without an answer, and again and again, look whether the coordinator has moved."""

MOVED: Final = frozenset({ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE})
LATER: Final = MOVED | {ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.REQUEST_TIMED_OUT}
"""The same request may be answered soon, by this coordinator or by the next."""

_Response = TypeVar("_Response")


class Coordinator:
    """Of one group."""

    def __init__(
        self, *, router: Router, group_id: GroupId, backoff: Backoff, random: Random, request_timeout_s: float
    ) -> None:
        self.node: NodeId | None = None
        self._router = router
        self._group_id = group_id
        self._backoff = backoff
        self._random = random
        self._request_timeout_s = request_timeout_s
        self._finding = asyncio.Lock()

    async def find(self) -> NodeId:
        """Look it up unless it is known; one try.

        Raises:
            ApiError: COORDINATOR_NOT_AVAILABLE and the like.
            RaftKafkaError: nobody answered.
        """
        async with self._finding:
            if self.node is None:
                self.node = await self._look()
                _log.debug("group %s: the coordinator is node %d", self._group_id, self.node)
            return self.node

    def forget(self, node: NodeId) -> None:
        """That one is not, or does not answer."""
        if self.node == node:
            self.node = None

    async def ask(
        self,
        request: Request,
        kind: type[_Response],
        code_of: Callable[[_Response], ErrorCode],
        *,
        lane: str = LANE,
        timeout_s: float | None = None,
    ) -> _Response:
        """One try.

        Raises:
            ApiError: the coordinator cannot be found now, or refuses to answer.
            RaftKafkaError: no answer; the outcome is unknown (I18).
        """
        node = await self.find()
        try:
            channel = await self._router.channel(node, lane=lane)
        except RaftKafkaError:
            self.forget(node)
            raise
        answer = channel.request(request, timeout_s=timeout_s or self._request_timeout_s)
        try:
            while not answer.done():
                await asyncio.wait((answer,), timeout=LOOK_S)
                if not answer.done() and await self._moved(node):
                    raise NotReachableError(f"node {node} does not answer, and is not the coordinator any more")
            response = answer.result()
        except ApiError:
            raise
        except RaftKafkaError:
            # What is still under way there must not be carried out after what is sent next.
            self.forget(node)
            channel.abort()
            raise
        except asyncio.CancelledError:
            answer.cancel()
            raise
        if not isinstance(response, kind):
            raise ProtocolError(f"{type(request).__name__} was answered by {type(response).__name__}")
        if code_of(response) in MOVED:
            self.forget(node)
        return response

    async def ask_until(
        self,
        request: Request,
        kind: type[_Response],
        code_of: Callable[[_Response], ErrorCode],
        *,
        timeout_s: float,
    ) -> _Response:
        """Ask again until it is answered; what is asked must do no harm when it is carried out twice.

        `code_of`: a code that is `LATER`, where any part of the answer has one.

        Raises:
            ApiError: refused for good, or REQUEST_TIMED_OUT with the last reason.
        """
        failures = 0
        reason: RaftKafkaError | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    try:
                        response = await self.ask(request, kind, code_of)
                        if code_of(response) not in LATER:
                            return response
                        reason = ApiError(code_of(response))
                    except ApiError as error:
                        if not error.code.retriable:
                            raise
                        reason = error
                    except ProtocolError:
                        raise
                    except RaftKafkaError as error:
                        reason = error
                    failures += 1
                    await asyncio.sleep(self.delay_s(failures))
        except TimeoutError:
            text = f"no answer from the coordinator of group {self._group_id!r}" + (f": {reason}" if reason else "")
            raise ApiError(ErrorCode.REQUEST_TIMED_OUT, text) from reason

    def delay_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row."""
        return self._backoff.delay_s(failures, self._random)

    async def _moved(self, node: NodeId) -> bool:
        try:
            return await self._look() != node
        except RaftKafkaError:
            return False  # nobody knows better

    async def _look(self) -> NodeId:
        request = FindCoordinator(coordinator_keys=(self._group_id,))
        response = await self._router.ask_any(request, timeout_s=self._request_timeout_s)
        if not isinstance(response, FindCoordinatorResponse) or len(response.coordinators) != 1:
            raise ProtocolError("the answer to FindCoordinator does not fit")
        place: Place = response.coordinators[0]
        if place.error_code is not ErrorCode.NONE:
            raise ApiError(place.error_code, place.error_message or f"group {self._group_id!r}")
        if place.node_id not in self._router.view.brokers:
            self._router.request_update()
        return place.node_id
