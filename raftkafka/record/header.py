"""Record batch v2: the 61 bytes before the records, and what a broker may do with them.

Floor 1, pure. The layout is Kafka's (https://kafka.apache.org/documentation/#recordbatch), big-endian:

    0 base_offset i64 | 8 batch_length i32 | 12 partition_leader_epoch i32 | 16 magic i8 = 2 | 17 crc u32
    21 attributes i16 | 23 last_offset_delta i32 | 27 base_timestamp i64 | 35 max_timestamp i64
    43 producer_id i64 | 51 producer_epoch i16 | 53 base_sequence i32 | 57 records_count i32 | 61 records

`batch_length` counts the bytes after itself; the CRC32C covers everything from `attributes` to the end. So a leader stamps
base offset and leader epoch in place without touching the checksum. Invariant kept here (I15): bytes whose checksum or
shape is wrong never pass as a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from crc32c import crc32c

from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode

Buffer = bytes | bytearray | memoryview

HEADER_BYTES: Final = 61
MAGIC: Final = 2
BATCH_LENGTH_MIN: Final = 49  # what `batch_length` counts of the header itself
LENGTH_OVERHEAD: Final = 12  # what it does not count: base_offset and itself
CRC_START: Final = 21  # the checksum covers from here to the end of the batch

COMPRESSION_MASK: Final = 0x07
LOG_APPEND_TIME: Final = 0x08
TRANSACTIONAL: Final = 0x10
CONTROL: Final = 0x20
DELETE_HORIZON: Final = 0x40
"""Compaction has put the time from which the batch's tombstones may go into its base timestamp (KIP-534)."""

NO_COMPRESSION: Final = 0
GZIP: Final = 1
SNAPPY: Final = 2
LZ4: Final = 3
ZSTD: Final = 4

HEADER: Final = Struct(">qiibIhiqqqhii")
_BASE_OFFSET: Final = Struct(">q")
_LEADER_EPOCH: Final = Struct(">i")
_CRC: Final = Struct(">I")
_ATTRIBUTES: Final = Struct(">h")
_MAX_TIMESTAMP: Final = Struct(">q")
_PRODUCER: Final = Struct(">qhi")
_BATCH_LENGTH: Final = Struct(">i")
_PRODUCER_MAY_SET: Final = COMPRESSION_MASK | TRANSACTIONAL


class BatchHeader(NamedTuple):
    """The header of one batch; a tuple, because one is made per batch on the produce and the fetch path."""

    base_offset: int
    batch_length: int
    partition_leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int  # milliseconds since the epoch, UTC
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records_count: int

    @property
    def batch_size(self) -> int:
        """Bytes of the whole batch, this header included."""
        return self.batch_length + LENGTH_OVERHEAD

    @property
    def last_offset(self) -> int:
        """The offset of the last record; compaction may have removed that record, never its offset."""
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        """The offset after this batch: the log end once it is appended."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def compression(self) -> int:
        """0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; 5 to 7 are unknown."""
        return self.attributes & COMPRESSION_MASK

    @property
    def is_control(self) -> bool:
        """True for a batch that holds a transaction marker and no records of a producer."""
        return self.attributes & CONTROL != 0

    @property
    def is_transactional(self) -> bool:
        """True for a batch written within a transaction."""
        return self.attributes & TRANSACTIONAL != 0

    @property
    def has_log_append_time(self) -> bool:
        """True when every record of the batch carries `max_timestamp` as its time (KIP-32)."""
        return self.attributes & LOG_APPEND_TIME != 0


_unpack = HEADER.unpack_from
_new_tuple = tuple.__new__
"""Half the time of `BatchHeader._make`, which is a function of Python around it; the struct has as many fields."""


def read_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header at `position`, checked for shape alone: it may promise more bytes than the buffer holds.

    Raises:
        CorruptionError: fewer than 61 bytes are there, or no batch of version 2 can look like this.
    """
    if position < 0 or len(buffer) - position < HEADER_BYTES:
        raise CorruptionError(f"{len(buffer) - position} bytes at position {position} are no batch header")
    header = _new_tuple(BatchHeader, _unpack(buffer, position))
    if (
        header.magic != MAGIC
        or header.batch_length < BATCH_LENGTH_MIN
        or header.base_offset < 0
        or header.last_offset_delta < 0
        or header.records_count < 0
        or header.records_count > header.last_offset_delta + 1
        or header.partition_leader_epoch < -1
    ):
        raise CorruptionError(f"implausible batch header at position {position}: {header}")
    return header


def crc_ok(buffer: Buffer, position: int, size: int) -> bool:
    """Whether the batch of `size` bytes at `position` is whole and carries the checksum of its content."""
    end = position + size
    if position < 0 or size < HEADER_BYTES or end > len(buffer):
        return False
    stored: int = _CRC.unpack_from(buffer, position + 17)[0]
    return crc32c(memoryview(buffer)[position + CRC_START : end]) == stored


def iter_headers(buffer: Buffer, position: int = 0) -> Iterator[tuple[int, BatchHeader]]:
    """Walk back-to-back batches: `(position, header)` of each. Checksums are not looked at, see `crc_ok`.

    Raises:
        CorruptionError: a header is implausible, or the last batch is not whole.
    """
    end = len(buffer)
    while position < end:
        header = read_header(buffer, position)
        following = position + header.batch_length + LENGTH_OVERHEAD
        if following > end:
            raise CorruptionError(f"the batch at position {position} wants {following - end} bytes more than are there")
        yield position, header
        position = following


