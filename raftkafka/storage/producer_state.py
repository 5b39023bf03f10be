"""The producer table of one log and its snapshots, `<20-digit offset>.snapshot` beside the segments, in Kafka's format.

Floor 2. A snapshot holds the table as of its offset. One is written when a segment is rolled and when the log is closed;
it is synced with the log's next group, and a torn one fails its checksum and is passed over. Invariants: no snapshot stands
above the log end, durably before anything else is written there; after an unclean stop only those count that no
truncation can have outdated, at or below the segment from which the log is read again.

Bytes, big-endian: `version i16 = 1 | crc u32 (CRC32C of what follows) | count i32`, then per row `producer id i64, epoch i16,
last sequence i32, last offset i64, offset delta i32, timestamp i64, coordinator epoch i32 = -1, first offset of the open
transaction i64 = -1`. Kafka writes one row per producer. Here each of its last five batches has one, the newest last, which
is the one that Kafka keeps when it reads several: so all five are known after a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final

from crc32c import crc32c

from raftkafka.model.errors import CorruptionError, DiskFullError
from raftkafka.ports.disk import Disk, File
from raftkafka.record.header import HEADER_BYTES
from raftkafka.replica.producers import BATCHES_REMEMBERED, SEQUENCE_MAX, ProducerEntry, ProducerTable, Written
from raftkafka.storage.batches import Batch, shape_at
from raftkafka.storage.segment import NAME_DIGITS, Segment, file_name

SNAPSHOT_SUFFIX: Final = ".snapshot"
VERSION: Final = 1
CHUNK_BYTES: Final = 1 << 20

_HEAD: Final = Struct(">hI")
_COUNT: Final = Struct(">i")
_ROW: Final = Struct(">qhiqiqiq")


def encode(table: ProducerTable) -> bytes:
    """The table as a snapshot."""
    rows = [
        _ROW.pack(
            producer_id,
            entry.epoch,
            batch.last_sequence,
            batch.last_offset,
            batch.last_offset - batch.base_offset,
            batch.timestamp_ms,
            -1,
            -1,
        )
        for producer_id, entry in table.entries.items()
        for batch in entry.batches
    ]
    content = _COUNT.pack(len(rows)) + b"".join(rows)
    return _HEAD.pack(VERSION, crc32c(content)) + content


def decode(content: bytes, end: int) -> ProducerTable | None:
    """The table as of `end`; None for anything that is not a whole snapshot."""
    if len(content) < _HEAD.size + _COUNT.size:
        return None
    version, crc = _HEAD.unpack_from(content)
    start = _HEAD.size + _COUNT.size
    (count,) = _COUNT.unpack_from(content, _HEAD.size)
    if version != VERSION or len(content) != start + count * _ROW.size or crc32c(content[_HEAD.size :]) != crc:
        return None
    entries: dict[int, ProducerEntry] = {}
    for producer_id, epoch, sequence, offset, delta, timestamp, _, _ in _ROW.iter_unpack(content[start:]):
        if offset < 0:
            continue  # Kafka: a producer that has written markers only
        batch = Written((sequence - delta) & SEQUENCE_MAX, sequence, offset - delta, offset, timestamp)
        before = entries.pop(producer_id, None)
        batches = before.batches if before is not None and before.epoch == epoch else ()
        entries[producer_id] = ProducerEntry(epoch, (*batches[1 - BATCHES_REMEMBERED :], batch))
    return ProducerTable(end, entries.items())


def snapshot_offsets(names: Iterable[str]) -> list[int]:
    """The offsets of the snapshots among a directory's names, rising."""
    stems = (name.removesuffix(SNAPSHOT_SUFFIX) for name in names if name.endswith(SNAPSHOT_SUFFIX))
    return sorted(int(stem) for stem in stems if len(stem) == NAME_DIGITS and stem.isdecimal() and stem.isascii())


def note_batch(table: ProducerTable, batch: Batch) -> None:
    """What the log holds next; what the table knows already is passed over."""
    if batch.base_offset >= table.end:
        if batch.base_sequence >= 0:
            table.note(
                batch.producer_id,
                batch.producer_epoch,
                batch.base_sequence,
                batch.base_offset,
                batch.last_offset,
                batch.max_timestamp,
            )
        table.end = batch.last_offset + 1


