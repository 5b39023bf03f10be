"""Any batch, record after record.

Floor 1, pure. Bounds are checked by arithmetic: every field moves the position forward, and a record that does not end
exactly where its length says is refused, whatever was read on the way.
"""

from __future__ import annotations

from raftkafka.record.columns import Columns, Headers
from raftkafka.record.header import BatchHeader
from raftkafka.record.varint import VARINT_BYTES_MAX, VARLONG_BYTES_MAX, decode_varint


def walk(section: bytes, at: int, end: int, header: BatchHeader) -> Columns:
    """The columns of the records in `section[at:end]`.

    The varints of one and two bytes are written out: a call per number would take two thirds of the time.

    Raises:
        IndexError, ValueError: a record is malformed, or offsets do not ascend within the batch.
    """
    offsets: list[int] = []
    times: list[int] = []
    keys: list[bytes | None] = []
    values: list[bytes | None] = []
    all_headers: list[Headers] = []
    last_delta, previous = header.last_offset_delta, -1
    for _ in range(header.records_count):
        if (low := section[at]) < 0x80:
            length = low >> 1
            at += 1
        elif (high := section[at + 1]) < 0x80:
            length = (low & 0x7E | high << 7) >> 1
            at += 2
        else:
            length, at = decode_varint(section, at, VARINT_BYTES_MAX)
        stop = at + length
        if low & 1 or length < 6 or stop > end:
            raise ValueError(f"a record of {length} bytes")

        at += 2
        if (low := section[at - 1]) < 0x80:
            time_delta = (low >> 1) ^ -(low & 1)
        else:
            time_delta, at = decode_varint(section, at - 1, VARLONG_BYTES_MAX)

        if (low := section[at]) < 0x80:
            delta = low >> 1
            at += 1
        elif (high := section[at + 1]) < 0x80:
            delta = (low & 0x7E | high << 7) >> 1
            at += 2
        else:
            delta, at = decode_varint(section, at, VARINT_BYTES_MAX)
        if low & 1 or not previous < delta <= last_delta:
            raise ValueError(f"offset delta {delta} after {previous}, the last is {last_delta}")
        previous = delta

        if (low := section[at]) == 1:
            keys.append(None)
            at += 1
        elif low < 0x80 and not low & 1:
            keys.append(section[at + 1 : (at := at + 1 + (low >> 1))])
        else:
            key, at = _field(section, at, stop)
            keys.append(key)

        if (low := section[at]) < 0x80 and not low & 1:
            values.append(section[at + 1 : (at := at + 1 + (low >> 1))])
        elif not low & 1 and (high := section[at + 1]) < 0x80:
            values.append(section[at + 2 : (at := at + 2 + ((low & 0x7E | high << 7) >> 1))])
        else:
            value, at = _field(section, at, stop)
            values.append(value)

        if section[at]:
            headers, at = _headers(section, at, stop)
            if not all_headers:
                all_headers = [()] * len(offsets)
            all_headers.append(headers)
        else:
            at += 1
            if all_headers:
                all_headers.append(())
        # Every field moved `at` forward, so this alone proves that none of them left the record.
        if at != stop:
            raise ValueError(f"a record ends {stop - at} bytes before its length says")
        offsets.append(delta)
        times.append(time_delta)
    if at != end:
        raise ValueError(f"{end - at} bytes after the last record")
    base_offset = header.base_offset
    if base_offset:
        offsets = list(map(base_offset.__add__, offsets))
    return Columns(offsets, times, keys, values, all_headers or None)


def _field(section: bytes, at: int, stop: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(section, at, VARINT_BYTES_MAX)
    if length < 0:
        if length != -1:
            raise ValueError(f"a field of {length} bytes")
        return None, at
    if at + length > stop:
        raise ValueError(f"a field of {length} bytes where {stop - at} are left")
    return section[at : at + length], at + length


def _headers(section: bytes, at: int, stop: int) -> tuple[Headers, int]:
    count, at = decode_varint(section, at, VARINT_BYTES_MAX)
    if not 0 <= count <= (stop - at) // 2:
        raise ValueError(f"{count} headers in {stop - at} bytes")
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, at = _field(section, at, stop)
        if name is None:
            raise ValueError("a header without a name")
        content, at = _field(section, at, stop)
        headers.append((name.decode(), content))
    return tuple(headers), at
