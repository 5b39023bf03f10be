"""The descriptor budget of all logs: of the closed segments on this node only so many keep a file open.

Floor 2, pure. The active segment of a log stays open; closed ones are opened when they are read, and the one that was not for
the longest time gives its descriptor and its indexes back.
"""

from __future__ import annotations

from typing import Final, Protocol

OPEN_MAX: Final = 1_024


class Unloads(Protocol):
    """A segment, as far as this budget cares."""

    def unload(self) -> None: ...


class OpenSegments:
    """One for a node, shared by its logs."""

    def __init__(self, limit: int = OPEN_MAX) -> None:
        self._limit = max(1, limit)
        self._order: dict[Unloads, None] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, segment: object) -> bool:
        return segment in self._order

    def touch(self, segment: Unloads) -> None:
        """A closed segment is about to be read."""
        order = self._order
        order.pop(segment, None)
        order[segment] = None
        while len(order) > self._limit:
            oldest = next(iter(order))
            del order[oldest]
            oldest.unload()

    def forget(self, segment: Unloads) -> None:
        """It is gone, or active again: not to be closed from here."""
        self._order.pop(segment, None)
