"""What all connections of a listener together hold of this process's memory, and who goes when it is too much.

Floor 4. Each connection has limits of its own, but a stranger may open as many as he likes: twenty that ask for 55 MB and
never read would be a gigabyte. Invariant: above `max_bytes` the connection that holds most is cut, until it is less.
"""

from __future__ import annotations

from typing import Final, Protocol

HELD_MAX_BYTES: Final = 1 << 30
LIGHT_BYTES: Final = 256 << 10
"""Who holds less is not counted: `max.connections` bounds that."""


class Holder(Protocol):
    @property
    def held_bytes(self) -> int:
        """Received but not yet handed out, and answered but not yet sent."""
        ...

    def cut(self, reason: str) -> None:
        """Close at once and hold nothing any more."""
        ...


class HeldBytes:
    """The sum is of what was last reported; it is taken anew before anybody is cut."""

    def __init__(self, max_bytes: int = HELD_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._of: dict[Holder, int] = {}
        self._total = 0

    @property
    def total(self) -> int:
        return self._total

    def report(self, holder: Holder, held: int) -> None:
        """`holder` holds so much now."""
        self._total += held - self._of.get(holder, 0)
        if held < LIGHT_BYTES:
            self._total -= held
            self._of.pop(holder, None)
        else:
            self._of[holder] = held
        if self._total > self._max_bytes:
            self._relieve()

    def forget(self, holder: Holder) -> None:
        self._total -= self._of.pop(holder, 0)

    def _relieve(self) -> None:
        self._of = {each: held for each in self._of if (held := each.held_bytes) >= LIGHT_BYTES}
        self._total = sum(self._of.values())
        while self._total > self._max_bytes:
            largest = max(self._of, key=self._of.__getitem__)
            held = self._of.pop(largest)
            self._total -= held
            largest.cut(f"all connections together hold more than {self._max_bytes} bytes, and this one {held} of them")
