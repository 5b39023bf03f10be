"""Records whose topic is not known yet, in the order they came. Floor 3.

Invariant: a record waits at most `max_block_s` here, and none overtakes another of its topic.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from raftkafka.client.types import RecordMetadata
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.record.layout import RecordFields

Route = Callable[[str, int | None, RecordFields, int, asyncio.Future[RecordMetadata]], None]
Settle = Callable[[str, bool], bool | ApiError]
"""`(topic, final)`: True when its records can be routed, an error when they cannot; False to wait on, unless final."""


class _Waiting(NamedTuple):
    partition: int | None
    record: RecordFields
    size_bytes: int
    future: asyncio.Future[RecordMetadata]
    deadline: float


class Unrouted:
    """`look` after every refresh. What waits here is bounded by whoever reserved its bytes; `drop` gives them back."""

    def __init__(
        self,
        *,
        settle: Settle,
        route: Route,
        drop: Callable[[int], None],
        request_update: Callable[[], None],
        max_block_s: float,
    ) -> None:
        self.empty = asyncio.Event()
        self.empty.set()
        self._settle = settle
        self._route = route
        self._drop = drop
        self._request_update = request_update
        self._max_block_s = max_block_s
        self._queues: dict[str, deque[_Waiting]] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def __contains__(self, topic: str) -> bool:
        return topic in self._queues

    def add(
        self,
        topic: str,
        partition: int | None,
        record: RecordFields,
        size_bytes: int,
        future: asyncio.Future[RecordMetadata],
    ) -> None:
        deadline = self._loop.time() + self._max_block_s
        self._queues.setdefault(topic, deque()).append(_Waiting(partition, record, size_bytes, future, deadline))
        self.empty.clear()
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._expire)

    def look(self) -> None:
        """The view of the cluster has changed."""
        for topic in list(self._queues):
            outcome = self._settle(topic, False)
            if isinstance(outcome, ApiError):
                self._fail(topic, outcome)
            elif outcome:
                for waiting in self._queues.pop(topic):
                    self._route_one(topic, waiting)
            else:
                self._request_update()
        self._note_if_empty()

    def stop(self) -> None:
        """Nothing will be sent any more."""
        if self._timer is not None:
            self._timer.cancel()
        for topic in list(self._queues):
            self._fail(topic, ApiError(ErrorCode.REQUEST_TIMED_OUT, "the producer was stopped; not sent"))
        self._note_if_empty()

    def _route_one(self, topic: str, waiting: _Waiting) -> None:
        try:
            self._route(topic, waiting.partition, waiting.record, waiting.size_bytes, waiting.future)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # The application's own partitioner failed: its record hears of it, and the others go on.
            self._drop(waiting.size_bytes)
            if not waiting.future.done():
                waiting.future.set_exception(error)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for topic in list(self._queues):
            outcome = self._settle(topic, True)
            if isinstance(outcome, ApiError):
                self._fail(topic, outcome, until=now)
        self._note_if_empty()
        if self._queues:
            earliest = min(queue[0].deadline for queue in self._queues.values())
            self._timer = self._loop.call_at(earliest, self._expire)

    def _fail(self, topic: str, error: ApiError, *, until: float | None = None) -> None:
        queue = self._queues[topic]
        while queue and (until is None or queue[0].deadline <= until):
            waiting = queue.popleft()
            self._drop(waiting.size_bytes)
            if not waiting.future.done():
                waiting.future.set_exception(error)
        if not queue:
            del self._queues[topic]

    def _note_if_empty(self) -> None:
        if not self._queues:
            self.empty.set()