class ProducerState:
    """Keeps the snapshots of `directory` in step with the table."""

    def __init__(self, disk: Disk, directory: str, table: ProducerTable, offsets: Iterable[int]) -> None:
        """`offsets`: of the snapshots that are there."""
        self.table = table
        self._disk = disk
        self._directory = directory
        self._offsets = sorted(offsets)
        self._unsynced: list[int] = []
        self._syncing: dict[int, File] = {}
        """Open only while a sync is under way: between two of them many segments may be rolled."""

    def note(self, batches: Sequence[Batch]) -> None:
        """These were appended."""
        table = self.table
        for batch in batches:
            if batch.base_sequence >= 0:
                table.note(
                    batch.producer_id,
                    batch.producer_epoch,
                    batch.base_sequence,
                    batch.base_offset,
                    batch.last_offset,
                    batch.max_timestamp,
                )
        table.end = batches[-1].last_offset + 1

    # Snapshots

    def take_snapshot(self, segment_bases: Iterable[int]) -> None:
        """Write the table as of now. Of the older ones those go that are not at the base of a segment.

        A full disk costs the snapshot and nothing else: the log tells what it would have told.
        """
        offset = self.table.end
        path = self._path(offset)
        self._remove([old for old in self._offsets if old == offset])
        try:
            file = self._disk.open(path, create=True)
            try:
                file.append((encode(self.table),))
            finally:
                file.close()
        except DiskFullError:
            self._remove([offset])
            return
        self._unsynced.append(offset)
        keep = {offset, *segment_bases}
        self._remove([old for old in self._offsets if old not in keep])
        self._offsets.append(offset)

    def drop_above(self, end: int) -> None:
        """The log is about to be cut at `end`: what was known above it is outdated, durably before it is built upon."""
        outdated = [offset for offset in self._offsets if offset > end]
        if outdated:
            self._remove(outdated)
            self._disk.sync_dir(self._directory)

    def drop_below(self, start: int) -> None:
        """The segments below `start` are gone."""
        self._remove([offset for offset in self._offsets if offset < start])

    def _remove(self, offsets: list[int]) -> None:
        for offset in offsets:
            if offset in self._syncing:
                self._syncing.pop(offset).close()
            if offset in self._unsynced:
                self._unsynced.remove(offset)
            self._disk.remove(self._path(offset))
        self._offsets = [offset for offset in self._offsets if offset not in offsets]

    def _path(self, offset: int) -> str:
        return f"{self._directory}/{file_name(offset, SNAPSHOT_SUFFIX)}"

    # Durability

    def begin_sync(self) -> list[File]:
        """The snapshots that no sync has covered, to be synced with the log's files."""
        self.close()
        self._syncing = {offset: self._disk.open(self._path(offset)) for offset in self._unsynced}
        return list(self._syncing.values())

    def end_sync(self, files: Sequence[File]) -> None:
        """`files` were synced; a snapshot written or removed meanwhile is not among them."""
        for offset, file in list(self._syncing.items()):
            if file in files:
                file.close()
                del self._syncing[offset]
                self._unsynced.remove(offset)

    def close(self) -> None:
        for file in self._syncing.values():
            file.close()
        self._syncing = {}

    # Cutting

    def newest_table(self, upto: int) -> ProducerTable:
        """The table of the newest whole snapshot at or below `upto`; empty, as of offset 0, without one."""
        for offset in reversed(self._offsets):
            if offset <= upto:
                table = decode(self._disk.read_file(self._path(offset)), offset)
                if table is not None:
                    return table
        return ProducerTable(0)

    def clear(self, end: int) -> None:
        """The log begins anew at `end`."""
        self.drop_above(-1)
        self.table.clear(end)


async def load(
    disk: Disk, directory: str, offsets: Sequence[int], segments: Sequence[Segment], *, upto: int
) -> ProducerTable:
    """The table as of `upto`, or of a snapshot above it: from the newest of `offsets` that is whole, and the headers behind.

    A segment that turns out to be damaged is left to whoever checks it.
    """
    newest = offsets[-1] if offsets else 0
    table = ProducerState(disk, directory, ProducerTable(0), offsets).newest_table(newest)
    for at, segment in enumerate(segments):
        if segment.base_offset >= upto:
            break
        if at + 1 == len(segments) or segments[at + 1].base_offset > table.end:
            await _read_headers(disk, segment, table, upto)
    table.end = max(table.end, upto)
    return table


async def _read_headers(disk: Disk, segment: Segment, table: ProducerTable, upto: int) -> None:
    if table.end >= upto:
        return
    try:
        file = segment.opened()
    except CorruptionError:
        return
    position = 0
    while position < segment.size:
        chunk = await disk.read_cold(file, position, min(CHUNK_BYTES, segment.size - position))
        within = 0
        while within + HEADER_BYTES <= len(chunk):
            batch = shape_at(chunk, within)
            if batch is None or batch.base_offset >= upto:
                return
            note_batch(table, batch)
            within += batch.size
        if within == 0:
            return
        position += within
