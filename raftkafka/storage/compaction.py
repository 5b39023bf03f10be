"""Compaction of one log: of every key the last record stays (`cleanup.policy=compact`).

Floor 2. Two passes, as Kafka's cleaner: the dirty part is read for the last offset of each key, then the segments up to its
end are copied without what is superseded, group by group, and each copy is swapped in (`storage.swap`). Invariants (I14): the
last value of every key stays; a tombstone stays for `delete.retention.ms` after the first cleaning that saw it (KIP-534), and
longer while a batch below it could not be read; batches of transactions, control batches and those that cannot be unpacked
are copied as they are. Offsets never change. Even without records a batch stays if it is the last one of its
segment (so a segment ends where the next begins), the first one of a leader epoch (so epochs can be read from the batches
again), or the last one of a producer id (so that producer's sequence goes on).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from raftkafka.model.errors import ApiError, CorruptionError, StorageError
from raftkafka.model.ids import Offset
from raftkafka.ports.disk import Disk, File
from raftkafka.record import rewrite
from raftkafka.record.header import BatchHeader, read_header
from raftkafka.replica.epochs import EpochHistory
from raftkafka.storage import swap
from raftkafka.storage.batches import content_ok, shape_at, walk
from raftkafka.storage.cleanable import Cleanable, cleanable_part, groups
from raftkafka.storage.config import LogConfig
from raftkafka.storage.key_map import ENTRY_BYTES, KeyMap
from raftkafka.storage.segment import Segment
from raftkafka.storage.segments import Segments

READ_BYTES: Final = 1 << 20
WRITE_BYTES: Final = 1 << 20
TIME_MAX_MS: Final = (1 << 62) - 1
"""A batch with later records, or as far before 1970, stays as it is: with a delete horizon its times would need more than 64 bits.
Nobody checks the time of each record that a producer sends."""
RECORDS_PER_SLICE: Final = 500
"""Looked at between two pauses, a millisecond or two of the loop's time."""

Pause = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What one cleaning did. `unread_batches`: those that do not unfold, and those of transactions."""

    first_dirty: int
    end: int
    bytes_before: int
    bytes_after: int
    unread_batches: int


class _StoppedError(Exception):
    """The log was cut, closed or taken offline: what was made so far counts for nothing."""


class Compactor:
    """Owned by its log, which calls `stop` before it cuts or closes anything; one cleaning at a time."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        segments: Segments,
        epochs: EpochHistory,
        config: LogConfig,
        *,
        cleaned_until: Offset,
        before_swap: Callable[[], None],
    ) -> None:
        self.cleaned_until = cleaned_until
        """Below it every record has been looked at once (`cleaner-offset-checkpoint`)."""
        self._disk = disk
        self._directory = directory
        self._segments = segments
        self._epochs = epochs
        self._config = config
        self._before_swap = before_swap
        self._run: _Run | None = None

    def reconfigure(self, config: LogConfig) -> None:
        """Clean by `config` from now on; what a cleaning under way has yet to do is as well."""
        self._config = config

    @property
    def is_running(self) -> bool:
        return self._run is not None

    def cleanable(self, *, limit: Offset, now_ms: int) -> Cleanable | None:
        """What is to be cleaned below the offset `limit`; None when nothing is."""
        if not self._config.compacts or self._run is not None:
            return None
        return cleanable_part(
            self._segments, self._config, cleaned_until=self.cleaned_until, limit=limit, now_ms=now_ms
        )

    async def clean(self, *, limit: Offset, now_ms: int, pause: Pause, key_map_bytes: int) -> Cleaned | None:
        """Clean what is dirty below the offset `limit`, with `pause` between slices of work.

        None: there was nothing to do, or the log was cut or closed meanwhile, and is as if nothing had been done.

        Raises:
            CorruptionError: a batch is damaged.
            StorageError: the disk refused, or is full; the log is as it was, but for groups that were done.
        """
        part = self.cleanable(limit=limit, now_ms=now_ms)
        if part is None:
            return None
        run = self._run = _Run(self, part, now_ms=now_ms, pause=pause, key_map_bytes=key_map_bytes)
        try:
            cleaned = await run.clean()
        except _StoppedError:
            return None
        except (CorruptionError, StorageError):
            # Files of a log that was closed or cut meanwhile say nothing about the disk.
            if self._run is run:
                raise
            return None
        finally:
            if self._run is run:
                self.stop()
        self.cleaned_until = Offset(cleaned.end)
        return cleaned

    def stop(self) -> None:
        """End the cleaning under way, and leave nothing of it behind."""
        if self._run is not None:
            run, self._run = self._run, None
            run.stop()

    def cut(self, end: Offset) -> None:
        """The log was cut: what comes to stand there has not been looked at."""
        self.cleaned_until = min(self.cleaned_until, end)


