"""How long to wait before the next try. Floor 3, pure: chance is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

_DOUBLINGS_MAX: Final = 30
_JITTER: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Doubles from `first_s` to `max_s` seconds, with a jitter of 20 % so that clients do not retry in step (KIP-580)."""

    first_s: float
    max_s: float

    def delay_s(self, failures: int, random: Random) -> float:
        """Seconds to wait after the `failures`-th failure in a row, counted from 1."""
        doubled = self.first_s * 2.0 ** min(max(failures - 1, 0), _DOUBLINGS_MAX)
        return min(doubled, self.max_s) * random.uniform(1 - _JITTER, 1 + _JITTER)
