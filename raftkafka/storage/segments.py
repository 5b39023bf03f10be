"""The segments of one log in order: the active one at the end, what is not yet synced, and how they come and go.

Floor 2. Invariants: base offsets rise, the last segment is the only one that grows; a sync covers older segments before
newer ones; a closed segment ends where the next one begins, compacted or not; of the closed segments only a few keep files
open and indexes in memory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from crc32c import crc32c

from raftkafka.model.errors import DiskFullError
from raftkafka.ports.disk import Bytes, Disk, File
from raftkafka.storage import lookup, swap
from raftkafka.storage.batches import Batch
from raftkafka.storage.config import LogConfig
from raftkafka.storage.index import RELATIVE_MAX
from raftkafka.storage.open_segments import OpenSegments
from raftkafka.storage.segment import Segment

CLOSED_LOADED_MAX: Final = 4
"""Closed segments of one log whose file is open and whose indexes are in memory."""

UNSYNCED_MAX: Final = 4
"""Segments of one log that wait for a sync, with their files open; Kafka syncs at every roll."""


class Segments:
    """At least one segment, always."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        config: LogConfig,
        segments: list[Segment],
        *,
        sparse: bool = False,
        open_segments: OpenSegments | None = None,
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._config = config
        self._segments = segments
        self._dirty = [segment for segment in segments if segment.is_dirty]
        self._loaded: dict[Segment, None] = {}
        self._open_segments = OpenSegments() if open_segments is None else open_segments
        self.active = segments[-1]
        self.on_replaced: Callable[[], None] = lambda: None
        self.sparse = sparse
        """Compaction may have removed batches: offsets rise from batch to batch but need not be consecutive."""

    def reconfigure(self, config: LogConfig) -> None:
        """The next segments are made by `config`."""
        self._config = config

    def __len__(self) -> int:
        return len(self._segments)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._segments)

    @property
    def first(self) -> Segment:
        return self._segments[0]

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self._segments)

    def covering(self, offset: int) -> Segment:
        """The segment in whose range `offset` lies; the first one for anything below."""
        return self._segments[max(0, bisect_right(self._segments, offset, key=_base_offset) - 1)]

    def after(self, segment: Segment) -> Segment | None:
        at = bisect_right(self._segments, segment.base_offset, key=_base_offset)
        return self._segments[at] if at < len(self._segments) else None

    def touch(self, segment: Segment) -> None:
        """`segment` is being read: of the closed ones, those that were not for the longest time let go."""
        if segment is self.active:
            return
        self._loaded.pop(segment, None)
        self._loaded[segment] = None
        while len(self._loaded) > CLOSED_LOADED_MAX:
            oldest = next(iter(self._loaded))
            del self._loaded[oldest]
            self._open_segments.forget(oldest)
            if oldest is not self.active:
                oldest.unload()
        self._open_segments.touch(segment)

    # Growing

    def append(self, records: Bytes, batches: Sequence[Batch], *, now_ms: int) -> None:
        """Append with one write, to a new segment when the active one is full or old.

        Raises:
            DiskFullError, StorageError: nothing was appended.
        """
        active = self.active
        if active.size and self._must_roll(active, len(records), batches[-1].last_offset, now_ms):
            active = self.roll()
        active.append(records, batches, now_ms=now_ms, ahead_max_bytes=self._config.preallocate_bytes)
        if not self._dirty or self._dirty[-1] is not active:
            self._dirty.append(active)

    def _must_roll(self, active: Segment, size: int, last_offset: int, now_ms: int) -> bool:
        config = self._config
        return (
            active.size + size > config.segment_bytes
            or now_ms - active.created_ms
            > (config.roll_ms - self._jitter_ms(active) if config.segment_jitter_ms else config.roll_ms)
            or last_offset - active.base_offset > RELATIVE_MAX
            or active.index_is_full(config.index_size_max_bytes)
        )

    def _jitter_ms(self, segment: Segment) -> int:
        """How much earlier `segment` rolls: any number below the limit, and the same one when it is asked for again."""
        limit = min(self._config.segment_jitter_ms, self._config.roll_ms)
        return crc32c(segment.path.encode()) % limit if limit else 0

    def roll(self) -> Segment:
        """Begin a new segment behind the active one. The old one's sync is left to the next group."""
        old = self.active
        new = Segment.create(
            self._disk, self._directory, old.next_offset, index_interval_bytes=self._config.index_interval_bytes
        )
        self._segments.append(new)
        self.active = new
        try:
            old.seal()
        except DiskFullError:
            # Only the index files are not whole; they are rebuilt when they are wanted.
            old.unload()
        if old.is_dirty and old not in self._dirty:
            self._dirty.append(old)
        self.touch(old)
        return new

    # Durability

    @property
    def wants_sync(self) -> bool:
        """True when so many segments wait for a sync that their descriptors add up, whatever the flush policy."""
        return len(self._dirty) > UNSYNCED_MAX

    @property
    def uncertain_from(self) -> int | None:
        """The base of the first segment that was cut without a sync since; None when there is none.

        The old bytes may come back with a crash, beside those that were written later: look at them then.
        """
        return min((segment.base_offset for segment in self._dirty if not segment.cut_is_synced), default=None)

    def begin_sync(self) -> list[File]:
        """The files with unsynced bytes, oldest segment first."""
        return [file for segment in self._dirty for file in segment.begin_sync()]

    def end_sync(self, files: Sequence[File]) -> None:
        """`files` were synced; what was written or cut since `begin_sync` stays dirty."""
        for segment in self._dirty:
            if segment.file in files:
                segment.end_sync()
                held = segment is self.active or (segment in self._loaded and segment in self._open_segments)
                if not segment.is_dirty and not held:
                    # It was to let go before, but its bytes were not on the disk yet.
                    segment.unload()
        self._dirty = [segment for segment in self._dirty if segment.is_dirty]

    # Cutting

    def cut(self, segment: Segment, position: int, next_offset: int) -> None:
        """Make `segment`, cut at `position` where `next_offset` begins, the active one; later ones are removed.

        Newest first, and durably before anything is written again: a crash leaves a log without a hole.
        """
        if segment is not self.active:
            while self._segments[-1] is not segment:
                self._remove(self._segments.pop())
            self._disk.sync_dir(self._directory)
        self._forget(segment)
        self.active = segment
        lookup.cut(segment, position, next_offset)
        if segment not in self._dirty:
            self._dirty.append(segment)

    def begin_anew(self, base_offset: int) -> None:
        """Remove all segments and go on with an empty one at `base_offset`."""
        while self._segments:
            self._remove(self._segments.pop())
        self._disk.sync_dir(self._directory)
        self.active = Segment.create(
            self._disk, self._directory, base_offset, index_interval_bytes=self._config.index_interval_bytes
        )
        self._segments.append(self.active)

    def remove_first(self) -> None:
        """Remove the oldest segment, which is not the active one."""
        assert self._segments[0] is not self.active
        self._remove(self._segments.pop(0))

    def replace(self, group: list[Segment], compacted: Segment) -> None:
        """Put `compacted`, whose files are complete as a swap, in the place of the closed neighbours `group`."""
        at = self._segments.index(group[0])
        assert self._segments[at : at + len(group)] == group
        assert self.active not in group
        for old in group[1:]:
            self._remove(old)
        first = group[0]
        # With a descriptor open its blocks are not freed by the rename, but by whoever closes it.
        first.opened()
        swap.rename_all(self._disk, self._directory, first.base_offset, swap.SWAP_SUFFIX, "")
        first.close()
        self._forget(first)
        self._segments[at : at + len(group)] = [compacted]
        self.on_replaced()

    def close(self, *, write_indexes: bool) -> None:
        if write_indexes:
            self.active.seal()
        for segment in self._segments:
            self._open_segments.forget(segment)
            segment.close()

    def _remove(self, segment: Segment) -> None:
        if segment in self._dirty:
            self._dirty.remove(segment)
        self._forget(segment)
        segment.delete()

    def _forget(self, segment: Segment) -> None:
        self._loaded.pop(segment, None)
        self._open_segments.forget(segment)


def _base_offset(segment: Segment) -> int:
    return segment.base_offset
