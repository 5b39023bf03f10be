"""Commits without being asked: every `auto_commit_interval_ms`, and before something is given up. Floor 3.

Called within a poll alone, where the application is done with what it was given; so at least once is what it gets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from raftkafka.client.group.commits import Commits
from raftkafka.client.group.settings import GroupSettings
from raftkafka.client.types import OffsetAndMetadata, TopicPartition
from raftkafka.model.errors import RaftKafkaError

_log = logging.getLogger("raftkafka.client")

Offsets = Mapping[TopicPartition, OffsetAndMetadata]


class AutoCommit:
    """Does nothing where `enable_auto_commit` is off. `due` turns true with time, and `on_due` is called."""

    def __init__(self, *, commits: Commits, settings: GroupSettings, on_due: Callable[[], None]) -> None:
        self.due = False
        self._commits = commits
        self._settings = settings
        self._on_due = on_due
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._known: dict[TopicPartition, int] = {}
        """What was committed of what is held: it need not be said twice."""

    def arm(self) -> None:
        if self._settings.enable_auto_commit and self._timer is None:
            self._timer = self._loop.call_later(self._settings.auto_commit_interval_ms / 1000, self._make_due)

    def forget(self) -> None:
        """Other partitions are held from now on."""
        self._known = {}

    def in_background(self, positions: Offsets) -> None:
        """Commit what has moved, unless the last commit is still under way."""
        self.due = False
        self.arm()
        if self._task is None or self._task.done():
            moved = {each: place for each, place in positions.items() if self._known.get(each) != place.offset}
            if moved:
                self._task = self._loop.create_task(self._commit(moved, self._settings.api_timeout_s))

    async def now(self, positions: Offsets) -> None:
        """Before these are given up; what fails is read again by whoever gets them."""
        if self._settings.enable_auto_commit and positions:
            limit_s = min(self._settings.api_timeout_s, self._settings.session_timeout_ms / 1000)
            await self._commit(positions, limit_s)

    async def stop(self) -> None:
        """Until it is armed again."""
        self.due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _commit(self, offsets: Offsets, timeout_s: float) -> None:
        known = self._known
        try:
            await self._commits.commit(offsets, timeout_s=timeout_s)
        except RaftKafkaError as error:
            _log.warning("group %s: offsets were not committed: %s", self._settings.group_id, error)
        else:
            known.update((each, place.offset) for each, place in offsets.items())

    def _make_due(self) -> None:
        self._timer = None
        self.due = True
        self._on_due()