class _Run:
    """One cleaning."""

    def __init__(self, log: Compactor, part: Cleanable, *, now_ms: int, pause: Pause, key_map_bytes: int) -> None:
        self._log = log
        self._part = part
        self._now_ms = now_ms
        self._pause = pause
        self._keys = KeyMap(key_map_bytes)
        self._producers: dict[int, int] = {}
        self._producers_max = max(1, key_map_bytes // ENTRY_BYTES)
        self._epoch_starts = {int(entry.start_offset) for entry in log._epochs.entries()}
        self._copy: _Copy | None = None
        self._stopped = False
        self._slice = 0
        self._end: int = part.end
        self._unread_below = False
        self._unread = 0

    def stop(self) -> None:
        self._stopped = True
        if self._copy is not None:
            self._copy.discard()

    async def clean(self) -> Cleaned:
        log, part = self._log, self._part
        closed = [segment for segment in log._segments if segment.base_offset < part.end]
        for segment in closed:
            if segment.base_offset < part.first_dirty:
                await self._note_producers(segment)
        end = self._end = await self._map([segment for segment in closed if segment.next_offset > part.first_dirty])
        before = after = 0
        for group in groups([segment for segment in closed if segment.base_offset < end], log._config):
            before += sum(segment.size for segment in group)
            after += await self._clean_group(group)
        return Cleaned(
            first_dirty=part.first_dirty,
            end=end,
            bytes_before=before,
            bytes_after=after,
            unread_batches=self._unread,
        )

    # First pass

    async def _note_producers(self, segment: Segment) -> None:
        """Where the batches of each producer end in the part that is clean already."""
        async for header, _ in self._batches(segment):
            if header.next_offset <= self._part.first_dirty:
                self._note_producer(header)

    def _note_producer(self, header: BatchHeader) -> None:
        producers = self._producers
        if header.producer_id >= 0 and (header.producer_id in producers or len(producers) < self._producers_max):
            producers[header.producer_id] = header.last_offset

    async def _map(self, dirty: list[Segment]) -> int:
        """Note the last offset of each key; the offset up to which there was room for them."""
        end = self._part.first_dirty
        for segment in dirty:
            async for header, batch in self._batches(segment):
                if header.next_offset <= self._part.first_dirty:
                    continue
                if self._keys.is_full:
                    return end
                self._note_producer(header)
                section = _readable(header, batch)
                if section is not None:
                    for record in rewrite.raw_records(section, header):
                        if record.key is not None:
                            self._keys.put(record.key, header.base_offset + record.offset_delta)
                        await self._breathe()
                end = header.next_offset
        return self._part.end

    # Second pass

    async def _clean_group(self, group: list[Segment]) -> int:
        """Copy the segments of `group` without what is superseded, and put the copy in their place; its size."""
        log = self._log
        copy = self._copy = _Copy(log._disk, log._directory, group[0])
        dropped: bytearray | None = None
        rewritten = len(group) > 1
        for segment in group:
            async for header, batch in self._batches(segment):
                kept = await self._reduced(header, batch)
                dropped = rewrite.emptied(header) if kept is None else None
                if kept is None and self._stays_empty(header):
                    kept, dropped = dropped, None
                if kept is not None:
                    rewritten = rewritten or kept != batch
                    copy.add(kept)
        if dropped is not None:
            # The last batch says where the segment ends.
            copy.add(dropped)
        if copy.next_offset != group[-1].next_offset:
            raise CorruptionError(f"{group[-1].path} ends before {group[-1].next_offset}")
        if not rewritten and copy.segment.size == group[0].size:
            copy.discard()
            self._copy = None
            return group[0].size
        await self._sync(copy)
        # From here on a crash leads to the new segment, whichever of the old ones are still there.
        log._before_swap()
        copy.publish()
        await log._disk.sync_names(log._directory)
        self._check()
        log._segments.replace(group, copy.finish(group[-1]))
        self._copy = None
        await log._disk.sync_names(log._directory)
        self._check()
        return copy.segment.size

    async def _sync(self, copy: _Copy) -> None:
        await self._log._disk.sync(copy.written())
        self._check()

    def _stays_empty(self, header: BatchHeader) -> bool:
        """Whether the batch has to stay although none of its records does."""
        last = self._producers.get(header.producer_id)
        return header.base_offset in self._epoch_starts or (
            header.producer_id >= 0 and (last is None or header.last_offset >= last)
        )

    async def _reduced(self, header: BatchHeader, batch: bytes) -> bytes | bytearray | None:
        """The batch without superseded records; itself when all of them stay, None when none does."""
        if header.base_offset >= self._end:
            # Not mapped for want of room: what its tombstones stand for may still be there.
            return batch
        if header.records_count == 0:
            return None
        section = _readable(header, batch)
        if section is None:
            self._unread_below = True
            self._unread += 1
            return batch
        horizon = rewrite.delete_horizon_ms(header)
        may_go = horizon is not None and self._now_ms >= horizon and not self._unread_below
        kept: list[rewrite.RawRecord] = []
        tombstones = False
        for record in rewrite.raw_records(section, header):
            await self._breathe()
            if not -TIME_MAX_MS <= header.base_timestamp + record.time_delta <= TIME_MAX_MS:
                self._unread_below = True
                self._unread += 1
                return batch
            key = record.key
            if key is None or self._keys.last(key) > header.base_offset + record.offset_delta:
                continue
            if record.is_tombstone:
                if may_go:
                    continue
                tombstones = True
            kept.append(record)
        if not kept:
            return None
        if tombstones and horizon is None:
            horizon_ms = min(self._now_ms + self._log._config.delete_retention_ms, TIME_MAX_MS)
            return rewrite.rebuild(section, header, kept, horizon_ms=horizon_ms)
        return batch if len(kept) == header.records_count else rewrite.rebuild(section, header, kept)

    # Reading

    async def _batches(self, segment: Segment) -> AsyncIterator[tuple[BatchHeader, bytes]]:
        """The batches of a segment, each checked: damage is never copied (I15)."""
        log = self._log
        position, count = 0, READ_BYTES
        expected = segment.base_offset
        while position < segment.size:
            log._segments.touch(segment)
            chunk = await log._disk.read_cold(segment.opened(), position, min(count, segment.size - position))
            self._check()
            within, count = 0, READ_BYTES
            for found in walk(chunk):
                stop = found.position + found.size
                if position + stop > segment.size:
                    break
                if stop > len(chunk):
                    count = max(READ_BYTES, found.size)
                    break
                if not content_ok(chunk, found) or found.base_offset < expected:
                    break
                yield read_header(chunk, found.position), chunk[found.position : stop]
                await self._breathe()
                within, expected = stop, found.last_offset + 1
            if within == 0 and count == READ_BYTES:
                raise CorruptionError(f"{segment.path} is damaged at position {position}")
            position += within

    async def _breathe(self) -> None:
        self._slice += 1
        if self._slice >= RECORDS_PER_SLICE:
            self._slice = 0
            await self._pause()
            self._check()

    def _check(self) -> None:
        if self._stopped:
            raise _StoppedError


class _Copy:
    """The segment that is being made of a group, in files that are not part of the log yet."""

    def __init__(self, disk: Disk, directory: str, first: Segment) -> None:
        self._disk = disk
        self._directory = directory
        self.segment = first.without_indexes()
        self._files: list[File] = []
        self._buffer = bytearray()
        self._log = self._create(swap.names_of(first.base_offset, swap.CLEANED_SUFFIX)[-1])

    def _create(self, name: str) -> File:
        file = self._disk.open(f"{self._directory}/{name}", create=True)
        self._files.append(file)
        file.truncate(0)
        return file

    @property
    def next_offset(self) -> int:
        return self.segment.next_offset

    def add(self, batch: bytes | bytearray) -> None:
        found = shape_at(batch, 0)
        assert found is not None
        self.segment.note(found, self.segment.size)
        self._buffer += batch
        if len(self._buffer) >= WRITE_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._log.append((self._buffer,))
            self._buffer = bytearray()

    def written(self) -> list[File]:
        """Everything is written; the files to sync."""
        self._flush()
        encoded = self.segment.encode_indexes()
        for name, content in zip(swap.names_of(self.segment.base_offset, swap.CLEANED_SUFFIX), encoded, strict=False):
            file = self._create(name)
            if content:
                file.append((content,))
        return self._files

    def publish(self) -> None:
        self._close()
        swap.rename_all(self._disk, self._directory, self.segment.base_offset, swap.CLEANED_SUFFIX, swap.SWAP_SUFFIX)

    def finish(self, last: Segment) -> Segment:
        """The segment, to take its place; `last` is the newest of those it was made from."""
        segment = self.segment
        segment.flushed_size = segment.syncing_size = segment.size
        segment.created_ms, segment.last_append_ms = last.created_ms, last.last_append_ms
        segment.index = segment.time_index = None
        return segment

    def discard(self) -> None:
        self._close()
        swap.discard(self._disk, self._directory, self.segment.base_offset)

    def _close(self) -> None:
        for file in self._files:
            file.close()
        self._files = []


def _readable(header: BatchHeader, batch: bytes) -> bytes | None:
    """The plain records; None for a batch that is to stay as it is."""
    if header.is_control or header.is_transactional:
        return None
    try:
        return rewrite.section_of(batch, header)
    except (ApiError, CorruptionError):
        # More than a batch may unfold to, or nothing that its codec wrote: the checksum is right, so its producer made it so.
        return None
