"""The two forms of a node under test, as the cluster sees them. Floor 6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Nodes(Protocol):
    """Every call names one node. Ending a node that is down, or starting one that is up, is the caller's mistake."""

    async def launch(self, node_id: int) -> None:
        """Start it; `ready` tells when it takes part."""
        ...

    async def ready(self, node_id: int, *, timeout_s: float) -> None:
        """Raises ClusterError when it ended, or did not become ready in time."""
        ...

    async def stop(self, node_id: int) -> None:
        """In order: leaderships move first, everything is synced."""
        ...

    async def kill(self, node_id: int) -> None: ...

    async def advance(self, seconds: float) -> None:
        """Move the wall clock, and do at once what became due by it. Raises ClusterError where that cannot be."""
        ...

    def failures(self) -> Mapping[int, str]:
        """Nodes that have ended of their own, and why."""
        ...

    def logs(self) -> Mapping[int, str]:
        """What each has said, where it does not say it in this process."""
        ...

    async def close(self) -> None:
        """Let go of everything; the nodes are down already."""
        ...
