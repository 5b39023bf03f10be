"""Keeps the session alive while the application works, and ends it when the application has stopped polling. Floor 3.

The loop has to run for that: an application that blocks it for longer than `session_timeout_ms` is out of the group.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from raftkafka.client.group.coordinator import LATER, Coordinator
from raftkafka.client.group.membership import OUT, Identity, Membership
from raftkafka.client.group.settings import GroupSettings
from raftkafka.model.api.membership import Heartbeat, HeartbeatResponse
from raftkafka.model.errors import ApiError, ErrorCode, RaftKafkaError

_log = logging.getLogger("raftkafka.client")


class Heartbeats:
    """Runs from `start` to `stop`. `idle_s`: how long the application has not polled."""

    def __init__(
        self, *, coordinator: Coordinator, membership: Membership, settings: GroupSettings, idle_s: Callable[[], float]
    ) -> None:
        self._coordinator = coordinator
        self._membership = membership
        self._settings = settings
        self._idle_s = idle_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._beat_for_ever())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _beat_for_ever(self) -> None:
        interval_s = self._settings.heartbeat_interval_ms / 1000
        failures = 0
        while True:
            # A beat that failed is made up for soon: the session goes on ending meanwhile.
            await asyncio.sleep(min(interval_s, self._coordinator.delay_s(failures)) if failures else interval_s)
            if not self._membership.has_session:
                continue
            if self._idle_s() * 1000 > self._settings.max_poll_interval_ms:
                await self._give_up()
            elif await self._beat(self._membership.identity):
                failures = 0
            else:
                failures += 1

    async def _give_up(self) -> None:
        limit_ms = self._settings.max_poll_interval_ms
        _log.warning(
            "group %s: no poll for more than max_poll_interval_ms, %d ms: leaving the group. Poll more often, take fewer records at a "
            "time (max_poll_records), or raise the limit",
            self._settings.group_id,
            limit_ms,
        )
        await self._membership.leave(f"no poll for more than {limit_ms} ms")
        self._membership.ask_to_rejoin("the last poll was too long ago")

    async def _beat(self, sent_as: Identity) -> bool:
        request = Heartbeat(
            group_id=self._settings.group_id,
            generation_id=sent_as.generation,
            member_id=sent_as.member_id,
            group_instance_id=sent_as.group_instance_id,
        )
        try:
            response = await self._coordinator.ask(
                request,
                HeartbeatResponse,
                lambda answer: answer.error_code,
                timeout_s=self._settings.session_timeout_ms / 1000,
            )
        except RaftKafkaError as error:
            _log.debug("group %s: a heartbeat failed: %s", self._settings.group_id, error)
            return False
        return self._heard(sent_as, response.error_code)

    def _heard(self, sent_as: Identity, code: ErrorCode) -> bool:
        membership = self._membership
        if code in LATER:
            return False
        if code is ErrorCode.NONE or not membership.is_current(sent_as):
            return True
        if code is ErrorCode.REBALANCE_IN_PROGRESS:
            membership.ask_to_rejoin("the group rebalances")
        elif code in OUT:
            membership.lose(sent_as, code)
        elif code is ErrorCode.FENCED_INSTANCE_ID:
            membership.fenced()
        else:
            membership.fail(ApiError(code, f"group {self._settings.group_id!r} refused a heartbeat"))
        return True
