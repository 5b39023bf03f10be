"""Which topics this consumer wants: a list, or all whose name matches a pattern. Floor 3."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from random import Random

from raftkafka.client.backoff import Backoff
from raftkafka.client.routing import Router
from raftkafka.model.api.cluster import Metadata, MetadataResponse
from raftkafka.model.errors import ApiError, ErrorCode, ProtocolError, RaftKafkaError
from raftkafka.model.topics import why_illegal

_log = logging.getLogger("raftkafka.client")


def pattern_of(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    """
    Raises:
        ValueError: it is no regular expression.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


class PatternWatch:
    """Lists the cluster's topics now and every `max_age_s` seconds; `found` is told those that match, whenever they change.

    A name matches as a whole, as with Kafka's client.
    """

    def __init__(
        self,
        *,
        router: Router,
        pattern: re.Pattern[str],
        exclude_internal: bool,
        max_age_s: float,
        timeout_s: float,
        backoff: Backoff,
        random: Random,
        found: Callable[[tuple[str, ...]], None],
    ) -> None:
        self._router = router
        self._pattern = pattern
        self._exclude_internal = exclude_internal
        self._max_age_s = max_age_s
        self._timeout_s = timeout_s
        self._backoff = backoff
        self._random = random
        self._found = found
        self._last: tuple[str, ...] | None = None
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def cancel(self) -> None:
        self._task.cancel()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        failures = 0
        while True:
            try:
                topics = await self._matching()
                failures = 0
            except RaftKafkaError as error:
                _log.debug("the topics could not be listed: %s", error)
                failures += 1
            else:
                if topics != self._last:
                    self._last = topics
                    self._found(topics)
            await asyncio.sleep(
                min(self._backoff.delay_s(failures, self._random), self._max_age_s) if failures else self._max_age_s
            )

    async def _matching(self) -> tuple[str, ...]:
        response = await self._router.ask_any(Metadata(topics=None), timeout_s=self._timeout_s)
        if not isinstance(response, MetadataResponse):
            raise ProtocolError(f"Metadata was answered by {type(response).__name__}")
        return tuple(
            sorted(
                topic.name
                for topic in response.topics
                if self._pattern.fullmatch(topic.name) and not (topic.is_internal and self._exclude_internal)
            )
        )


def checked_topics(topics: Iterable[str]) -> tuple[str, ...]:
    """Each once, in their order.

    Raises:
        TypeError: one string where several are wanted (it would be taken apart into letters).
        ValueError: a name is empty or no string.
        ApiError: INVALID_TOPIC_EXCEPTION, no topic can have that name, and one would wait for it in vain.
    """
    if isinstance(topics, str):
        raise TypeError(f"topics are a list of names: [{topics!r}]")
    wanted = tuple(dict.fromkeys(topics))
    if not all(isinstance(name, str) and name for name in wanted):
        raise ValueError("a topic's name is a string, and not empty")
    for name in wanted:
        why = why_illegal(name)
        if why is not None:
            raise ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, why)
    return wanted
