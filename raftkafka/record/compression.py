"""Compressed record sections: which codecs are read and written here, and how much they may unfold to.

Floor 1, pure. gzip is in the standard library. The other codecs of the format are carried opaquely by brokers; a client
that meets one says so. Invariant: a few bytes never unfold into more than the caller allows (decompression bombs).
"""

from __future__ import annotations

import zlib
from typing import Final

from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode
from raftkafka.record.header import GZIP, NO_COMPRESSION

UNFOLDED_BYTES_MAX: Final = 64 << 20
"""The default bound of what one batch may unfold to, in bytes."""

_GZIP_WINDOW = zlib.MAX_WBITS | 16  # zlib's way of asking for a gzip header and trailer
_GZIP_LEVEL: Final = 1  # measured: the higher levels cost four times the time for a few per cent
_NAMES = {2: "snappy", 3: "lz4", 4: "zstd"}


def compress(codec: int, records: bytes | bytearray | memoryview) -> bytes | bytearray | memoryview:
    """The record section as `codec` (attribute bits 0 to 2) writes it.

    Raises:
        ApiError: UNSUPPORTED_COMPRESSION_TYPE.
    """
    if codec == NO_COMPRESSION:
        return records
    if codec != GZIP:
        raise _unsupported(codec)
    press = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return press.compress(records) + press.flush()


def decompress(codec: int, records: bytes | memoryview, *, max_bytes: int = UNFOLDED_BYTES_MAX) -> bytes:
    """The plain record section, at most `max_bytes` of it.

    Raises:
        ApiError: UNSUPPORTED_COMPRESSION_TYPE, or RECORD_LIST_TOO_LARGE beyond `max_bytes`.
        CorruptionError: not what the codec writes, or not whole.
    """
    if codec == NO_COMPRESSION:
        return bytes(records)
    if codec != GZIP:
        raise _unsupported(codec)
    unfold = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = unfold.decompress(records, max_bytes + 1)
    except zlib.error as error:
        raise CorruptionError(f"gzip: {error}") from error
    if len(plain) > max_bytes:
        raise ApiError(ErrorCode.RECORD_LIST_TOO_LARGE, f"a batch unfolds to more than {max_bytes} bytes")
    if not unfold.eof or unfold.unused_data:
        raise CorruptionError("gzip: the record section is not one whole member")
    return plain


def _unsupported(codec: int) -> ApiError:
    name = _NAMES.get(codec, f"codec {codec}")
    return ApiError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"{name} is neither read nor written by this client")