def stamp(buffer: bytearray | memoryview, position: int, base_offset: int, leader_epoch: int) -> None:
    """Write base offset and partition leader epoch into the batch at `position`, in place; its checksum stays valid."""
    _BASE_OFFSET.pack_into(buffer, position, base_offset)
    _LEADER_EPOCH.pack_into(buffer, position + 12, leader_epoch)


def set_log_append_time(buffer: bytearray | memoryview, position: int, timestamp_ms: int) -> None:
    """Mark the batch at `position` with the broker's time (`message.timestamp.type=LogAppendTime`, KIP-32).

    All its records then carry `timestamp_ms` (milliseconds since the epoch, UTC). The checksum is renewed, so the batch
    must have been validated before: damage would be sealed in.

    Raises:
        CorruptionError: the batch is not whole.
    """
    size = read_length(buffer, position) + LENGTH_OVERHEAD
    attributes: int = _ATTRIBUTES.unpack_from(buffer, position + 21)[0]
    _ATTRIBUTES.pack_into(buffer, position + 21, attributes | LOG_APPEND_TIME)
    _MAX_TIMESTAMP.pack_into(buffer, position + 35, timestamp_ms)
    _CRC.pack_into(buffer, position + 17, crc32c(memoryview(buffer)[position + CRC_START : position + size]))


def set_producer(
    buffer: bytearray | memoryview, position: int, *, producer_id: int, producer_epoch: int, base_sequence: int
) -> None:
    """Write who produced the batch at `position`, and as which of its records (KIP-98); the checksum is renewed.

    Raises:
        CorruptionError: the batch is not whole.
    """
    size = read_length(buffer, position) + LENGTH_OVERHEAD
    _PRODUCER.pack_into(buffer, position + 43, producer_id, producer_epoch, base_sequence)
    _CRC.pack_into(buffer, position + 17, crc32c(memoryview(buffer)[position + CRC_START : position + size]))


def read_length(buffer: Buffer, position: int) -> int:
    """`batch_length` of the batch at `position`, which must be whole.

    Raises:
        CorruptionError: it is not.
    """
    room = len(buffer) - position - LENGTH_OVERHEAD
    if position < 0 or room < BATCH_LENGTH_MIN:
        raise CorruptionError(f"no whole batch at position {position}")
    length: int = _BATCH_LENGTH.unpack_from(buffer, position + 8)[0]
    if not BATCH_LENGTH_MIN <= length <= room:
        raise CorruptionError(f"the batch at position {position} claims {length} bytes, {room} are there")
    return length


def validate_produced(buffer: memoryview, *, message_max_bytes: int) -> list[BatchHeader]:
    """Check what a producer sent for one partition: one or more whole batches and nothing else.

    Records are not decoded: the checksum vouches for what the producer wrote, and the consumer's decoder is bounded.
    Base offset and leader epoch are the broker's to set and are ignored. `message_max_bytes` limits each batch, as
    Kafka's `max.message.bytes` does.

    Raises:
        ApiError: CORRUPT_MESSAGE (shape or checksum), MESSAGE_TOO_LARGE, UNSUPPORTED_COMPRESSION_TYPE, or
            INVALID_RECORD (well-formed, but not for a producer to send).
    """
    headers: list[BatchHeader] = []
    position = 0
    end = len(buffer)
    while position < end or not headers:
        room = end - position
        if room < HEADER_BYTES:
            if not end:
                raise ApiError(ErrorCode.INVALID_RECORD, "no record batch was sent")
            raise ApiError(ErrorCode.CORRUPT_MESSAGE, f"{room} bytes at position {position} are no record batch")
        header = _new_tuple(BatchHeader, _unpack(buffer, position))
        (_, length, _, magic, crc, attributes, last_delta, _, _, producer_id, epoch, sequence, count) = header
        size = length + LENGTH_OVERHEAD
        if magic != MAGIC:
            raise ApiError(ErrorCode.CORRUPT_MESSAGE, f"record batch of version {magic}; only version 2 is accepted")
        if size > message_max_bytes:
            raise ApiError(ErrorCode.MESSAGE_TOO_LARGE, f"a batch of {size} bytes exceeds {message_max_bytes}")
        if not HEADER_BYTES <= size <= room:
            raise ApiError(ErrorCode.CORRUPT_MESSAGE, f"a batch of {size} bytes in {room} bytes")
        content = buffer[CRC_START:] if size == end else buffer[position + CRC_START : position + size]
        if crc32c(content) != crc:
            raise ApiError(ErrorCode.CORRUPT_MESSAGE, f"the checksum of the batch at position {position} is wrong")
        if attributes & ~_PRODUCER_MAY_SET:
            raise ApiError(ErrorCode.INVALID_RECORD, f"attributes {attributes:#x} are not for a producer to set")
        if attributes & COMPRESSION_MASK > ZSTD:
            raise ApiError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"compression {attributes & COMPRESSION_MASK}")
        if count < 1 or count != last_delta + 1:
            raise ApiError(ErrorCode.INVALID_RECORD, f"{count} records with a last offset delta of {last_delta}")
        if producer_id >= 0 and (epoch < 0 or sequence < 0):
            raise ApiError(ErrorCode.INVALID_RECORD, f"producer {producer_id} without epoch or sequence")
        headers.append(header)
        position += size
    return headers
