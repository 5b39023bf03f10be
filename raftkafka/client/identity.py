"""The producer id of one idempotent producer: asked for once, by whoever may need it first. Floor 3."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import Random
from typing import Final

from raftkafka.client.backoff import Backoff
from raftkafka.client.routing import Router
from raftkafka.model.api.producers import InitProducerId, InitProducerIdResponse
from raftkafka.model.errors import ApiError, ErrorCode, ProtocolError, RaftKafkaError
from raftkafka.model.ids import NO_PRODUCER_ID, ProducerId

_log = logging.getLogger("raftkafka.client")

BACKOFF_MAX_S: Final = 0.5
"""Nothing can be sent without an id, so a broker that has none is asked again soon."""


class Identity:
    """`producer_id` is -1 until a broker has given one; `on_ready` is called then, and when it is clear that none will."""

    def __init__(self, *, router: Router, timeout_s: float, random: Random, on_ready: Callable[[], None]) -> None:
        self.producer_id: ProducerId = NO_PRODUCER_ID
        self.refusal: ApiError | None = None
        """The cluster will not give an id, however often it is asked."""
        self.last_error: RaftKafkaError | None = None
        self._router = router
        self._timeout_s = timeout_s
        self._random = random
        self._on_ready = on_ready
        self._backoff = Backoff(first_s=0.02, max_s=BACKOFF_MAX_S)
        self._task: asyncio.Task[None] | None = None

    def request(self) -> None:
        """An id is wanted; asks in the background until there is one. Cheap, call it at will."""
        if self._task is None and self.producer_id < 0 and self.refusal is None:
            self._task = asyncio.get_running_loop().create_task(self._acquire())

    def renew(self, spent: ProducerId) -> None:
        """All epochs of the id `spent` are used up: get another one, unless that has been done."""
        if self.producer_id == spent:
            self.producer_id = NO_PRODUCER_ID
        self.request()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _acquire(self) -> None:
        failures = 0
        while self.producer_id < 0 and self.refusal is None:
            try:
                self._take(await self._router.ask_any(InitProducerId(), timeout_s=self._timeout_s))
            except RaftKafkaError as error:
                _log.debug("no producer id yet: %s", error)
                self.last_error = error
                failures += 1
                await asyncio.sleep(self._backoff.delay_s(failures, self._random))
        self._task = None
        self._on_ready()

    def _take(self, answer: object) -> None:
        if not isinstance(answer, InitProducerIdResponse):
            raise ProtocolError(f"InitProducerId was answered by {type(answer).__name__}")
        if answer.error_code is ErrorCode.NONE:
            self.producer_id = answer.producer_id
            self.last_error = None
            return
        error = ApiError(answer.error_code, answer.error_message or "")
        if error.code.retriable:
            raise error
        self.refusal = error
