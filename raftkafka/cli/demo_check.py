"""What went in against what came out. Floor 5, pure.

Delivery is at least once: after a crash a line may stand in the log twice, once where an acknowledgement got lost and once where it
was acknowledged. So the comparison is made at the *acknowledged places*: for every offset that the brokers acknowledged, the
line that was sent must be read back there, in order. Lines beyond those are counted as extra copies. And, without trusting the
producer's own account: all lines of the input together must equal all lines read at those places together.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Consumed = Iterable[tuple[int, bytes]]
"""Offset and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionVerdict:
    partition: int
    lines_in: int
    lines_out: int
    extra_copies: int
    sha256_in: str
    sha256_out: str
    in_order: bool
    bag_out: int

    @property
    def equal(self) -> bool:
        """Every acknowledged line was read where it was acknowledged."""
        return self.in_order and self.lines_in == self.lines_out and self.sha256_in == self.sha256_out


def bag(lines: Iterable[bytes]) -> int:
    """A digest of lines without their order: equal for equal multisets, different otherwise but for chance 2^-128."""
    total = 0
    for line in lines:
        total += int.from_bytes(hashlib.blake2b(line, digest_size=16).digest(), "big")
    return total % (1 << 128)


def judge(delivered: dict[str, Any], consumed: Consumed) -> PartitionVerdict:
    """One partition: `delivered` is its entry in the report of `rk produce`."""
    ranges: Sequence[Sequence[int]] = delivered["ranges"]
    firsts = [first for first, _ in ranges]
    digest, found, extra, in_order, previous = hashlib.sha256(), 0, 0, True, -1
    found_lines: list[bytes] = []
    for offset, line in consumed:
        in_order = in_order and offset > previous
        previous = offset
        place = bisect_right(firsts, offset) - 1
        if place < 0 or offset > ranges[place][1]:
            extra += 1
            continue
        found += 1
        digest.update(line + b"\n")
        found_lines.append(line)
    return PartitionVerdict(
        partition=delivered["partition"],
        lines_in=delivered["lines"],
        lines_out=found,
        extra_copies=extra,
        sha256_in=delivered["sha256"],
        sha256_out=digest.hexdigest(),
        in_order=in_order,
        bag_out=bag(found_lines),
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
