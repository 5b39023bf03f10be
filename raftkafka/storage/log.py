"""The log of one partition: segments, epochs, and how far it is durable.

Floor 2. Invariants: offsets rise, without gaps unless compaction made them; one append is one write, and a failed one leaves the log as it was;
`flushed_offset` never stands above the log end, whatever a sync in flight reports later (I1); bytes that are damaged are
neither served nor built upon (I15).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from raftkafka.model.errors import (
    ApiError,
    CorruptionError,
    DiskFullError,
    ErrorCode,
    InvariantViolationError,
    StorageError,
)
from raftkafka.model.ids import NO_OFFSET, NO_TIMESTAMP, LeaderEpoch, Offset, TimestampMs, TopicPartition
from raftkafka.ports.disk import Bytes, Disk, File
from raftkafka.record.compression import UNFOLDED_BYTES_MAX
from raftkafka.record.header import validate_produced
from raftkafka.record.produced import check_times, repacked, require_keys
from raftkafka.replica.epochs import EpochHistory
from raftkafka.replica.producers import ProducerTable
from raftkafka.storage import lookup, retention
from raftkafka.storage.appending import Appended, check_fetched, stamp_produced
from raftkafka.storage.batches import Batch
from raftkafka.storage.cleanable import Cleanable
from raftkafka.storage.compaction import Cleaned, Compactor, Pause
from raftkafka.storage.config import LogConfig
from raftkafka.storage.epoch_file import EpochFile
from raftkafka.storage.open_segments import OpenSegments
from raftkafka.storage.producer_state import ProducerState, note_batch
from raftkafka.storage.reading import LogReader, ReadResult
from raftkafka.storage.recovery import (
    Recovered,
    drop_recovery_limit,
    recover,
    save_recovery_limit,
    save_sparse_mark,
)
from raftkafka.storage.segments import Segments

__all__ = ["Appended", "Log", "ReadResult"]

_NO_LIMIT: Final = 1 << 63


class Log:
    """All methods run on the event loop; only `open` and `read_cold` wait for a device."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        *,
        topic_partition: TopicPartition,
        topic: str,
        config: LogConfig,
        recovered: Recovered,
        open_segments: OpenSegments | None = None,
    ) -> None:
        self.topic_partition = topic_partition
        self.topic = topic
        self.directory = directory
        self.config = config
        self.epochs: EpochHistory = recovered.epochs
        self.log_start_offset: Offset = recovered.log_start_offset
        self.flushed_offset: Offset = recovered.flushed_offset
        self.corruption: CorruptionError | None = recovered.corruption
        self._corrupt_from: int = recovered.corrupt_from
        self._disk = disk
        self._segments = Segments(
            disk, directory, config, recovered.segments, sparse=recovered.sparse, open_segments=open_segments
        )
        self._has_sparse_mark = recovered.has_sparse_mark
        self.log_end_offset: Offset = Offset(self._segments.active.next_offset)
        """The offset that the next record gets; for reading. An attribute, because every request asks several times."""
        self._sync_limit = _NO_LIMIT
        self._has_recovery_limit = recovered.has_recovery_limit
        self._epoch_file = EpochFile(disk, directory, recovered.epochs)
        self._producers = ProducerState(disk, directory, recovered.producers, recovered.snapshots)
        self._failure: StorageError | None = None
        self._half_cut = False
        self._reader = LogReader(disk, self._segments, self.epochs)
        self._segments.on_replaced = self._reader.forget
        self.compactor = Compactor(
            disk,
            directory,
            self._segments,
            self.epochs,
            config,
            cleaned_until=recovered.cleaned_until,
            before_swap=self._allow_gaps,
        )

    @classmethod
    async def open(
        cls,
        disk: Disk,
        directory: str,
        *,
        topic_partition: TopicPartition,
        topic: str,
        config: LogConfig,
        clean: bool,
        recovery_point: Offset,
        log_start_offset: Offset,
        now_ms: TimestampMs,
        cleaned_until: Offset = NO_OFFSET,
        open_segments: OpenSegments | None = None,
    ) -> Log:
        """Open the log in `directory`, making it when it is empty.

        `clean`: it was synced and closed in order, so it is believed. Otherwise everything from `recovery_point` on is
        read and checked; a torn tail is cut off, damage before valid batches is kept and put into `corruption`.

        Raises:
            StorageError: the disk refused.
        """
        recovered = await recover(
            disk,
            directory,
            config=config,
            clean=clean,
            recovery_point=recovery_point,
            log_start_offset=log_start_offset,
            now_ms=now_ms,
            cleaned_until=cleaned_until,
        )
        return cls(
            disk,
            directory,
            topic_partition=topic_partition,
            topic=topic,
            config=config,
            recovered=recovered,
            open_segments=open_segments,
        )

    def __str__(self) -> str:
        return f"{self.topic}-{self.topic_partition.partition}"

    @property
    def size_bytes(self) -> int:
        return self._segments.size_bytes

    @property
    def segment_count(self) -> int:
        return len(self._segments)

    @property
    def producers(self) -> ProducerTable:
        """What is known of the idempotent producers that write here; for reading."""
        return self._producers.table

    @property
    def wants_sync(self) -> bool:
        """True when the log should be synced although nobody waits for it."""
        return self._segments.wants_sync

    @property
    def recovery_point(self) -> Offset:
        """What `recovery-point-offset-checkpoint` may say: everything below is durable, its epochs too."""
        bounds = (self.flushed_offset, self._epoch_file.unsaved_from, self._segments.uncertain_from)
        return Offset(min(bound for bound in bounds if bound is not None))

    @property
    def offline(self) -> StorageError | CorruptionError | None:
        """Why the log refuses appends, None when it does not."""
        return self._failure or self.corruption

    def reconfigure(self, config: LogConfig) -> None:
        """Go by another configuration from now on; what is there already stays as it is."""
        self.config = config
        self._segments.reconfigure(config)
        self.compactor.reconfigure(config)

    # Appending

    def append_as_leader(self, records: memoryview, *, leader_epoch: LeaderEpoch, now_ms: TimestampMs) -> Appended:
        """Validate what a producer sent, stamp it in place and append it with one write.

        Raises:
            ApiError: the batches were refused, see `record.header.validate_produced` and `ProducerTable.check`.
            DiskFullError: nothing was appended; a later append may succeed.
            StorageError: the disk failed, now or before; the log takes no more appends.
        """
        headers = validate_produced(records, message_max_bytes=self.config.message_max_bytes)
        if self._failure is not None or self.corruption is not None:
            raise self._refusal()
        self._check_room(records)
        duplicate = self._producers.table.check(headers)
        if duplicate is not None:
            stamped = duplicate.timestamp_ms if self.config.stamps_append_time else NO_TIMESTAMP
            return Appended(
                first_offset=Offset(duplicate.first_offset),
                last_offset=Offset(duplicate.last_offset),
                log_append_time_ms=TimestampMs(stamped),
                max_timestamp=TimestampMs(duplicate.timestamp_ms),
                records=0,
                bytes=0,
            )
        config = self.config
        if config.limits_timestamps and not config.stamps_append_time:
            check_times(
                headers,
                earliest_ms=now_ms - config.timestamp_before_max_ms,
                latest_ms=now_ms + config.timestamp_after_max_ms,
            )
        if config.compacts:
            require_keys(records, headers, max_bytes=UNFOLDED_BYTES_MAX)
        if config.repacks_by is not None:
            records, headers = repacked(
                records,
                headers,
                config.repacks_by,
                message_max_bytes=config.message_max_bytes,
                max_bytes=UNFOLDED_BYTES_MAX,
            )
            self._check_room(records)
        if leader_epoch != self.epochs.latest:
            self.begin_epoch(leader_epoch)
        batches, appended = stamp_produced(
            records,
            headers,
            offset=self.log_end_offset,
            leader_epoch=leader_epoch,
            append_time_ms=now_ms if self.config.stamps_append_time else NO_TIMESTAMP,
        )
        self._append(records, batches, now_ms)
        return appended

    def _check_room(self, records: memoryview) -> None:
        if len(records) > self.config.segment_bytes:
            raise ApiError(
                ErrorCode.RECORD_LIST_TOO_LARGE,
                f"{len(records)} bytes in one append exceed segment.bytes={self.config.segment_bytes}",
            )

    def append_as_follower(self, records: memoryview | bytes, *, now_ms: TimestampMs) -> Appended:
        """Append what the leader sent, offsets and epochs as they are. Nothing is appended unless all of it is right.

        Raises:
            ApiError: CORRUPT_MESSAGE, a checksum is wrong, or these are not whole batches that continue this log. Our
                own bytes are not in doubt: ask again.
            DiskFullError, StorageError: as `append_as_leader`.
        """
        if self._failure is not None or self.corruption is not None:
            raise self._refusal()
        # The epoch of the last record, not the newest one: a leadership of our own that wrote nothing proves nothing.
        batches, appended, gaps = check_fetched(
            records, offset=self.log_end_offset, epoch=self.epochs.epoch_at(Offset(self.log_end_offset - 1))
        )
        if gaps:
            self._allow_gaps()
        self._append(records, batches, now_ms)
        for batch in batches:
            if batch.leader_epoch != self.epochs.latest:
                self._epoch_file.assign(LeaderEpoch(batch.leader_epoch), batch.base_offset)
        return appended

    def begin_epoch(self, leader_epoch: LeaderEpoch) -> None:
        """This replica leads in `leader_epoch` from the log end on (KIP-101)."""
        if leader_epoch < self.epochs.latest:
            raise InvariantViolationError(f"{self}: epoch {leader_epoch} after epoch {self.epochs.latest}")
        self._epoch_file.assign(leader_epoch, self.log_end_offset)

    def recovery_point_saved(self) -> None:
        """A `recovery_point` taken just before is durable in the checkpoint, so no older, higher one can come back."""
        if self._has_recovery_limit:
            drop_recovery_limit(self._disk, self.directory)
            self._has_recovery_limit = False

    def _append(self, records: Bytes, batches: list[Batch], now_ms: int) -> None:
        active = self._segments.active
        try:
            self._segments.append(records, batches, now_ms=now_ms)
            if self._segments.active is not active:
                self._take_snapshot()
        except DiskFullError:
            raise
        except StorageError as error:
            self._failure = error
            raise
        self._producers.note(batches)
        self.log_end_offset = Offset(batches[-1].last_offset + 1)

    def _take_snapshot(self) -> None:
        self._producers.take_snapshot([segment.base_offset for segment in self._segments])

    def _allow_gaps(self) -> None:
        """Durable before the first gap is: a recovery must not take it for damage, whatever the policy is by then."""
        if not self._has_sparse_mark:
            save_sparse_mark(self._disk, self.directory)
            self._has_sparse_mark = True
        self._segments.sparse = True

    def _refusal(self) -> StorageError:
        return StorageError(f"{self} takes no appends: {self.offline}")

    # Reading

    def read(self, offset: Offset, *, max_bytes: int, end: Offset, min_one: bool = True) -> ReadResult | None:
        """Whole batches from the one that contains `offset`, all of them ending below `end`.

        At most `max_bytes`, but with `min_one` at least one batch. None: not in the page cache, so wait for
        `read_cold` with the same arguments.

        Raises:
            ApiError: OFFSET_OUT_OF_RANGE outside [log start, log end].
            CorruptionError: the bytes on disk are damaged.
            StorageError: the disk refused.
        """
        end = self._check_range(offset, end)
        if offset >= end:
            return ReadResult(records=b"", first_offset=offset, next_offset=offset)
        return self._reader.read(offset, max_bytes=max_bytes, end=end, min_one=min_one)

    async def read_cold(self, offset: Offset, *, max_bytes: int, end: Offset, min_one: bool = True) -> ReadResult:
        """As `read`, waiting for the device off the loop; a log that is cut meanwhile is read again."""
        while True:
            below = self._check_range(offset, end)
            if offset >= below:
                return ReadResult(records=b"", first_offset=offset, next_offset=offset)
            changes = self._reader.changes
            try:
                result = await self._reader.read_cold(offset, max_bytes=max_bytes, end=below, min_one=min_one)
            except (StorageError, CorruptionError):
                # A file that went away, or bytes that were replaced under the reader, say nothing about the disk.
                if changes == self._reader.changes:
                    raise
                continue
            if changes == self._reader.changes:
                return result

    def _check_range(self, offset: Offset, end: Offset) -> Offset:
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise ApiError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"{self}: {offset} is not in [{self.log_start_offset}, {self.log_end_offset}]",
            )
        if self.corruption is not None and end > self._corrupt_from:
            if offset >= self._corrupt_from:
                raise self.corruption
            return Offset(self._corrupt_from)
        return min(end, self.log_end_offset)

    def offset_for_timestamp(self, timestamp_ms: TimestampMs, *, end: Offset) -> lookup.Found | None:
        """The first record below `end` whose timestamp is >= `timestamp_ms`; None when there is none.

        Raises:
            CorruptionError, StorageError: as `read`.
        """
        for segment in self._segments:
            if segment.max_timestamp >= timestamp_ms and segment.next_offset > self.log_start_offset:
                self._segments.touch(segment)
                found = lookup.offset_for_timestamp(
                    segment, timestamp_ms, start=self.log_start_offset, end=min(end, self.log_end_offset)
                )
                if found is not None:
                    return found
        return None

    def max_timestamp_offset(self, end: Offset) -> lookup.Found | None:
        """The record below `end` with the largest timestamp (the first of equals, KIP-734); None where there is none."""
        best: lookup.Found | None = None
        for segment in self._segments:
            if best is None or segment.max_timestamp > best[0]:
                self._segments.touch(segment)
                found = lookup.max_timestamp_offset(
                    segment, start=self.log_start_offset, end=min(end, self.log_end_offset)
                )
                if found is not None and (best is None or found[0] > best[0]):
                    best = found
        return best

    # Durability

    def files_to_sync(self) -> tuple[list[File], Offset]:
        """The files with unsynced bytes, oldest first, and the log end that a sync of them covers. One at a time."""
        self._sync_limit = _NO_LIMIT
        files = [*self._segments.begin_sync(), *self._epoch_file.begin_sync(), *self._producers.begin_sync()]
        return files, self.log_end_offset

    def mark_flushed(self, end: Offset, files: list[File]) -> None:
        """`files`, as `files_to_sync` gave them, were synced. A truncation in between takes back its part."""
        flushed = min(end, self._sync_limit, self.log_end_offset)
        if flushed > self.flushed_offset:
            self.flushed_offset = Offset(flushed)
        self._segments.end_sync(files)
        self._epoch_file.end_sync(files)
        self._producers.end_sync(files)

    def take_offline(self, error: StorageError) -> None:
        """A sync of this log's directory failed: what is not flushed may be gone, so nothing more is built upon it."""
        self.compactor.stop()
        if self._failure is None:
            self._failure = error

    # Compaction

    def cleanable(self, *, high_watermark: Offset, now_ms: TimestampMs) -> Cleanable | None:
        """What compaction would work on; None when nothing is dirty, or the log is not to be touched."""
        if self.offline is not None:
            return None
        return self.compactor.cleanable(limit=self._clean_limit(high_watermark), now_ms=now_ms)

    async def clean(
        self, *, high_watermark: Offset, now_ms: TimestampMs, pause: Pause, key_map_bytes: int
    ) -> Cleaned | None:
        """Compact what is dirty below `high_watermark`; see `Compactor.clean`.

        Raises:
            CorruptionError, StorageError: as `Compactor.clean`.
        """
        if self.offline is not None:
            return None
        return await self.compactor.clean(
            limit=self._clean_limit(high_watermark), now_ms=now_ms, pause=pause, key_map_bytes=key_map_bytes
        )

    def _clean_limit(self, high_watermark: Offset) -> Offset:
        """A record that pushes out an older one must be durable itself."""
        return Offset(min(high_watermark, self.flushed_offset))

    # Cutting

    def truncate_to(self, offset: Offset) -> None:
        """Remove everything from `offset` on; the log end becomes `offset`, or the start of the batch it lies in.

        Raises:
            DiskFullError: nothing was changed, unless the log is `offline` now.
            StorageError: the disk refused; the log takes no more appends.
        """
        if offset <= self.log_start_offset and offset < self.log_end_offset:
            self.truncate_fully_and_start_at(offset)
            return
        with self._changing_whole():
            if offset < self.log_end_offset:
                self._cut(offset)
            else:
                self._epoch_file.cut(self.log_end_offset)

    @contextmanager
    def _changing_whole(self) -> Iterator[None]:
        """A cut that the disk interrupts leaves a log that is neither the old nor the new one."""
        self._half_cut = False
        try:
            yield
        except StorageError as error:
            if self._half_cut or not isinstance(error, DiskFullError):
                self._failure = error
            raise

    def _cut(self, offset: int) -> None:
        self.compactor.stop()
        self._reader.forget()
        segment = self._segments.covering(offset)
        lookup.require_indexes(segment)
        found = lookup.locate(segment, offset)
        position, end = (segment.size, segment.next_offset) if found is None else found
        # Before anything goes: a restart must not believe bytes that come to stand where synced ones stood. What needs
        # space comes first, too, so that a full disk changes nothing; recovery reads epochs that were forgotten too early.
        self._limit_recovery(segment.base_offset)
        self._epoch_file.cut(Offset(end))
        self._half_cut = True
        self._producers.drop_above(end)
        self._segments.cut(segment, position, end)
        self.log_end_offset = Offset(end)
        if not self._producers.table.truncate(end):
            self._rebuild_producers()
        self.flushed_offset = Offset(min(self.flushed_offset, end))
        self._sync_limit = min(self._sync_limit, end)
        self.compactor.cut(Offset(end))
        if end <= self._corrupt_from:
            self.corruption = None

    def _rebuild_producers(self) -> None:
        """A deep cut: read the headers behind the newest snapshot, on the loop, because the next append needs them."""
        table = self._producers.newest_table(self.log_end_offset)
        for segment in self._segments:
            if segment.next_offset > table.end:
                for _, batch in lookup.headers_from(segment, 0):
                    note_batch(table, batch)
        table.end = self.log_end_offset
        self._producers.table.restore(table)

    def _limit_recovery(self, offset: int) -> None:
        save_recovery_limit(self._disk, self.directory, Offset(offset))
        self._has_recovery_limit = True

    def truncate_fully_and_start_at(self, offset: Offset) -> None:
        """Remove all records; the log then starts and ends at `offset` (a follower behind the leader's log start)."""
        self.compactor.stop()
        self._reader.forget()
        with self._changing_whole():
            self._limit_recovery(min(offset, self.log_start_offset))
            self._epoch_file.clear()
            self._half_cut = True
            self._producers.clear(offset)
            self._segments.begin_anew(offset)
            self._disk.sync_dir(self.directory)
            self.log_start_offset = offset
            self.log_end_offset = offset
            self.flushed_offset = offset
            self._sync_limit = offset
            self.corruption = None
            self.compactor.cut(Offset(0))

    def advance_log_start(self, offset: Offset) -> bool:
        """Raise the log start to `offset`, at most the log end (I13: it never goes back); True when it moved."""
        offset = Offset(min(offset, self.log_end_offset))
        if offset <= self.log_start_offset:
            return False
        self.log_start_offset = offset
        self._epoch_file.truncate_from_start(offset)
        return True

    def delete_old_segments(self, *, now_ms: TimestampMs, high_watermark: Offset) -> int:
        """Remove whole closed segments that retention allows to go, oldest first; returns how many went.

        Only below `high_watermark`: what is not committed may still be needed by a follower.

        Raises:
            StorageError: the disk refused.
        """
        segments, config = self._segments, self.config
        if self.compactor.is_running:
            return 0  # the next look comes soon enough
        if self.log_end_offset <= high_watermark and retention.is_expired(segments.active, config, now_ms):
            # A full disk is where retention is needed most: the closed segments can go without a new active one.
            with suppress(DiskFullError):
                segments.roll()
                self._take_snapshot()
        count = retention.removable(
            segments, config, now_ms=now_ms, high_watermark=high_watermark, log_start_offset=self.log_start_offset
        )
        for removed in range(count):
            oldest = segments.first
            following = segments.after(oldest)
            assert following is not None
            if retention.is_expired(oldest, config, now_ms) and not lookup.newest_is_true(oldest):
                return removed
            self._reader.forget()
            self.advance_log_start(Offset(following.base_offset))
            segments.remove_first()
            self._producers.drop_below(segments.first.base_offset)
        return count

    def expire_producers(self, *, now_ms: TimestampMs, expiration_ms: int) -> int:
        """Forget the idempotent producers that have been silent for `expiration_ms`; how many went."""
        return self._producers.table.expire(now_ms=now_ms, expiration_ms=expiration_ms)

    def close(self, *, to_be_deleted: bool = False) -> None:
        """Write indexes, epochs and producers, and close the files. Syncing first is the caller's part (`files_to_sync`).

        `to_be_deleted`: write nothing, for which a full disk has no room.
        """
        self.compactor.stop()
        writes = self.offline is None and not to_be_deleted
        if writes:
            self._epoch_file.save()
            self._take_snapshot()
        self._epoch_file.close()
        self._producers.close()
        self._segments.close(write_indexes=writes)
