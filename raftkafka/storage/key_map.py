"""Which offset is the last of each key, in bounded memory.

Floor 2, pure. Kafka's `SkimpyOffsetMap` hashes every key; here short keys stand for themselves and longer ones for a
cryptographic digest, which nobody can make collide.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

DIGEST_BYTES: Final = 16
ENTRY_BYTES: Final = 192
"""What an entry takes: a dict's slot at two thirds, a bytes of 16 and an int."""


class KeyMap:
    """`limit_bytes` bounds the entries (`log.cleaner.dedupe.buffer.size`)."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = max(1, limit_bytes // ENTRY_BYTES)
        self._last: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._last)

    @property
    def is_full(self) -> bool:
        return len(self._last) >= self._limit

    def put(self, key: bytes, offset: int) -> None:
        """Offsets come in rising order: the last one counts."""
        self._last[_short(key)] = offset

    def last(self, key: bytes) -> int:
        """The last offset known of `key`; -1 when there is none."""
        return self._last.get(_short(key), -1)


def _short(key: bytes) -> bytes:
    # A digest is as long as no key that stands for itself, so that the two never meet.
    return key if len(key) < DIGEST_BYTES else blake2b(key, digest_size=DIGEST_BYTES).digest()
