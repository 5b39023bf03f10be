"""Finds the position of partitions that have none: their beginning or end, as the reset policy or a seek said. Floor 3."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from raftkafka.client.offsets import list_offsets
from raftkafka.client.partition_fetch import PartitionFetch
from raftkafka.client.routing import Router
from raftkafka.model.errors import ApiError


class Lookups:
    """A seek that comes meanwhile wins: what was looked up for an older generation is dropped."""

    def __init__(
        self,
        *,
        router: Router,
        timeout_s: float,
        isolation_level: int,
        on_found: Callable[[], None],
        on_error: Callable[[PartitionFetch, ApiError], None],
    ) -> None:
        self._router = router
        self._timeout_s = timeout_s
        self._isolation_level = isolation_level
        self._on_found = on_found
        self._on_error = on_error
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, states: Iterable[PartitionFetch]) -> None:
        """Look up where `reset_to` says, in the background."""
        asked = [(state, state.generation) for state in states]
        for state, _ in asked:
            state.looking_up = True
        task = asyncio.get_running_loop().create_task(self._look_up(asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, asked: list[tuple[PartitionFetch, int]]) -> None:
        targets = {state.topic_partition: state.reset_to for state, _ in asked if state.reset_to is not None}
        try:
            found = await list_offsets(
                self._router, targets, timeout_s=self._timeout_s, isolation_level=self._isolation_level
            )
        except ApiError as error:
            for state, generation in asked:
                if state.generation == generation:
                    state.looking_up = False
                    self._on_error(state, error)
            return
        for state, generation in asked:
            if state.generation == generation:
                state.seek(found[state.topic_partition].offset)
                state.looking_up = False
        self._on_found()
