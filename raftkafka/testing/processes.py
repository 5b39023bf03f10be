"""Nodes as processes: what SIGKILL does to them is what it does in production.

Floor 6. They run `rk broker` and end with this process, whatever ends it (see `cli.parent`). What blocks happens in one thread,
which ends with the cluster; nodes are started from the loop's own thread, since the kernel ends them with the thread that did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from raftkafka.cli.children import Children, last_words, readiness
from raftkafka.cli.layout import NodePlace
from raftkafka.testing.errors import ClusterError

_T = TypeVar("_T")

_POLL_S: Final = 0.01


class ProcessNodes:
    """Implements `nodes.Nodes`."""

    def __init__(self, places: Mapping[int, NodePlace]) -> None:
        self._places = places
        self._children = Children()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cluster-under-test")

    async def launch(self, node_id: int) -> None:
        self._children.start(self._places[node_id])

    async def ready(self, node_id: int, *, timeout_s: float) -> None:
        place = self._places[node_id]
        reason = "not asked"
        try:
            async with asyncio.timeout(timeout_s):
                while (reason := await self._run(lambda: readiness(place))) != "ready":
                    if (failure := self.failures().get(node_id)) is not None:
                        raise ClusterError(f"node {node_id} ended: {failure}")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise ClusterError(f"node {node_id} was not ready within {timeout_s:g} s: {reason}") from None

    async def stop(self, node_id: int) -> None:
        await self._run(lambda: self._children.stop(self._places[node_id]))

    async def kill(self, node_id: int) -> None:
        await self._run(lambda: self._children.kill(self._places[node_id]))

    async def advance(self, seconds: float) -> None:
        raise ClusterError("the clock of nodes that are processes is the system's; use a cluster in this process")

    def failures(self) -> Mapping[int, str]:
        return {each.node_id: last_words(each) for each in self._children.all_dead()}

    def logs(self) -> Mapping[int, str]:
        return {
            node_id: place.log.read_text(encoding="utf-8", errors="replace")
            for node_id, place in self._places.items()
            if place.log.exists()
        }

    async def close(self) -> None:
        await self._run(self._children.stop_all)
        self._thread.shutdown()

    async def _run(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
