"""Making ready what is to be appended: stamping a producer's batches, checking a leader's.

Floor 2, pure. Nothing here touches the log: either all batches of an append are right, or none is appended.
"""

from __future__ import annotations

from typing import Final

from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NO_TIMESTAMP, Offset, TimestampMs
from raftkafka.model.passing import passing_value
from raftkafka.record.header import LENGTH_OVERHEAD, BatchHeader, set_log_append_time, stamp
from raftkafka.storage.batches import Batch, content_ok, walk

NO_TIME: Final = int(NO_TIMESTAMP)


@passing_value
class Appended:
    """What one append added. `log_append_time_ms` is -1 unless the broker stamped its time; `bytes` counts batches.

    Nothing was added where `bytes` is 0: the batches were a producer's repetition, and stand at these offsets already.
    """

    first_offset: Offset
    last_offset: Offset
    log_append_time_ms: TimestampMs
    max_timestamp: TimestampMs
    records: int
    bytes: int


def stamp_produced(
    records: memoryview, headers: list[BatchHeader], *, offset: int, leader_epoch: int, append_time_ms: int
) -> tuple[list[Batch], Appended]:
    """Give validated batches their offsets from `offset` on and their epoch, in place.

    `append_time_ms` >= 0 replaces the producer's timestamps (KIP-32).
    """
    first, position, count = offset, 0, 0
    largest = NO_TIME
    batches: list[Batch] = []
    for header in headers:
        stamp(records, position, offset, leader_epoch)
        timestamp = header.max_timestamp
        if append_time_ms >= 0:
            timestamp = append_time_ms
            set_log_append_time(records, position, append_time_ms)
        size = header.batch_length + LENGTH_OVERHEAD
        last_offset = offset + header.last_offset_delta
        producer_id = header.producer_id
        if producer_id < 0:
            batch = Batch(position, size, offset, last_offset, leader_epoch, timestamp, header.crc)
        else:
            batch = Batch(
                position,
                size,
                offset,
                last_offset,
                leader_epoch,
                timestamp,
                header.crc,
                producer_id,
                header.producer_epoch,
                header.base_sequence,
            )
        batches.append(batch)
        largest = max(largest, timestamp)
        count += header.records_count
        position += size
        offset = last_offset + 1
    appended = Appended(
        first_offset=Offset(first),
        last_offset=Offset(offset - 1),
        log_append_time_ms=TimestampMs(append_time_ms),
        max_timestamp=TimestampMs(largest),
        records=count,
        bytes=position,
    )
    return batches, appended


def check_fetched(records: memoryview | bytes, *, offset: int, epoch: int) -> tuple[list[Batch], Appended, bool]:
    """The batches that a leader sent, if they continue a log that ends at `offset` and was written last in `epoch`.

    The third value tells of gaps: the leader's compaction removes batches, and who comes later never sees them. A leader
    compares the offsets of what it reads with what they have to be, so a gap is believed.

    Raises:
        ApiError: CORRUPT_MESSAGE, a checksum is wrong, or these are not whole batches that continue the log.
    """
    first, position, count = offset, 0, 0
    largest = NO_TIME
    batches = []
    for batch in walk(records):
        position = batch.position + batch.size
        if position > len(records) or not content_ok(records, batch):
            raise _refused(f"a damaged batch where offset {offset} is next")
        if batch.base_offset < offset or batch.leader_epoch < epoch:
            raise _refused(
                f"offset {batch.base_offset} of epoch {batch.leader_epoch} where offset {offset} of epoch {epoch} or "
                "later is next"
            )
        batches.append(batch)
        largest = max(largest, batch.max_timestamp)
        epoch = batch.leader_epoch
        count += batch.last_offset - batch.base_offset + 1
        offset = batch.last_offset + 1
    if position != len(records) or not batches:
        raise _refused(f"something else than whole batches where offset {offset} is next")
    appended = Appended(
        first_offset=Offset(first),
        last_offset=Offset(offset - 1),
        log_append_time_ms=NO_TIMESTAMP,
        max_timestamp=TimestampMs(largest),
        records=count,
        bytes=position,
    )
    return batches, appended, count < offset - first


def _refused(what: str) -> ApiError:
    return ApiError(ErrorCode.CORRUPT_MESSAGE, f"the leader sent {what}")
