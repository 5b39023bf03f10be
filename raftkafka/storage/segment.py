"""One segment: a run of batches in one file, and its two sparse indexes.

Floor 2. The active segment keeps its indexes in memory and writes them when it is sealed; a sealed one opens its file and
loads its indexes on demand. Invariant: `size` is the end of the last whole batch, `next_offset` the offset behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from raftkafka.model.errors import CorruptionError, InvariantViolationError
from raftkafka.model.ids import NO_TIMESTAMP
from raftkafka.ports.disk import Bytes, Disk, File
from raftkafka.record.header import HEADER_BYTES
from raftkafka.storage.batches import Batch
from raftkafka.storage.index import OFFSET_ENTRY_BYTES, OffsetIndex, TimeIndex

NAME_DIGITS: Final = 20
LOG_SUFFIX: Final = ".log"
INDEX_SUFFIX: Final = ".index"
TIME_INDEX_SUFFIX: Final = ".timeindex"
DELETED_SUFFIX: Final = ".deleted"
ASIDE_SUFFIX: Final = ".aside"
PREALLOCATE_FROM_BYTES: Final = 1 << 20
"""Smaller segments get no space ahead: ten thousand quiet partitions must not reserve a disk."""


def file_name(base_offset: int, suffix: str = LOG_SUFFIX) -> str:
    """Kafka's name of a segment's file: the base offset in 20 digits."""
    return f"{base_offset:0{NAME_DIGITS}d}{suffix}"


def base_offsets(names: Iterable[str]) -> list[int]:
    """The base offsets of the segments among a directory's names, rising."""
    stems = (name.removesuffix(LOG_SUFFIX) for name in names if name.endswith(LOG_SUFFIX))
    return sorted(int(stem) for stem in stems if len(stem) == NAME_DIGITS and stem.isdecimal() and stem.isascii())


