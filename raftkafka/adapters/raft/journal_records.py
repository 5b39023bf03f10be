"""The bytes of a journal segment: records, each with a CRC32C, and what is left of them after a crash.

Floor 4, no I/O. A record is a header (magic, CRC32C, payload length, synced position) and a payload (type, fields). The
CRC covers the segment's number and the record's position too, so that bytes of another place never pass. The synced
position says up to where the segment was durable when the record was written: damage below it cannot be a torn write,
and the journal is refused (I15); damage above it is the tail that a crash leaves, and is cut.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from crc32c import crc32c

from raftkafka.adapters.raft.library import Entry
from raftkafka.model.errors import CorruptionError

MAGIC: Final = b"RkJ1"
_HEADER: Final = struct.Struct("<4sIIQ")
_PLACE: Final = struct.Struct("<QQIQ")
HEADER_BYTES: Final = _HEADER.size

BASE: Final = 0
ENTRY: Final = 1
TRUNCATE: Final = 2
TERM: Final = 3
COMPLETE: Final = 4
MARK: Final = 5

_ENTRY: Final = struct.Struct("<BQQ")
_TRUNCATE: Final = struct.Struct("<BQ")
_TERM: Final = struct.Struct("<BQq")
NO_VOTE: Final = -1

PAYLOAD_MAX_BYTES: Final = (1 << 20) + 1 + _ENTRY.size


@dataclass(frozen=True, slots=True)
class Record:
    """One intact record; `end` is the position after it, `synced` what it says about the segment before it."""

    payload: bytes
    synced: int
    end: int

    @property
    def type(self) -> int:
        return self.payload[0]


def base() -> bytes:
    """Payload that begins a segment: what follows, up to COMPLETE, is the whole journal, not a change of it."""
    return bytes([BASE])


def complete() -> bytes:
    return bytes([COMPLETE])


def mark() -> bytes:
    """Payload that only carries the synced position."""
    return bytes([MARK])


def entry(value: Entry) -> bytes:
    command, index, term = value
    return _ENTRY.pack(ENTRY, index, term) + command


def truncate(index: int) -> bytes:
    """Payload: entries from `index` on are gone."""
    return _TRUNCATE.pack(TRUNCATE, index)


def term_and_vote(term: int, vote: int | None) -> bytes:
    return _TERM.pack(TERM, term, NO_VOTE if vote is None else vote)


def parse_entry(payload: bytes) -> Entry:
    _, index, term = _ENTRY.unpack_from(payload)
    return payload[_ENTRY.size :], index, term


def parse_truncate(payload: bytes) -> int:
    index: int = _TRUNCATE.unpack(payload)[1]
    return index


def parse_term(payload: bytes) -> tuple[int, int | None]:
    _, term, vote = _TERM.unpack(payload)
    return term, None if vote == NO_VOTE else vote


def frame(payload: bytes, *, segment: int, position: int, synced: int) -> bytes:
    """The record that stands at byte `position` of segment number `segment`."""
    crc = _crc(payload, segment, position, synced)
    return _HEADER.pack(MAGIC, crc, len(payload), synced) + payload


def _crc(payload: bytes, segment: int, position: int, synced: int) -> int:
    return crc32c(payload, crc32c(_PLACE.pack(segment, position, len(payload), synced)))


def _read(content: bytes, position: int, segment: int) -> Record | None:
    if position + HEADER_BYTES > len(content):
        return None
    magic, crc, length, synced = _HEADER.unpack_from(content, position)
    start = position + HEADER_BYTES
    if magic != MAGIC or not 1 <= length <= PAYLOAD_MAX_BYTES or start + length > len(content):
        return None
    payload = content[start : start + length]
    if _crc(payload, segment, position, synced) != crc or not _well_formed(payload):
        return None
    return Record(payload, synced, start + length)


def _well_formed(payload: bytes) -> bool:
    match payload[0]:
        case 1:
            return len(payload) > _ENTRY.size
        case 2:
            return len(payload) == _TRUNCATE.size
        case 3:
            return len(payload) == _TERM.size
        case 0 | 4 | 5:
            return len(payload) == 1
        case _:
            return False


def scan(content: bytes, *, segment: int, path: str) -> list[Record]:
    """The intact records from the start of a segment; what follows the last one is a torn tail.

    Raises:
        CorruptionError: bytes that had been synced are damaged.
    """
    records = []
    position = 0
    while (record := _read(content, position, segment)) is not None:
        records.append(record)
        position = record.end
    candidate = content.find(MAGIC, position)
    while candidate >= 0:
        later = _read(content, candidate, segment)
        if later is not None and later.synced > position:
            raise CorruptionError(
                f"{path} is damaged at byte {position}: records up to byte {later.synced} were on the disk before"
            )
        candidate = content.find(MAGIC, candidate + 1 if later is None else later.end)
    return records
