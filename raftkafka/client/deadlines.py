"""Fails batches whose `delivery.timeout.ms` has passed while they waited. Floor 3.

The message says whether a request ever carried them: only what was never sent has a known fate (I18).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from raftkafka.client.accumulator import Accumulator
from raftkafka.client.lanes import Batch, Lane
from raftkafka.model.errors import ApiError, ErrorCode


class Deadlines:
    """One timer for all lanes. Deadlines rise within a lane, and a new batch has a later one than all that wait."""

    def __init__(self, *, accumulator: Accumulator, cause: Callable[[], BaseException | None]) -> None:
        self._accumulator = accumulator
        self._cause = cause
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Something may have been added."""
        if self._timer is None:
            waiting = [lane.waiting[0].deadline for lane in self._accumulator.lanes.values() if lane.waiting]
            if waiting:
                self._timer = self._loop.call_at(min(waiting), self._expire_all)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def expire(self, lane: Lane) -> None:
        """Fail what waits in this lane and is late."""
        now = self._loop.time()
        numbered = False
        while lane.waiting and lane.waiting[0].deadline <= now:
            batch = lane.waiting.popleft()
            numbered = numbered or batch.numbers is not None
            self._accumulator.fail(batch, self._error(lane, batch))
        if numbered:
            lane.begin_epoch()

    def _expire_all(self) -> None:
        self._timer = None
        for lane in self._accumulator.lanes.values():
            self.expire(lane)
        self.watch()

    def _error(self, lane: Lane, batch: Batch) -> ApiError:
        cause = lane.last_error or self._cause()
        reason = f" (last error: {cause})" if cause else ""
        fate = "sent, but the outcome is unknown" if batch.sent else "not sent"
        return ApiError(
            ErrorCode.REQUEST_TIMED_OUT,
            f"{lane.topic_partition}: delivery.timeout.ms passed for a batch of {batch.record_count} records, "
            f"{fate}{reason}",
        )
