"""A partition of `__consumer_offsets` as its coordinator uses it: read to the high watermark, then append, and hear of the commit.

Floor 3. Records go the way of a produce with acks=all. Invariants (I11): appends carry the leader epoch in which the groups were
loaded, so a coordinator that was deposed appends nothing; `settle` is called once per append, in the order of the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from raftkafka.broker.partition import Partition
from raftkafka.broker.purgatory import CommitWait
from raftkafka.group.loading import LoadedGroups
from raftkafka.group.records import GroupLogRecord, encode
from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode
from raftkafka.model.ids import LeaderEpoch, Offset
from raftkafka.ports.clock import Clock
from raftkafka.record.build import RECORD_OVERHEAD_MAX, encode_records
from raftkafka.record.header import HEADER_BYTES, iter_headers
from raftkafka.record.iterate import decode_pairs

LOAD_CHUNK_BYTES: Final = 64 << 10
"""Read and decoded in one turn of the loop, some milliseconds' work."""

Settle = Callable[[ErrorCode], None]


class GroupLog:
    """`epoch` is the leadership in which this broker is the coordinator."""

    def __init__(
        self, *, partition: Partition, epoch: LeaderEpoch, clock: Clock, has_lease: Callable[[], bool]
    ) -> None:
        self.partition = partition
        self.epoch = epoch
        self._clock = clock
        self._has_lease = has_lease

    @property
    def is_led(self) -> bool:
        """True while this broker leads the partition, as it did when the groups were loaded, and the controller says so."""
        partition = self.partition
        return partition.leader is not None and partition.leader_epoch == self.epoch and self._has_lease()

    def when_committed(self, settle: Settle) -> None:
        """Call `settle` when everything that is in the log now is committed, or this leadership is over."""
        end = self.partition.log.log_end_offset
        if self.partition.high_watermark >= end:
            settle(ErrorCode.NONE)
        else:
            self.partition.waiting_commits.add(CommitWait(Offset(end - 1), settle))

    async def load(self, into: LoadedGroups) -> None:
        """Read everything below the high watermark.

        Raises:
            ApiError, CorruptionError, StorageError: as `Log.read`; the last two are this replica's own disk's.
        """
        log = self.partition.log
        end = self.partition.high_watermark
        offset = log.log_start_offset
        while offset < end:
            read = log.read(offset, max_bytes=LOAD_CHUNK_BYTES, end=end)
            if read is None:
                read = await log.read_cold(offset, max_bytes=LOAD_CHUNK_BYTES, end=end)
            records = bytes(read.records)
            for position, header in iter_headers(records):
                if header.is_control:
                    continue
                try:
                    # The reader has compared the checksums already.
                    for _, key, value in decode_pairs(records, position, check_crc=False):
                        into.feed(key, value)
                except CorruptionError:
                    # No disk did this: whoever wrote it wrote it so, and every replica has it.
                    into.unreadable += 1
            if read.next_offset <= offset:
                return  # nothing but a gap that compaction left
            offset = read.next_offset
            await asyncio.sleep(0)

    def append(self, records: Sequence[GroupLogRecord], settle: Settle) -> None:
        """One batch. `settle` hears NONE once it is committed, else what a group's client is told."""
        try:
            encoded = self._encoded(records)
            appended = self.partition.append(
                memoryview(encoded), epoch=self.epoch, needs_isr=True, now_ms=self._clock.now_ms()
            )
        except ApiError as error:
            settle(told_to_clients(error.code))
            return
        done = partial(self._settled, settle)
        if self.partition.high_watermark > appended.last_offset:
            done(ErrorCode.NONE)
        else:
            self.partition.waiting_commits.add(CommitWait(appended.last_offset, done))

    def _settled(self, settle: Settle, code: ErrorCode) -> None:
        if code is ErrorCode.NONE and not self._has_lease():
            code = ErrorCode.NOT_LEADER_OR_FOLLOWER  # somebody else may lead already (I2)
        settle(told_to_clients(code))

    def _encoded(self, records: Sequence[GroupLogRecord]) -> bytearray:
        if not self._has_lease():
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "this broker has lost touch with the controller")
        now_ms = self._clock.now_ms()
        left = self.partition.log.config.message_max_bytes - HEADER_BYTES
        rows: list[tuple[bytes | None, bytes | None, int, tuple[()]]] = []
        for record in records:
            key, value = encode(record)
            left -= len(key) + (0 if value is None else len(value)) + RECORD_OVERHEAD_MAX
            if left < 0:
                # Before the rest is encoded: a small request may name a long group id many times.
                raise ApiError(ErrorCode.MESSAGE_TOO_LARGE, "more than fits one batch of the offsets topic")
            rows.append((key, value, now_ms, ()))
        return encode_records(rows)


def told_to_clients(code: ErrorCode) -> ErrorCode:
    """What the log says, in the terms of groups (as Kafka's GroupMetadataManager): ask again, or ask somebody else."""
    return _TOLD.get(code, code)


_TOLD: Final = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.FENCED_LEADER_EPOCH: ErrorCode.NOT_COORDINATOR,
    ErrorCode.UNKNOWN_LEADER_EPOCH: ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
    ErrorCode.MESSAGE_TOO_LARGE: ErrorCode.INVALID_COMMIT_OFFSET_SIZE,
    ErrorCode.RECORD_LIST_TOO_LARGE: ErrorCode.INVALID_COMMIT_OFFSET_SIZE,
}
