"""Compressed record sections: the codecs by number and name, and how much they may unfold to.

Floor 1, pure. gzip is in the standard library, `codecs` has the others. Invariant: a few bytes never unfold into more than
the caller allows (decompression bombs), neither in what is returned nor on the way there.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode
from raftkafka.record.codecs import (
    Packed,
    UnfoldsTooFarError,
    lz4_compress,
    lz4_decompress,
    snappy_compress,
    snappy_decompress,
    zstd_compress,
    zstd_decompress,
)
from raftkafka.record.header import GZIP, LZ4, NO_COMPRESSION, SNAPPY, ZSTD

UNFOLDED_BYTES_MAX: Final = 64 << 20
"""The default bound of what one batch may unfold to, in bytes."""

CODECS: Final[Mapping[str, int]] = MappingProxyType(
    {"none": NO_COMPRESSION, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}
)
"""What a producer's `compression.type` may be, and the attribute bits 0 to 2 that say it."""

PRODUCER: Final = "producer"
"""The `compression.type` of a topic that keeps what producers chose."""

_TARGETS: Final[Mapping[str, int | None]] = MappingProxyType(
    {**{name: codec for name, codec in CODECS.items() if codec}, "uncompressed": NO_COMPRESSION, PRODUCER: None}
)

_GZIP_WINDOW = zlib.MAX_WBITS | 16  # zlib's way of asking for a gzip header and trailer
_GZIP_LEVEL: Final = 1  # measured: the higher levels cost four times the time for a few per cent


def codec_of(name: str) -> int:
    """The attribute bits of a producer's `compression.type`.

    Raises:
        ApiError: UNSUPPORTED_COMPRESSION_TYPE.
    """
    codec = CODECS.get(name)
    if codec is None:
        raise ApiError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"{name!r} is none of {', '.join(CODECS)}")
    return codec


def target_of(name: str) -> int | None:
    """The codec that a topic's `compression.type` asks for; None for "producer".

    Raises:
        ValueError: no topic can have it.
    """
    if name not in _TARGETS:
        raise ValueError(f"{name!r} is none of {', '.join(_TARGETS)}")
    return _TARGETS[name]


def compress(codec: int, records: Packed) -> Packed:
    """The record section as `codec` (attribute bits 0 to 2) writes it.

    Raises:
        ApiError: UNSUPPORTED_COMPRESSION_TYPE.
    """
    if codec == NO_COMPRESSION:
        return records
    writer = _WRITERS.get(codec)
    if writer is None:
        raise _unsupported(codec)
    return writer(records)


def decompress(codec: int, records: bytes | memoryview, *, max_bytes: int = UNFOLDED_BYTES_MAX) -> bytes:
    """The plain record section, at most `max_bytes` of it.

    Raises:
        ApiError: UNSUPPORTED_COMPRESSION_TYPE, or RECORD_LIST_TOO_LARGE beyond `max_bytes`.
        CorruptionError: not what the codec writes, or not whole.
    """
    if codec == NO_COMPRESSION:
        return bytes(records)
    reader = _READERS.get(codec)
    if reader is None:
        raise _unsupported(codec)
    try:
        return reader(records, max_bytes)
    except UnfoldsTooFarError:
        raise ApiError(
            ErrorCode.RECORD_LIST_TOO_LARGE,
            f"a batch of {len(records)} bytes unfolds to more than {max_bytes} bytes",
        ) from None


def _gzip_compress(plain: Packed) -> bytes:
    press = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return press.compress(plain) + press.flush()


def _gzip_decompress(packed: Packed, max_bytes: int) -> bytes:
    unfold = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = unfold.decompress(packed, max_bytes + 1)
    except zlib.error as error:
        raise CorruptionError(f"gzip: {error}") from error
    if len(plain) > max_bytes:
        raise UnfoldsTooFarError
    if not unfold.eof or unfold.unused_data:
        raise CorruptionError("gzip: the record section is not one whole member")
    return plain


_WRITERS: Final[Mapping[int, Callable[[Packed], bytes]]] = MappingProxyType(
    {GZIP: _gzip_compress, SNAPPY: snappy_compress, LZ4: lz4_compress, ZSTD: zstd_compress}
)
_READERS: Final[Mapping[int, Callable[[Packed, int], bytes]]] = MappingProxyType(
    {GZIP: _gzip_decompress, SNAPPY: snappy_decompress, LZ4: lz4_decompress, ZSTD: zstd_decompress}
)


def _unsupported(codec: int) -> ApiError:
    return ApiError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"no codec has the number {codec}")
