"""Nodes on the running event loop: real brokers and Raft, real sockets on loopback, real files without syncs.

Floor 6. They share the loop with the test, or have one of their own in a thread (`blocking`). Invariant: an ended node leaves no
task, no thread, no descriptor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from raftkafka.model.settings.values import Settings
from raftkafka.node.lifecycle import Node
from raftkafka.testing.clock import MovableClock
from raftkafka.testing.disk import UnsyncedDisk
from raftkafka.testing.errors import ClusterError

_POLL_S: Final = 0.002


@dataclass(slots=True, eq=False)
class _Running:
    node: Node
    disk: UnsyncedDisk
    watch: asyncio.Task[None]


class InProcessNodes:
    """Implements `nodes.Nodes`."""

    def __init__(self, settings: Mapping[int, Settings]) -> None:
        self._settings = settings
        self._clock = MovableClock()
        self._running: dict[int, _Running] = {}
        self._failures: dict[int, str] = {}

    async def launch(self, node_id: int) -> None:
        disk = UnsyncedDisk()
        node = Node(self._settings[node_id], disk=disk, clock=self._clock)
        try:
            await node.start()
        except BaseException:
            disk.close()
            raise
        watch = asyncio.create_task(self._watch(node_id, node), name=f"node {node_id} under test")
        self._running[node_id] = _Running(node, disk, watch)

    async def _watch(self, node_id: int, node: Node) -> None:
        try:
            await node.failure()
        except Exception as error:  # noqa: BLE001 - whatever ended the node is told to the test
            self._failures[node_id] = str(error)

    async def ready(self, node_id: int, *, timeout_s: float) -> None:
        node = self._running[node_id].node
        reason = "not started"
        try:
            async with asyncio.timeout(timeout_s):
                while reason:
                    if node_id in self._failures:
                        raise ClusterError(f"node {node_id} ended: {self._failures[node_id]}")
                    ready, reason = node.ready()
                    # Before that it answers no question about topics.
                    if ready:
                        reason = "" if node.parts.reconciler.is_current else "its metadata is not current"
                    await asyncio.sleep(_POLL_S if reason else 0)
        except TimeoutError:
            raise ClusterError(f"node {node_id} was not ready within {timeout_s:g} s: {reason}") from None

    async def stop(self, node_id: int) -> None:
        running = self._running.pop(node_id)
        await running.node.stop()
        await self._let_go(running)

    async def kill(self, node_id: int) -> None:
        running = self._running.pop(node_id)
        await running.node.crash()
        await self._let_go(running)

    @staticmethod
    async def _let_go(running: _Running) -> None:
        running.watch.cancel()
        await asyncio.wait([running.watch])
        running.disk.close()

    async def advance(self, seconds: float) -> None:
        self._clock.advance(seconds)
        for running in list(self._running.values()):
            await running.node.parts.housekeeping.run_now()

    def failures(self) -> Mapping[int, str]:
        return self._failures

    def logs(self) -> Mapping[int, str]:
        return {}

    async def close(self) -> None:
        # Transports that were closed in this turn of the loop let go of their sockets in the next.
        await asyncio.sleep(0)
