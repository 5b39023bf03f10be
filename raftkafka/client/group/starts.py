"""Where to begin in partitions that are new here: at what the group has committed, else where the reset policy says. Floor 3."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from raftkafka.client.fetching import Fetcher
from raftkafka.client.group.commits import Commits
from raftkafka.client.partition_fetch import PartitionFetch
from raftkafka.client.types import TopicPartition
from raftkafka.model.errors import ApiError, ErrorCode

_log = logging.getLogger("raftkafka.client")


class Starts:
    """A seek that comes meanwhile wins, and so does a rebalance: what was asked for an older generation is dropped."""

    def __init__(self, *, fetcher: Fetcher, commits: Commits, timeout_s: float) -> None:
        self._fetcher = fetcher
        self._commits = commits
        self._timeout_s = timeout_s
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, partitions: Iterable[TopicPartition]) -> None:
        """Look up these, in the background; they are assigned and have no position."""
        asked = [(state, state.generation) for each in partitions for state in (self._fetcher.states[each],)]
        if asked:
            task = asyncio.get_running_loop().create_task(self._look_up(asked))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, asked: list[tuple[PartitionFetch, int]]) -> None:
        while wanting := [(state, number) for state, number in asked if state.generation == number]:
            try:
                found = await self._commits.committed(
                    [state.topic_partition for state, _ in wanting], timeout_s=self._timeout_s
                )
            except ApiError as error:
                if error.code is ErrorCode.REQUEST_TIMED_OUT:
                    _log.warning("where to begin is not known yet: %s", error)
                    continue
                for state, number in wanting:
                    if state.generation == number:
                        self._fetcher.fail(state, error)
                return
            for state, number in wanting:
                if state.generation != number:
                    continue
                place = found[state.topic_partition]
                if place is None:
                    self._fetcher.lose_position(
                        state,
                        f"the group has committed nothing in {state.topic_partition}, and auto_offset_reset is 'none'",
                    )
                else:
                    state.seek(place.offset)
                    state.buffered.epoch = place.leader_epoch
            self._fetcher.found()
            return
