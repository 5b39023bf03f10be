"""What a producer was told about its lines: counts, places, digests, times. Floor 5, pure but for the clock it is given.

With acks=1 delivery is at least once: a line whose acknowledgement was lost is sent again and may stand in the log twice. A report
therefore speaks of *acknowledged places*: the offsets that the brokers named, and the lines that must be found there.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

ACKS_KEPT_MAX: Final = 100_000


class PartitionDelivery:
    """One partition: `ranges` are inclusive and rise; the digest is over the lines in offset order, a line feed after each."""

    __slots__ = ("_digest", "acks", "lines", "ranges")

    def __init__(self) -> None:
        self.lines = 0
        self.ranges: list[list[int]] = []
        self.acks: deque[tuple[float, int, int]] = deque(maxlen=ACKS_KEPT_MAX)
        self._digest = hashlib.sha256()

    def acknowledge(self, first_offset: int, lines: Sequence[bytes], at_ms: float) -> None:
        last_offset = first_offset + len(lines) - 1
        if self.ranges and self.ranges[-1][1] >= first_offset:
            raise ValueError(f"offset {first_offset} was acknowledged after {self.ranges[-1][1]}: out of order")
        if self.ranges and self.ranges[-1][1] + 1 == first_offset:
            self.ranges[-1][1] = last_offset
        else:
            self.ranges.append([first_offset, last_offset])
        self.lines += len(lines)
        self.acks.append((at_ms, first_offset, len(lines)))
        self._digest.update(b"\n".join(lines) + b"\n")

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class DeliveryReport:
    """Filled as acknowledgements come in; `now_ms` is a monotonic clock, in milliseconds, shared by a machine's processes."""

    def __init__(self, topic: str, now_ms: Callable[[], float]) -> None:
        self._topic = topic
        self._now_ms = now_ms
        self._began_ms = now_ms()
        self._partitions: dict[int, PartitionDelivery] = {}
        self.lines = 0
        self.bytes = 0

    def acknowledge(self, partition: int, first_offset: int, lines: Sequence[bytes]) -> None:
        """Lines that lie at `first_offset` and the offsets after it."""
        mine = self._partitions.setdefault(partition, PartitionDelivery())
        mine.acknowledge(first_offset, lines, self._now_ms())
        self.count(lines)

    def count(self, lines: Sequence[bytes]) -> None:
        """Lines of which only the number matters (acks=0 names no places)."""
        self.lines += len(lines)
        self.bytes += sum(map(len, lines))

    @property
    def seconds(self) -> float:
        return (self._now_ms() - self._began_ms) / 1000

    def as_json(self) -> dict[str, Any]:
        """The form documented in docs/cli.md."""
        seconds = self.seconds
        return {
            "topic": self._topic,
            "lines": self.lines,
            "bytes": self.bytes,
            "seconds": round(seconds, 3),
            "records_per_second": round(self.lines / seconds) if seconds else 0,
            "partitions": [
                {
                    "partition": number,
                    "lines": mine.lines,
                    "sha256": mine.sha256,
                    "ranges": mine.ranges,
                    "acks": [[round(at_ms, 3), first, count] for at_ms, first, count in mine.acks],
                }
                for number, mine in sorted(self._partitions.items())
            ],
        }
