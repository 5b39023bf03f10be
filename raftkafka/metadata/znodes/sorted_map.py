"""A sorted map that shares its structure: a changed one costs about as much as a copy of the root of its size.

Floor 1, pure. Python has no persistent map, and an image of 100,000 nodes cannot copy a dict for every entry. Entries lie in chunks of
at most CHUNK_MAX; a change copies one chunk and the list of chunks. Keys are ordered, so that iteration is the same on every node of
the cluster and neighbours (the children of a node) are a range.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar, overload

CHUNK_MAX: Final = 512

K = TypeVar("K", bound=Any)
V = TypeVar("V")
_T = TypeVar("_T")


class SortedMap(Mapping[K, V]):
    """Never changes: `put` and `without` return another one."""

    __slots__ = ("_firsts", "_keys", "_length", "_values")

    def __init__(self, items: Iterable[tuple[K, V]] = ()) -> None:
        every = dict(items)
        keys = sorted(every)
        step = CHUNK_MAX // 2
        self._keys: tuple[tuple[K, ...], ...] = tuple([tuple(keys[at : at + step]) for at in range(0, len(keys), step)])
        self._values: tuple[tuple[V, ...], ...] = tuple([tuple([every[key] for key in chunk]) for chunk in self._keys])
        self._firsts: tuple[K, ...] = tuple([chunk[0] for chunk in self._keys])
        self._length = len(keys)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        for chunk in self._keys:
            yield from chunk

    def __getitem__(self, key: K) -> V:
        chunk = bisect_right(self._firsts, key) - 1
        if chunk >= 0:
            keys = self._keys[chunk]
            at = bisect_left(keys, key)
            if at < len(keys) and keys[at] == key:
                return self._values[chunk][at]
        raise KeyError(key)

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V | _T, /) -> V | _T: ...
    def get(self, key: K, default: Any = None, /) -> Any:
        chunk = bisect_right(self._firsts, key) - 1
        if chunk >= 0:
            keys = self._keys[chunk]
            at = bisect_left(keys, key)
            if at < len(keys) and keys[at] == key:
                return self._values[chunk][at]
        return default

    def __contains__(self, key: Any) -> bool:
        return self.get(key, _NOWHERE) is not _NOWHERE

    def between(self, low: K, high: K) -> Iterator[tuple[K, V]]:
        """Entries from `low` on, in order, below `high`."""
        for chunk in range(max(0, bisect_right(self._firsts, low) - 1), len(self._keys)):
            keys, values = self._keys[chunk], self._values[chunk]
            if keys[0] >= high:
                return
            begin = bisect_left(keys, low)
            end = bisect_left(keys, high)
            yield from zip(keys[begin:end], values[begin:end], strict=True)

    def count_between(self, low: K, high: K) -> int:
        """How many entries `between` gives, without a look at each."""
        return max(0, self._before(high) - self._before(low))

    def _before(self, key: K) -> int:
        """How many entries come before `key`."""
        chunk = bisect_right(self._firsts, key) - 1
        if chunk < 0:
            return 0
        return sum(map(len, self._keys[:chunk])) + bisect_left(self._keys[chunk], key)

    def put(self, key: K, value: V) -> SortedMap[K, V]:
        """With this entry, whether there was one of that key or not."""
        if not self._keys:
            return self._made(((key,),), ((value,),), 1)
        chunk = max(0, bisect_right(self._firsts, key) - 1)
        keys, values = self._keys[chunk], self._values[chunk]
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            values = (*values[:at], value, *values[at + 1 :])
            every = (*self._values[:chunk], values, *self._values[chunk + 1 :])
            return self._made(self._keys, every, self._length, self._firsts)
        keys, values = (*keys[:at], key, *keys[at:]), (*values[:at], value, *values[at:])
        if len(keys) <= CHUNK_MAX:
            return self._replaced(chunk, 1, ((keys, values),), 1)
        half = len(keys) // 2
        return self._replaced(chunk, 1, ((keys[:half], values[:half]), (keys[half:], values[half:])), 1)

    def without(self, key: K) -> SortedMap[K, V]:
        """Without the entry of that key; the same map where there is none."""
        chunk = bisect_right(self._firsts, key) - 1
        if chunk < 0:
            return self
        keys, values = self._keys[chunk], self._values[chunk]
        at = bisect_left(keys, key)
        if at == len(keys) or keys[at] != key:
            return self
        keys, values = (*keys[:at], *keys[at + 1 :]), (*values[:at], *values[at + 1 :])
        if not keys:
            return self._replaced(chunk, 1, (), -1)
        # Chunks that have emptied are joined, or a map that shrank would stay a long list of small ones.
        if self._joins(chunk + 1, keys):
            merged = ((*keys, *self._keys[chunk + 1]), (*values, *self._values[chunk + 1]))
            return self._replaced(chunk, 2, (merged,), -1)
        if self._joins(chunk - 1, keys):
            merged = ((*self._keys[chunk - 1], *keys), (*self._values[chunk - 1], *values))
            return self._replaced(chunk - 1, 2, (merged,), -1)
        return self._replaced(chunk, 1, ((keys, values),), -1)

    def _joins(self, chunk: int, keys: tuple[K, ...]) -> bool:
        return 0 <= chunk < len(self._keys) and len(keys) + len(self._keys[chunk]) <= CHUNK_MAX // 2

    def _replaced(
        self, chunk: int, count: int, by: tuple[tuple[tuple[K, ...], tuple[V, ...]], ...], grown: int
    ) -> SortedMap[K, V]:
        keys = (*self._keys[:chunk], *[each for each, _ in by], *self._keys[chunk + count :])
        values = (*self._values[:chunk], *[each for _, each in by], *self._values[chunk + count :])
        firsts = (*self._firsts[:chunk], *[each[0] for each, _ in by], *self._firsts[chunk + count :])
        return self._made(keys, values, self._length + grown, firsts)

    @staticmethod
    def _made(
        keys: tuple[tuple[K, ...], ...],
        values: tuple[tuple[V, ...], ...],
        length: int,
        firsts: tuple[K, ...] | None = None,
    ) -> SortedMap[K, V]:
        made: SortedMap[K, V] = SortedMap.__new__(SortedMap)
        made._keys, made._values, made._length = keys, values, length
        made._firsts = tuple([chunk[0] for chunk in keys]) if firsts is None else firsts
        return made

    def __repr__(self) -> str:
        return f"SortedMap({list(self.items())!r})"


_NOWHERE: Final = object()
