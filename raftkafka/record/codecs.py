"""The wire forms of snappy, lz4 and zstd in record batches, written as Kafka's Java client does, and read more widely.

Floor 1, pure. The compressors are cramjam's, imported when the first batch asks for them. Every reader takes the bytes that it
may give at most; beyond them it stops (decompression bombs), having made no more than that.

- snappy: the stream of xerial's snappy-java (a header of 16 bytes, then chunks of at most 32 KiB, each after its length);
  librdkafka's plain snappy is read too.
- lz4: the frame format, with independent blocks of 64 KiB and no checksums: Java readers refuse blocks that depend on each
  other. Any frame is read.
- zstd: one frame at level 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct, error
from struct import unpack_from as unpack
from typing import Final

from raftkafka.model.errors import CorruptionError

Packed = bytes | bytearray | memoryview

_XERIAL_MAGIC: Final = b"\x82SNAPPY\0"
_XERIAL_HEADER: Final = _XERIAL_MAGIC + b"\0\0\0\1\0\0\0\1"  # version 1, readable from version 1 on
_XERIAL_CHUNK_BYTES: Final = 32 << 10

_LZ4_HEADER: Final = b"\x04\x22\x4d\x18\x60\x40\x82"  # magic, independent blocks, of 64 KiB, checksum of the last two
_LZ4_BLOCK_BYTES: Final = 64 << 10
_LZ4_PLAIN: Final = 1 << 31  # the bit of a block that is not compressed
_LZ4_END: Final = b"\0\0\0\0"

_ZSTD_LEVEL: Final = 3
_FIRST_ROOM: Final = 8  # how often a batch unfolds, as a first guess

_BIG: Final = Struct(">i")
_LITTLE: Final = Struct("<I")


class UnfoldsTooFarError(Exception):
    """More would come out than the caller takes."""


def snappy_compress(plain: Packed) -> bytes:
    from cramjam import snappy

    out = [_XERIAL_HEADER]
    for chunk in _slices(plain, _XERIAL_CHUNK_BYTES):
        packed = bytes(snappy.compress_raw(chunk))
        out += (_BIG.pack(len(packed)), packed)
    return b"".join(out)


def snappy_decompress(packed: Packed, max_bytes: int) -> bytes:
    """Raises CorruptionError, UnfoldsTooFarError."""
    if packed[: len(_XERIAL_MAGIC)] != _XERIAL_MAGIC:
        return _snappy_chunk(packed, max_bytes)
    out: list[bytes] = []
    at, end, room = len(_XERIAL_HEADER), len(packed), max_bytes
    view = memoryview(packed)
    if end < at:
        raise CorruptionError(f"snappy: a header of {end} bytes")
    while at < end:
        try:
            (size,) = unpack(">i", packed, at)
        except error:
            raise CorruptionError(f"snappy: {end - at} bytes where a chunk's length is wanted") from None
        at += 4
        if not 0 < size <= end - at:
            raise CorruptionError(f"snappy: a chunk of {size} bytes where {end - at} are left")
        out.append(_snappy_chunk(view[at : at + size], room))
        room -= len(out[-1])
        at += size
    return b"".join(out)


def _snappy_chunk(packed: Packed, max_bytes: int) -> bytes:
    from cramjam import DecompressionError, snappy

    try:
        # The length stands before the chunk; the decompressor gives so many bytes or an error.
        if snappy.decompress_raw_len(packed) > max_bytes:
            raise UnfoldsTooFarError
        return bytes(snappy.decompress_raw(packed))
    except DecompressionError as failure:
        raise CorruptionError(f"snappy: {failure}") from failure


def lz4_compress(plain: Packed) -> bytes:
    from cramjam import lz4

    out = [_LZ4_HEADER]
    for block in _slices(plain, _LZ4_BLOCK_BYTES):
        packed = bytes(lz4.compress_block(block, store_size=False))
        if len(packed) < len(block):
            out += (_LITTLE.pack(len(packed)), packed)
        else:
            out += (_LITTLE.pack(len(block) | _LZ4_PLAIN), bytes(block))
    out.append(_LZ4_END)
    return b"".join(out)


def lz4_decompress(packed: Packed, max_bytes: int) -> bytes:
    """Raises CorruptionError, UnfoldsTooFarError."""
    from cramjam import lz4

    return _bounded("lz4", lz4.decompress_into, packed, max_bytes)


def zstd_compress(plain: Packed) -> bytes:
    from cramjam import zstd

    return bytes(zstd.compress(plain, level=_ZSTD_LEVEL))


def zstd_decompress(packed: Packed, max_bytes: int) -> bytes:
    """Raises CorruptionError, UnfoldsTooFarError."""
    from cramjam import zstd

    return _bounded("zstd", zstd.decompress_into, packed, max_bytes)


def _bounded(name: str, into: Callable[[Packed, bytearray], int], packed: Packed, max_bytes: int) -> bytes:
    """What comes out, in room that grows to `max_bytes`: nobody can say beforehand how much it is."""
    from cramjam import DecompressionError

    room = min(max_bytes, max(_LZ4_BLOCK_BYTES, _FIRST_ROOM * len(packed)))
    while True:
        out = bytearray(room)
        try:
            return bytes(memoryview(out)[: into(packed, out)])
        except DecompressionError as failure:
            # cramjam has one exception for both; a test holds these words.
            if "write whole buffer" not in str(failure):
                raise CorruptionError(f"{name}: {failure}") from failure
        if room >= max_bytes:
            raise UnfoldsTooFarError
        room = min(max_bytes, 4 * room)


def _slices(plain: Packed, size: int) -> Iterator[memoryview]:
    view = memoryview(plain)
    return (view[at : at + size] for at in range(0, len(view), size))
