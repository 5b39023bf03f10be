"""Zigzag varints of the record format, as tables: most lengths and offset deltas of a batch are small and repeat.

Floor 1, pure. The encoding is protobuf's sint32/sint64, which Kafka's records use
(https://kafka.apache.org/documentation/#record). A table remembers a bounded number of small values only, so that foreign
sizes cannot make it grow.
"""

from __future__ import annotations

from typing import Final

REMEMBERED: Final = 1 << 14
VARINT_BYTES_MAX: Final = 5
VARLONG_BYTES_MAX: Final = 10


def encode_varint(value: int) -> bytes:
    """The zigzag varint of `value`, a signed integer of at most 64 bits: 1 to 10 bytes."""
    rest = (value << 1) ^ (value >> 63)
    if rest < 0x80:
        return bytes((rest,))
    out = bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


class VarintTable(dict[int, bytes]):
    """`table[value]` is the varint of `value`; small values are computed once."""

    __slots__ = ()

    def __missing__(self, value: int) -> bytes:
        encoded = encode_varint(value)
        if -REMEMBERED < value < REMEMBERED:
            self[value] = encoded
        return encoded


VARINTS: Final = VarintTable()

# Offset deltas 0 to 8191 as columns of bytes: a delta below 64 takes one byte, the others two, low bits first.
ONE_BYTE_DELTAS: Final = 64
TWO_BYTE_DELTAS: Final = 8192
DELTA_ONE_BYTE: Final = bytes(range(0, 0x80, 2))
DELTA_LOW: Final = bytes(range(0x80, 0x100, 2)) * 128
DELTA_HIGH: Final = b"".join(bytes((high,)) * 64 for high in range(128))


def decode_varint(buffer: bytes, position: int, bytes_max: int) -> tuple[int, int]:
    """`(value, position after it)`.

    Raises:
        IndexError: the buffer ends within the number.
        ValueError: more than `bytes_max` bytes.
    """
    rest = shift = 0
    for at in range(position, position + bytes_max):
        byte = buffer[at]
        rest |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (rest >> 1) ^ -(rest & 1), at + 1
        shift += 7
    raise ValueError(f"a varint of more than {bytes_max} bytes at position {position}")
