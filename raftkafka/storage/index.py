"""The two sparse indexes of a segment, in memory as arrays and on disk in Kafka's formats.

Floor 2. `.index`: relative offset u32, position u32; `.timeindex`: timestamp i64, relative offset u32; big-endian, both
rising. An index only says where to begin to look. It carries no checksum, so whoever follows an entry compares it with
the batch that it leads to, and has the index rebuilt from the log when they differ; loading looks at the ends alone.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from typing import Final

from raftkafka.model.errors import CorruptionError

OFFSET_ENTRY_BYTES: Final = 8
TIME_ENTRY_BYTES: Final = 12
RELATIVE_MAX: Final = (1 << 31) - 1
_LOW, _HIGH = (0, 1) if sys.byteorder == "little" else (1, 0)
"""Where the halves of a 64-bit number stand in memory: columns are moved as 32-bit words, without a loop."""

# The formats promise 32 bits, which `array` does not: it goes by the C compiler's int.
assert array("I").itemsize == 4


class OffsetIndex:
    """Last offset of a batch (relative to the segment's base) -> where that batch begins."""

    __slots__ = ("_positions", "_relatives")

    def __init__(self) -> None:
        self._relatives = array("I")
        self._positions = array("I")

    def __len__(self) -> int:
        return len(self._relatives)

    @property
    def size_bytes(self) -> int:
        return len(self._relatives) * OFFSET_ENTRY_BYTES

    @property
    def last(self) -> tuple[int, int] | None:
        return (self._relatives[-1], self._positions[-1]) if self._relatives else None

    def add(self, relative: int, position: int) -> None:
        self._relatives.append(relative)
        self._positions.append(position)

    def floor(self, relative: int) -> tuple[int, int] | None:
        """The last entry at or before `relative`; None: begin at the segment's first byte.

        What `bisect` returns was compared, so this holds even for a damaged index that does not rise.
        """
        above = bisect_right(self._relatives, relative)
        return (self._relatives[above - 1], self._positions[above - 1]) if above else None

    def truncate(self, relative: int) -> None:
        """Keep the batches that end before `relative`."""
        keep = bisect_left(self._relatives, relative)
        del self._relatives[keep:], self._positions[keep:]

    def encode(self) -> bytes:
        entries = array("I", bytes(self.size_bytes))
        entries[0::2] = self._relatives
        entries[1::2] = self._positions
        return _big_endian(entries).tobytes()

    @classmethod
    def decode(cls, content: bytes, *, log_bytes: int) -> OffsetIndex:
        """The index written by `encode`, for a log file of `log_bytes`.

        Raises:
            CorruptionError: not such a file.
        """
        if len(content) % OFFSET_ENTRY_BYTES:
            raise CorruptionError(f"an offset index of {len(content)} bytes")
        entries = _big_endian(array("I", content))
        index = cls()
        index._relatives = entries[0::2]
        index._positions = entries[1::2]
        if entries and (
            index._positions[-1] >= log_bytes
            or index._relatives[-1] > RELATIVE_MAX
            or index._relatives[-1] < index._relatives[0]
            or index._positions[-1] < index._positions[0]
        ):
            raise CorruptionError("an offset index that does not rise within its log")
        return index


class TimeIndex:
    """Largest timestamp so far -> last offset (relative) of the batch that carries it."""

    __slots__ = ("_relatives", "_timestamps")

    def __init__(self) -> None:
        self._timestamps = array("q")
        self._relatives = array("I")

    def __len__(self) -> int:
        return len(self._timestamps)

    @property
    def size_bytes(self) -> int:
        return len(self._timestamps) * TIME_ENTRY_BYTES

    @property
    def last(self) -> tuple[int, int] | None:
        return (self._timestamps[-1], self._relatives[-1]) if self._timestamps else None

    def add(self, timestamp_ms: int, relative: int) -> None:
        """Entries that would not rise are left out: the index answers only for the largest timestamp so far."""
        if not self._timestamps or timestamp_ms > self._timestamps[-1]:
            self._timestamps.append(timestamp_ms)
            self._relatives.append(relative)

    def before(self, timestamp_ms: int) -> int:
        """The relative offset up to which every timestamp is below `timestamp_ms`; 0 when there is none."""
        below = bisect_left(self._timestamps, timestamp_ms)
        return self._relatives[below - 1] if below else 0

    def floor(self, relative: int) -> tuple[int, int] | None:
        """The last entry at or before the offset `relative`: (largest timestamp so far, its offset)."""
        above = bisect_right(self._relatives, relative)
        return (self._timestamps[above - 1], self._relatives[above - 1]) if above else None

    def truncate(self, relative: int) -> None:
        """Keep the batches that end before `relative`."""
        keep = bisect_left(self._relatives, relative)
        del self._timestamps[keep:], self._relatives[keep:]

    def encode(self) -> bytes:
        halves = array("I", self._timestamps.tobytes())
        words = array("I", bytes(self.size_bytes))
        words[0::3] = halves[_HIGH::2]
        words[1::3] = halves[_LOW::2]
        words[2::3] = self._relatives
        return _big_endian(words).tobytes()

    @classmethod
    def decode(cls, content: bytes) -> TimeIndex:
        """The index written by `encode`.

        Raises:
            CorruptionError: not such a file.
        """
        if len(content) % TIME_ENTRY_BYTES:
            raise CorruptionError(f"a time index of {len(content)} bytes")
        words = _big_endian(array("I", content))
        halves = array("I", bytes(len(words) // 3 * 8))
        halves[_HIGH::2] = words[0::3]
        halves[_LOW::2] = words[1::3]
        index = cls()
        index._timestamps = array("q", halves.tobytes())
        index._relatives = words[2::3]
        if words and (index._timestamps[-1] < index._timestamps[0] or index._relatives[-1] < index._relatives[0]):
            raise CorruptionError("a time index that does not rise")
        return index


def _big_endian(values: array[int]) -> array[int]:
    if sys.byteorder == "little":
        values.byteswap()
    return values
