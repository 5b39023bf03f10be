"""The topics of one member: what it has subscribed to, and what it has to know because it leads the group. Floor 3."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from random import Random
from typing import Final

from raftkafka.client.fetching import Fetcher
from raftkafka.client.group.leading import Leading
from raftkafka.client.group.settings import GroupSettings
from raftkafka.client.group.subscription import PatternWatch
from raftkafka.client.routing import Router

LOOK_AGAIN_S: Final = 1.0
"""How often to ask for topics that are subscribed to and do not exist."""


class Interest:
    """`changed` is told why the group has to join again: other topics match, or those of the group have grown or gone."""

    def __init__(
        self,
        *,
        router: Router,
        fetcher: Fetcher,
        settings: GroupSettings,
        random: Random,
        changed: Callable[[str], None],
    ) -> None:
        self.topics: tuple[str, ...] | None = None
        """None while nothing is subscribed to, or a pattern's topics are not known yet."""
        self.leading = Leading(router=router, assignors=settings.assignors, track=self._track)
        self._router = router
        self._fetcher = fetcher
        self._settings = settings
        self._random = random
        self._changed = changed
        self._of_group: frozenset[str] = frozenset()
        self._watch: PatternWatch | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        router.on_update.append(self._look)

    def select(self, topics: tuple[str, ...]) -> None:
        self._forget_pattern()
        self._found(topics)

    def match(self, pattern: re.Pattern[str]) -> None:
        self._forget_pattern()
        self.topics = None
        self._watch = PatternWatch(
            router=self._router,
            pattern=pattern,
            exclude_internal=self._settings.exclude_internal_topics,
            max_age_s=self._settings.metadata_max_age_s,
            timeout_s=self._settings.request_timeout_s,
            backoff=self._settings.backoff,
            random=self._random,
            found=self._found,
        )

    async def drop(self) -> None:
        """Be interested in nothing."""
        self.topics = None
        watch, self._watch = self._watch, None
        if watch is not None:
            await watch.stop()
        self.leading.resign()

    async def stop(self) -> None:
        await self.drop()
        self._router.on_update.remove(self._look)
        if self._look_timer is not None:
            self._look_timer.cancel()

    def _forget_pattern(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _found(self, topics: tuple[str, ...]) -> None:
        changed = self.topics != topics
        self.topics = topics
        self._track(self._of_group)
        self._router.track(topics)
        if changed:
            self._changed(f"subscribed to {len(topics)} topics" if topics else "no topic matches")

    def _track(self, topics: frozenset[str]) -> None:
        """The router asks for these too, those of the whole group where this member leads it."""
        self._of_group = topics
        self._fetcher.also_track = topics | set(self.topics or ())

    def _look(self) -> None:
        if self.topics is None:
            return
        if self.leading.topics_changed():
            self.leading.resign()
            self._changed("topics have changed")
        if self._look_timer is None and self.leading.missing(self.topics):
            self._look_timer = asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._look_again)

    def _look_again(self) -> None:
        self._look_timer = None
        self._router.request_update()
