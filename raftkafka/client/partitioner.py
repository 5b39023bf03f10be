"""Which partition a record goes to, as the Java client decides. Floor 3, pure: chance is an argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from struct import iter_unpack
from typing import Final

from raftkafka.client.compiled import Sticky

Partitioner = Callable[[bytes, int], int]
"""`(key, partition count) -> partition`, for records that have a key."""

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """MurmurHash2, 32 bits, seed 0x9747b28c, as a signed integer: `org.apache.kafka.common.utils.Utils.murmur2`."""
    length = len(key)
    whole = length & ~3
    hashed = _SEED ^ length
    for (word,) in iter_unpack("<I", key[:whole]):
        word = word * _M & _MASK  # noqa: PLW2901 - the mixed word, as the reference calls it
        hashed = (hashed * _M & _MASK) ^ ((word ^ word >> 24) * _M & _MASK)
    if length != whole:
        hashed = (hashed ^ int.from_bytes(key[whole:], "little")) * _M & _MASK
    hashed = (hashed ^ hashed >> 13) * _M & _MASK
    hashed ^= hashed >> 15
    return hashed - (1 << 32) if hashed & 0x80000000 else hashed


def partition_by_key(key: bytes, partitions: int) -> int:
    """The partition that the Java client would choose, so that producers of both kinds agree."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


class StickyChoice(Sticky):
    """For records without a key: stay with one partition until `switch_bytes` went there, then take another (KIP-794).

    Few full batches are cheaper for everybody than many small ones. Partitions that have a leader are preferred.
    """

    __slots__ = ("_random",)

    def __init__(self, *, switch_bytes: int, random: Random) -> None:
        self.switch_bytes = switch_bytes
        self._random = random
        self.current = -1
        self.given_bytes = 0

    def choose(self, size_bytes: int, partitions: int, available: Callable[[], Sequence[int]]) -> int:
        """The partition for `size_bytes` more; `available` lists those that have a leader and is asked at a switch only."""
        if self.given_bytes >= self.switch_bytes or not 0 <= self.current < partitions:
            candidates = available() or range(partitions)
            others = [partition for partition in candidates if partition != self.current]
            self.current = self._random.choice(others or candidates)
            self.given_bytes = 0
        self.given_bytes += size_bytes
        return self.current
