"""Producer ids of this broker's own: a block at a time from the controller, handed out one by one (KIP-730).

Floor 3. Invariant: no id is handed out twice. What is left of a block when the broker stops is never used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from raftkafka.broker import background
from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.model.api.producers import AllocateProducerIds, AllocateProducerIdsResponse
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import BrokerEpoch, NodeId, ProducerId


class ProducerIds:
    """One question to the controller at a time, however many producers ask."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        broker_epoch: Callable[[], BrokerEpoch],
        channel: ControllerChannel,
        timeout_s: float,
    ) -> None:
        self._node_id = node_id
        self._broker_epoch = broker_epoch
        self._channel = channel
        self._timeout_s = timeout_s
        self._next = 0
        self._end = 0
        self._failure: ApiError | None = None
        self._asking: asyncio.Task[None] | None = None

    async def take(self) -> ProducerId:
        """An id that nobody has had before.

        Raises:
            ApiError: COORDINATOR_LOAD_IN_PROGRESS, the controller gives none at the moment.
        """
        while self._next >= self._end:
            if self._asking is None:
                self._asking = background.start(self._ask(), name="producer ids")
            await asyncio.shield(self._asking)
            if self._next >= self._end and self._failure is not None:
                raise ApiError(
                    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, f"the controller gave no producer ids: {self._failure}"
                )
        taken = ProducerId(self._next)
        self._next += 1
        return taken

    async def _ask(self) -> None:
        self._failure = None
        try:
            request = AllocateProducerIds(broker_id=self._node_id, broker_epoch=self._broker_epoch())
            answer = await self._channel.ask(request, timeout_s=self._timeout_s)
            assert isinstance(answer, AllocateProducerIdsResponse)
            if answer.error_code is ErrorCode.NONE:
                self._next, self._end = answer.producer_id_start, answer.producer_id_start + answer.producer_id_len
            else:
                self._failure = ApiError(answer.error_code)
        except ApiError as error:
            self._failure = error
        finally:
            self._asking = None
