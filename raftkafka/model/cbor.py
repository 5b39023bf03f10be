"""CBOR with limits: the one way in which foreign bytes become values.

Floor 0. cbor2 builds dates, big integers, regular expressions and shared references out of tags; a broker wants none of
them. Here: size first, no tags, no indefinite lengths, bounded depth, plain types only. RFC 8949.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import cbor2

from raftkafka.model.errors import ProtocolError

DEPTH_MAX: Final = 12


def _refuse(*_: object) -> NoReturn:
    raise ProtocolError("CBOR tags are not part of this protocol")


_NO_TAGS: Final[Mapping[int, Any]] = dict.fromkeys(
    (*range(6), 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse
)


def encode(value: object) -> bytes:
    """Bytes of a value built of None, bool, int, str, bytes, list, tuple and dict."""
    return cbor2.dumps(value)


def decode(data: bytes | memoryview, *, size_max: int) -> Any:
    """The first item in `data`; `size_max` in bytes is checked before anything is decoded.

    Raises:
        ProtocolError: too large, malformed, tagged, too deep, or of indefinite length.
    """
    if len(data) > size_max:
        raise ProtocolError(f"a CBOR item of {len(data)} bytes exceeds the limit of {size_max}")
    try:
        return cbor2.loads(
            data,
            semantic_decoders=_NO_TAGS,
            tag_hook=_refuse,
            max_depth=DEPTH_MAX,
            allow_indefinite=False,
        )
    except ProtocolError:
        raise
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"malformed CBOR: {error}") from error
