"""Finding and cutting out whole batches for a reader.

Floor 2. A read is written once, as a generator that asks for bytes; one driver answers from the page cache on the loop
and gives up when they are not there, the other one waits for the device. Invariants (I15): every batch that leaves has
its checksum, offset and epoch compared; nothing at or above `end` leaves.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, NamedTuple

from raftkafka.model.errors import CorruptionError
from raftkafka.model.ids import Offset
from raftkafka.model.passing import passing_value
from raftkafka.ports.disk import Disk, File
from raftkafka.record.header import HEADER_BYTES
from raftkafka.replica.epochs import EpochHistory
from raftkafka.storage.batches import Batch, shape_at, sound_run, walk
from raftkafka.storage.index import RELATIVE_MAX
from raftkafka.storage.segment import Segment
from raftkafka.storage.segments import Segments

HINTS_MAX: Final = 64
REBUILD_CHUNK_BYTES: Final = 4 << 20


@passing_value
class ReadResult:
    """Whole batches, back to back; `next_offset` is where a sequential reader goes on. Nothing to read: empty."""

    records: bytes | memoryview
    first_offset: Offset
    next_offset: Offset


class _Bytes(NamedTuple):
    """A reader's wish: `size` bytes of `file` from `position`."""

    file: File
    position: int
    size: int


class _Indexes(NamedTuple):
    """A reader's wish: the indexes of `segment` in memory, built anew when `damaged`."""

    segment: Segment
    damaged: bool


_Reading = Generator[_Bytes | _Indexes, bytes | memoryview, ReadResult]


