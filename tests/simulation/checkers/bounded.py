"""I17: what a process holds is bounded throughout, and it comes to rest after the load: nothing waits, little is held.

The bounds are several times what sound runs have needed with three nodes, two producers, and a few consumers. Small segments make
many files: a run with 85 of them on each node has had 332 open on one that led most partitions.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History, Load

BUSY_MAX = {
    "connections": 80,
    "held_bytes": 64 << 20,
    "waiting_commits": 500,
    "waiting_fetches": 200,
    "open_files": 600,
    "tasks": 150,
}
IDLE_MAX = {
    "connections": 60,
    "held_bytes": 4 << 20,
    "waiting_commits": 0,
    "waiting_fetches": 80,
    "open_files": 600,
    "tasks": 60,
}
"""Followers go on waiting at their leaders, and connections of hosts that lost their power stay until they have been idle for long."""


def check(history: History) -> Iterator[str]:
    told: set[tuple[str, str, bool]] = set()
    for load in history.loads:
        for what, most in (IDLE_MAX if load.idle else BUSY_MAX).items():
            count = getattr(load, what)
            if count > most and (load.node, what, load.idle) not in told:
                told.add((load.node, what, load.idle))
                yield f"I17: {load.node} holds {count} {what} {_when(load)}, at most {most} are sound"


def _when(load: Load) -> str:
    return f"at {load.at:.3f}" + (" although nothing happens any more" if load.idle else "")
