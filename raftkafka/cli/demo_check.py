"""What went in against what came out. Floor 5, pure.

Without an idempotent producer a line may stand in the log twice after a crash, once where an acknowledgement got lost and once where
it was acknowledged. So the comparison is made at the *acknowledged places*: for every offset that the brokers acknowledged, the
line that was sent must be read back there, in order. Lines beyond those are counted as extra copies. And, without trusting the
producer's own account: all lines of the input together must equal all lines read at those places together.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionVerdict:
    partition: int
    lines_in: int
    lines_out: int
    extra_copies: int
    sha256_in: str
    sha256_out: str
    in_order: bool

    @property
    def equal(self) -> bool:
        """Every acknowledged line was read where it was acknowledged."""
        return self.in_order and self.lines_in == self.lines_out and self.sha256_in == self.sha256_out


class PartitionCheck:
    """One partition, line by line: `delivered` is its entry in the report of `rk produce`; found lines go into `found`."""

    def __init__(self, delivered: dict[str, Any], found: Counter[bytes]) -> None:
        self._delivered = delivered
        self._ranges: Sequence[Sequence[int]] = delivered["ranges"]
        self._range = 0
        self._found = found
        self._digest = hashlib.sha256()
        self._lines_out = 0
        self._extra_copies = 0
        self._in_order = True
        self._previous = -1

    def take(self, offset: int, line: bytes) -> None:
        """The next line that was read."""
        if offset <= self._previous:
            self._in_order = False
        self._previous = offset
        ranges = self._ranges
        while self._range < len(ranges) and offset > ranges[self._range][1]:
            self._range += 1
        if self._range == len(ranges) or offset < ranges[self._range][0]:
            self._extra_copies += 1
            return
        self._lines_out += 1
        self._digest.update(line + b"\n")
        self._found[line] += 1

    def verdict(self) -> PartitionVerdict:
        return PartitionVerdict(
            partition=self._delivered["partition"],
            lines_in=self._delivered["lines"],
            lines_out=self._lines_out,
            extra_copies=self._extra_copies,
            sha256_in=self._delivered["sha256"],
            sha256_out=self._digest.hexdigest(),
            in_order=self._in_order,
        )


def failover_ms(acks: Sequence[Sequence[float]], killed_at_ms: float) -> float | None:
    """From the kill to the first acknowledgement by the new leader; None when none came.

    An answer of the dead leader may still lie in a socket when it dies, so it is not the first acknowledgement after the kill
    that counts but the one that ends the longest pause.
    """
    times = [at_ms for at_ms, _, _ in acks]
    pauses = [
        (later - earlier, later)
        for earlier, later in zip([killed_at_ms, *times], times, strict=False)
        if later > killed_at_ms
    ]
    return max(pauses)[1] - killed_at_ms if pauses else None