class Segment:
    """Positions and sizes in bytes. Attributes are for reading by the log that owns the segment."""

    __slots__ = (
        "_disk",
        "_index_files",
        "_index_interval_bytes",
        "_reserved",
        "_since_index_bytes",
        "_stem",
        "base_offset",
        "created_ms",
        "cut_is_synced",
        "cut_is_syncing",
        "file",
        "flushed_size",
        "index",
        "last_append_ms",
        "max_timestamp",
        "max_timestamp_offset",
        "next_offset",
        "size",
        "syncing_size",
        "time_index",
    )

    def __init__(self, disk: Disk, directory: str, base_offset: int, *, index_interval_bytes: int, size: int) -> None:
        self._disk = disk
        self._stem = f"{directory}/{base_offset:0{NAME_DIGITS}d}"
        self._index_interval_bytes = index_interval_bytes
        self._since_index_bytes = 0
        self.base_offset = base_offset
        self.next_offset = base_offset
        self.size = size
        self.flushed_size = size
        self.syncing_size = size
        self.cut_is_synced = True
        self.cut_is_syncing = False
        self._index_files: list[File] = []
        self._reserved = PREALLOCATE_FROM_BYTES
        self.file: File | None = None
        self.index: OffsetIndex | None = None
        self.time_index: TimeIndex | None = None
        self.max_timestamp: int = NO_TIMESTAMP
        self.max_timestamp_offset = base_offset
        self.created_ms: int = NO_TIMESTAMP
        self.last_append_ms: int = NO_TIMESTAMP

    @classmethod
    def create(cls, disk: Disk, directory: str, base_offset: int, *, index_interval_bytes: int) -> Segment:
        """A new, empty, active segment; its name becomes durable with the first sync of its file."""
        segment = cls(disk, directory, base_offset, index_interval_bytes=index_interval_bytes, size=0)
        segment.file = disk.open(segment.path, create=True)
        segment.reset_indexes()
        return segment

    @property
    def path(self) -> str:
        return self._stem + LOG_SUFFIX

    @property
    def is_dirty(self) -> bool:
        """True when something was appended, cut off or indexed that no sync has covered."""
        return self.flushed_size < self.size or not self.cut_is_synced or bool(self._index_files)

    def begin_sync(self) -> list[File]:
        """The files to sync, for what they hold now."""
        self.syncing_size = self.size
        self.cut_is_syncing = True
        return [self.opened(), *self._index_files]

    def end_sync(self) -> None:
        """The sync came through; what was cut meanwhile has taken itself out of it."""
        self.flushed_size = max(self.flushed_size, self.syncing_size)
        self.cut_is_synced = self.cut_is_synced or self.cut_is_syncing
        self._close_index_files()

    def _close_index_files(self) -> None:
        for file in self._index_files:
            file.close()
        self._index_files.clear()

    def opened(self) -> File:
        if self.file is None:
            self.file = self._disk.open(self.path)
            if self.file.size < self.size:
                raise CorruptionError(f"{self.path} has {self.file.size} bytes where {self.size} are expected")
        return self.file

    def append(self, records: Bytes, batches: Iterable[Batch], *, now_ms: int, ahead_max_bytes: int) -> None:
        """Write whole batches (positions relative to the write) behind the last one and index them.

        Up to `ahead_max_bytes` are reserved beyond the end of a segment that has grown large.
        """
        file = self.file or self.opened()
        start = self.size
        if file.size != start:
            raise InvariantViolationError(f"{self.path} has {file.size} bytes, its log counts {start}")
        end = start + len(records)
        if end > self._reserved:
            self._reserved = end + min(end, ahead_max_bytes)
            file.preallocate(self._reserved)
        file.append((records,))
        if start == 0:
            self.created_ms = now_ms
        self.last_append_ms = now_ms
        for batch in batches:
            self.note(batch, start + batch.position)

    def note(self, batch: Batch, position: int) -> None:
        """Take a batch into account that stands at `position`, the end so far: at its append, or in a rebuild."""
        if batch.max_timestamp > self.max_timestamp:
            self.note_timestamp(batch)
        if self._since_index_bytes >= self._index_interval_bytes:
            assert self.index is not None
            assert self.time_index is not None
            self.index.add(batch.last_offset - self.base_offset, position)
            self.time_index.add(self.max_timestamp, self.max_timestamp_offset - self.base_offset)
            self._since_index_bytes = 0
        self._since_index_bytes += batch.size
        self.size = position + batch.size
        self.next_offset = batch.last_offset + 1

    def note_timestamp(self, batch: Batch) -> None:
        # A batch that compaction has emptied tells the time of a producer, but nobody will find a record of that time.
        if batch.max_timestamp > self.max_timestamp and batch.size > HEADER_BYTES:
            self.max_timestamp = batch.max_timestamp
            self.max_timestamp_offset = batch.last_offset

    def reset_indexes(self) -> None:
        """Empty indexes, ready for a rebuild by `note` from the segment's first byte."""
        self.index = OffsetIndex()
        self.time_index = TimeIndex()
        self._since_index_bytes = 0
        self.max_timestamp = NO_TIMESTAMP
        self.max_timestamp_offset = self.base_offset

    def without_indexes(self) -> Segment:
        """The same segment, empty: for building indexes aside with `note`."""
        other = Segment(
            self._disk,
            self._stem.rpartition("/")[0],
            self.base_offset,
            index_interval_bytes=self._index_interval_bytes,
            size=0,
        )
        other.reset_indexes()
        return other

    def adopt_indexes(self, other: Segment) -> None:
        """Take over what was built aside; a closed segment's time index ends with its largest timestamp."""
        self.index, self.time_index = other.index, other.time_index
        self.max_timestamp, self.max_timestamp_offset = other.max_timestamp, other.max_timestamp_offset
        self._finish_time_index()

    def _finish_time_index(self) -> None:
        if self.max_timestamp > NO_TIMESTAMP and self.time_index is not None:
            self.time_index.add(self.max_timestamp, self.max_timestamp_offset - self.base_offset)

    def index_is_full(self, size_max_bytes: int) -> bool:
        index = self.index
        return index is not None and (len(index) + 1) * OFFSET_ENTRY_BYTES > size_max_bytes

    def position_for(self, offset: int) -> tuple[int, int] | None:
        """Where to begin to look for `offset`: (position, last offset of the batch there, -1 at the first byte).

        None when the index is not in memory.
        """
        if self.index is None:
            return None
        entry = self.index.floor(offset - self.base_offset)
        return (0, -1) if entry is None else (entry[1], entry[0] + self.base_offset)

    def seal(self) -> None:
        """No more appends: give back preallocated space and write the indexes (they stay in memory for now)."""
        file = self.opened()
        file.truncate(self.size)
        self.write_indexes()

    def write_indexes(self) -> None:
        """Replace the index files. They belong to the segment's next sync; until then a crash may tear them."""
        if self.index is None or self.time_index is None:
            return
        self._close_index_files()
        for suffix, content in zip((INDEX_SUFFIX, TIME_INDEX_SUFFIX), self.encode_indexes(), strict=True):
            self._disk.remove(self._stem + suffix)
            file = self._disk.open(self._stem + suffix, create=True)
            self._index_files.append(file)
            if content:
                file.append((content,))

    def encode_indexes(self) -> tuple[bytes, bytes]:
        """What belongs into the offset index and the time index of a segment that is closed."""
        assert self.index is not None
        assert self.time_index is not None
        self._finish_time_index()
        return self.index.encode(), self.time_index.encode()

    def load_indexes(self) -> bool:
        """Read the index files; False when one is missing or not to be believed, and a rebuild is due."""
        names = (self._stem + INDEX_SUFFIX, self._stem + TIME_INDEX_SUFFIX)
        if not all(map(self._disk.exists, names)):
            return False
        try:
            index = OffsetIndex.decode(self._disk.read_file(names[0]), log_bytes=self.size)
            time_index = TimeIndex.decode(self._disk.read_file(names[1]))
        except CorruptionError:
            return False
        if self.size and time_index.last is None:
            # Written when the disk was full, or torn: without it the segment would have no time at all.
            return False
        self.index, self.time_index = index, time_index
        if time_index.last is not None:
            self.max_timestamp, relative = time_index.last
            self.max_timestamp_offset = self.base_offset + relative
        return True

    def unload(self) -> None:
        """Forget indexes and descriptor, which come back on demand; what is not synced yet stays open."""
        self.index = self.time_index = None
        if not self.is_dirty:
            self.close()

    def truncate(self, size: int, next_offset: int) -> None:
        """Cut the file at `size`, the end of the batch before `next_offset`, and the indexes in memory with it.

        The largest timestamp is then that of the time index: batches behind its last entry are for the caller to note.
        """
        self.opened().truncate(size)
        if self.index is not None and self.time_index is not None:
            self.index.truncate(next_offset - self.base_offset)
            self.time_index.truncate(next_offset - self.base_offset)
            last = self.index.last
            self._since_index_bytes = size - (last[1] if last is not None else 0)
            newest, relative = self.time_index.last or (NO_TIMESTAMP, 0)
            self.max_timestamp, self.max_timestamp_offset = newest, self.base_offset + relative
        self.size = size
        self.flushed_size = min(self.flushed_size, size)
        self.syncing_size = min(self.syncing_size, size)
        self.cut_is_synced = self.cut_is_syncing = False
        self.next_offset = next_offset

    def delete(self) -> None:
        """Remove the files. The rename goes first: a crash leaves nothing that looks like a segment."""
        self.close()
        for suffix in (LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX):
            name = self._stem + suffix
            if self._disk.exists(name):
                self._disk.rename(name, name + DELETED_SUFFIX)
                self._disk.remove(name + DELETED_SUFFIX)

    def set_aside(self) -> None:
        """Take the segment out of its log but leave its batches on the disk, for whoever misses them."""
        self.close()
        self._disk.rename(self.path, self.path + ASIDE_SUFFIX)

    def close(self) -> None:
        self._close_index_files()
        if self.file is not None:
            self.file.close()
            self.file = None