class LogReader:
    """Reads segments that belong to its log and may change under it, though never during a step."""

    def __init__(self, disk: Disk, segments: Segments, epochs: EpochHistory) -> None:
        self._disk = disk
        self._segments = segments
        self._epochs = epochs
        # next offset -> where the batch that begins there stands: a sequential or tail read needs no index.
        self._hints: dict[int, tuple[Segment, int]] = {}
        self._changes = 0

    @property
    def changes(self) -> int:
        """Counts what makes a read under way worthless: cuts and removals of segments."""
        return self._changes

    def forget(self) -> None:
        """The log was cut or segments were removed: positions may no longer hold."""
        self._hints.clear()
        self._changes += 1

    def read(self, offset: int, *, max_bytes: int, end: int, min_one: bool) -> ReadResult | None:
        """As `Log.read`; None when the page cache (or the indexes in memory) cannot answer."""
        reading = self._reading(offset, max_bytes=max_bytes, end=end, min_one=min_one)
        try:
            wish = next(reading)
            while type(wish) is _Bytes:
                chunk = wish.file.read_cached(wish.position, wish.size)
                if chunk is None:
                    return None
                wish = reading.send(chunk)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        return None

    async def read_cold(self, offset: int, *, max_bytes: int, end: int, min_one: bool) -> ReadResult:
        reading = self._reading(offset, max_bytes=max_bytes, end=end, min_one=min_one)
        try:
            wish = next(reading)
            while True:
                if isinstance(wish, _Bytes):
                    wish = reading.send(await self._disk.read_cold(wish.file, wish.position, wish.size))
                else:
                    await load_indexes(self._disk, wish.segment, rebuild=wish.damaged)
                    wish = reading.send(b"")
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    def _reading(self, offset: int, *, max_bytes: int, end: int, min_one: bool) -> _Reading:
        hint = self._hints.get(offset)
        expected = -1
        if hint is not None:
            segment, position = hint
            expected = offset
            if position >= segment.size and (following := self._segments.after(segment)) is not None:
                segment, position = following, 0
        else:
            segment = self._segments.covering(offset)
            while (found := segment.position_for(offset)) is None:
                yield _Indexes(segment, False)
            position, indexed = found
            while indexed >= 0:
                chunk = yield _Bytes(segment.opened(), position, HEADER_BYTES)
                batch = shape_at(chunk, 0) if len(chunk) == HEADER_BYTES else None
                if batch is not None and batch.last_offset == indexed:
                    break
                yield _Indexes(segment, True)
                found = segment.position_for(offset)
                position, indexed = found if found is not None else (0, -1)
            if indexed < 0:
                expected = segment.base_offset
        self._segments.touch(segment)

        sparse = self._segments.sparse
        nothing = ReadResult(records=b"", first_offset=Offset(offset), next_offset=Offset(offset))
        count = max(max_bytes, HEADER_BYTES)
        while True:
            if position >= segment.size:
                following = self._segments.after(segment)
                if following is None:
                    return nothing
                segment, position = following, 0
                self._segments.touch(segment)
            chunk = yield _Bytes(segment.opened(), position, min(count, segment.size - position))
            behind = 0
            wanted: Batch | None = None
            for batch in walk(chunk):
                if expected >= 0 and batch.base_offset != expected and not (sparse and batch.base_offset > expected):
                    raise self._damaged(segment, position + batch.position)
                if batch.last_offset >= offset:
                    wanted = batch
                    break
                expected = batch.last_offset + 1
                behind = batch.position + batch.size
            if wanted is None:
                if behind == 0:
                    raise self._damaged(segment, position)
                position += behind
                continue
            if wanted.position + wanted.size > len(chunk):
                # The batch that contains `offset` is larger than what was read.
                if wanted.size > max_bytes and not min_one:
                    return nothing
                position += wanted.position
                if position + wanted.size > segment.size:
                    raise self._damaged(segment, position)
                expected = wanted.base_offset
                count = max(wanted.size, max_bytes)
                continue
            start = wanted.position
            if wanted.base_offset > offset and (not sparse or wanted.last_offset >= segment.next_offset):
                # Compaction leaves gaps, but none that reaches out of its segment: no checksum covers an offset.
                raise self._damaged(segment, position + start)
            run = sound_run(
                chunk,
                start,
                base_offset=wanted.base_offset,
                end=end,
                max_bytes=max_bytes,
                epochs=self._epochs,
                sparse=sparse,
            )
            if run.stop == start:
                # A batch that reaches over `end` is believed only if it is sound: damage is not the end of the log.
                if run.damaged:
                    raise self._damaged(segment, position + start)
                return nothing
            if run.stop - start > max_bytes and not min_one:
                return nothing
            self._remember(run.next_offset, segment, position + run.stop)
            records = chunk if start == 0 and run.stop == len(chunk) else memoryview(chunk)[start : run.stop]
            return ReadResult(
                records=records, first_offset=Offset(wanted.base_offset), next_offset=Offset(run.next_offset)
            )

    def _damaged(self, segment: Segment, position: int) -> CorruptionError:
        self._hints.clear()
        return CorruptionError(f"{segment.path} is damaged at position {position}")

    def _remember(self, offset: int, segment: Segment, position: int) -> None:
        hints = self._hints
        if len(hints) >= HINTS_MAX and offset not in hints:
            del hints[next(iter(hints))]
        hints[offset] = (segment, position)


async def load_indexes(disk: Disk, segment: Segment, *, rebuild: bool) -> None:
    """Bring the indexes of a closed `segment` into memory, from its batches when the files are of no use.

    A walk that meets damage stops there: the index then leads up to it, and the read that arrives reports it.
    """
    if not rebuild and segment.load_indexes():
        return
    # Built beside the segment: other readers look at it while this one waits for the device.
    rebuilt = segment.without_indexes()
    position, size = 0, segment.size
    while position < size:
        chunk = await disk.read_cold(segment.opened(), position, min(REBUILD_CHUNK_BYTES, size - position))
        advance = 0
        for batch in walk(chunk):
            if batch.size > size - position - batch.position:
                break
            if batch.last_offset - segment.base_offset > RELATIVE_MAX:
                break  # no checksum covers an offset, and no index holds this one
            rebuilt.note(batch, position + batch.position)
            advance = batch.position + batch.size
        if advance == 0:
            break
        position += advance
    segment.adopt_indexes(rebuilt)
