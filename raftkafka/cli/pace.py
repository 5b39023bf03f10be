"""Keeping to a rate: how long to wait before so many more records may go. Floor 5, pure but for the clock it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

Item = TypeVar("Item")

STEPS_PER_SECOND: Final = 20
_BEHIND_MAX_S: Final = 1.0
"""Who was held up makes good for so much, and no more: a pause must not be followed by a flood."""


class Pace:
    """So many records per second, evenly. `now_s` is a monotonic clock."""

    def __init__(self, records_per_second: float, now_s: Callable[[], float]) -> None:
        self._rate = records_per_second
        self._now_s = now_s
        self._free_at_s = now_s()

    def wait_s(self, records: int) -> float:
        """Take up room for these records; the seconds to wait before they go."""
        now_s = self._now_s()
        at_s = max(self._free_at_s, now_s - _BEHIND_MAX_S)
        self._free_at_s = at_s + records / self._rate
        return max(0.0, at_s - now_s)

    def steps(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        """`items` in portions so small that the rate is even, and not smaller than one."""
        size = max(1, int(self._rate / STEPS_PER_SECOND))
        for first in range(0, len(items), size):
            yield items[first : first + size]
