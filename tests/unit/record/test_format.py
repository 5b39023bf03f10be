"""The format, pinned by bytes written out by hand from Kafka's description, independent of the encoder.

https://kafka.apache.org/documentation/#recordbatch and #record. The checksum is computed by the bit-by-bit CRC32C below, so
that the table or the instruction behind the library is pinned as well.
"""

from raftkafka.record.build import encode_records, encode_values
from raftkafka.record.header import crc_ok, read_header
from raftkafka.record.iterate import Record, decode_pairs, decode_records, decode_values

TIME = 1_600_000_000_000  # 00 00 01 74 87 6e 80 00

_BEHIND_CRC = """
    00 00                       attributes: no compression, create time
    00 00 00 02                 last offset delta
    00 00 01 74 87 6e 80 00     base timestamp
    00 00 01 74 87 6e 80 05     max timestamp
    00 00 00 00 00 00 00 2a     producer id 42
    00 03                       producer epoch
    00 00 00 64                 base sequence 100
    00 00 00 03                 records

    12                          record of 9 bytes (zigzag)
    00                          attributes
    00                          timestamp delta 0
    00                          offset delta 0
    02 6b                       key "k"
    04 76 31                    value "v1"
    00                          no headers

    0e                          record of 7 bytes
    00                          attributes
    0a                          timestamp delta 5
    02                          offset delta 1
    01                          null key
    02 78                       value "x"
    00                          no headers

    20                          record of 16 bytes
    00                          attributes
    01                          timestamp delta -1
    04                          offset delta 2
    04 6b 32                    key "k2"
    01                          null value: a tombstone
    04                          two headers
    02 61                       header "a"
    02 62                       its content "b"
    04 c3 bc                    header "u umlaut" in UTF-8
    01                          null content
"""


def _bytes(lines: str) -> bytes:
    out = bytearray()
    for line in lines.splitlines():
        for word in line.split():
            if len(word) != 2 or not all(digit in "0123456789abcdef" for digit in word):
                break
            out.append(int(word, 16))
    return bytes(out)


def _crc32c_by_bits(content: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def golden() -> bytes:
    behind = _bytes(_BEHIND_CRC)
    before = _bytes(
        """
        00 00 00 00 00 00 03 e8     base offset 1000
        00 00 00 54                 batch length 84: everything behind this field
        ff ff ff ff                 partition leader epoch -1
        02                          magic
        """
    )
    return before + _crc32c_by_bits(behind).to_bytes(4, "big") + behind


RECORDS = [
    Record(1000, TIME, b"k", b"v1", ()),
    Record(1001, TIME + 5, None, b"x", ()),
    Record(1002, TIME - 1, b"k2", None, (("a", b"b"), ("ü", None))),
]


def test_crc32c_of_the_standard_check_string() -> None:
    assert _crc32c_by_bits(b"123456789") == 0xE3069283  # RFC 3720, appendix B.4


def test_reading_the_golden_batch() -> None:
    batch = golden()
    header = read_header(batch)
    assert header.batch_size == len(batch)
    assert crc_ok(batch, 0, len(batch))
    assert (header.base_offset, header.partition_leader_epoch, header.magic, header.attributes) == (1000, -1, 2, 0)
    assert (header.base_timestamp, header.max_timestamp) == (TIME, TIME + 5)
    assert (header.producer_id, header.producer_epoch, header.base_sequence, header.records_count) == (42, 3, 100, 3)
    assert decode_records(batch) == RECORDS
    assert decode_pairs(batch) == [(record.offset, record.key, record.value) for record in RECORDS]
    assert decode_values(batch) == [b"v1", b"x", None]


def test_writing_the_golden_batch() -> None:
    fields = [(record.key, record.value, record.timestamp_ms, record.headers) for record in RECORDS]
    written = encode_records(fields, base_offset=1000, producer_id=42, producer_epoch=3, base_sequence=100)
    assert written == golden()


def test_writing_two_values_by_hand() -> None:
    behind = _bytes(
        """
        00 00
        00 00 00 01
        00 00 01 74 87 6e 80 00
        00 00 01 74 87 6e 80 00
        ff ff ff ff ff ff ff ff
        ff ff
        ff ff ff ff
        00 00 00 02
        10 00 00 00 01 04 68 69 00
        10 00 00 02 01 04 79 6f 00
        """
    )
    before = _bytes("00 00 00 00 00 00 00 00 00 00 00 43 ff ff ff ff 02")
    batch = before + _crc32c_by_bits(behind).to_bytes(4, "big") + behind
    assert encode_values([b"hi", b"yo"], timestamp_ms=TIME) == batch
    assert decode_values(batch) == [b"hi", b"yo"]
