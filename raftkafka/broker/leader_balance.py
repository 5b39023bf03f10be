"""Preferred leaders lead again: a duty of the controller, every `leader.imbalance.check.interval.seconds`.

Floor 3. After a broker was away its leaderships are elsewhere, and nothing but this brings them back. The changes go through Raft a
few at a time, each decided on the image of its own moment, so that other requests pass between them and no entry moves a
thousand leaders at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Final

from raftkafka.broker import background
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.metadata.decide import Decision, elections
from raftkafka.metadata.image import Image
from raftkafka.model.api import Response
from raftkafka.model.api.elections import ElectLeadersResponse
from raftkafka.model.errors import ApiError
from raftkafka.model.settings.values import ControllerSettings
from raftkafka.ports.probe import Probe

_log = logging.getLogger("raftkafka.controller")

CHANGES_PER_ENTRY: Final = 100
"""Leaders that move in one Raft entry."""


class LeaderBalance:
    """Runs between `begin` and `end`: while this node is in office."""

    def __init__(
        self,
        *,
        settings: ControllerSettings,
        store: MetadataStore,
        submit: Callable[[Callable[[Image], Decision]], Awaitable[Response]],
        probe: Probe,
    ) -> None:
        self._settings = settings
        self._store = store
        self._submit = submit
        self._probe = probe
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        if self._task is None and self._settings.auto_leader_rebalance_enable:
            self._task = background.start(self._repeat(), name="leader balance")

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(self._settings.leader_imbalance_check_interval_s)
            try:
                await self.restore()
            except ApiError as error:
                # Whatever has become of the last entry: the next look starts from what the image says then.
                _log.info("leaders are not balanced: %s", error)

    async def restore(self) -> None:
        """Bring leaderships back until the balance is good.

        Raises:
            ApiError: as `ControllerQueue.submit`.
        """
        moved = CHANGES_PER_ENTRY
        while moved == CHANGES_PER_ENTRY:
            moved = await self._restore_some()
            if moved:
                _log.info("moved %d leaderships to their preferred replicas", moved)

    async def _restore_some(self) -> int:
        """How many leaderships were moved."""
        percentage = self._settings.leader_imbalance_per_broker_percentage
        if next(elections.balance(self._store.image, percentage=percentage), None) is None:
            return 0
        moved = 0

        def decide(image: Image) -> Decision:
            nonlocal moved
            changes = tuple(islice(elections.balance(image, percentage=percentage), CHANGES_PER_ENTRY))
            moved = len(changes)
            return Decision(commands=changes, respond=lambda _: ElectLeadersResponse())

        await self._submit(decide)
        for _ in range(moved):
            self._probe.leader_election()
        return moved
