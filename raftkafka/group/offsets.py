"""The offsets that one group has committed.

Floor 1, pure. State changes by `apply` alone, in the order of the log. Invariant (I11): a commit is seen by readers once it is
committed in the log, and then by all of them; what is on its way there is neither shown nor forgotten by a deletion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from raftkafka.group.records import CommittedOffset, OffsetRecord
from raftkafka.model.ids import NO_TIMESTAMP, PartitionIndex

Place = tuple[str, PartitionIndex]
"""A topic's name and one of its partitions."""

NO_TOPICS: Final[frozenset[str]] = frozenset()


class CommittedOffsets:
    def __init__(self) -> None:
        self._offsets: dict[Place, CommittedOffset] = {}
        self._on_their_way: dict[Place, int] = {}

    def __len__(self) -> int:
        return len(self._offsets)

    def __bool__(self) -> bool:
        return bool(self._offsets or self._on_their_way)

    def __iter__(self) -> Iterator[tuple[Place, CommittedOffset]]:
        return iter(sorted(self._offsets.items()))

    def get(self, topic: str, partition: PartitionIndex) -> CommittedOffset | None:
        return self._offsets.get((topic, partition))

    @property
    def places(self) -> tuple[Place, ...]:
        """Of every offset that is or is about to be."""
        return tuple(sorted(self._offsets.keys() | self._on_their_way.keys()))

    def apply(self, record: OffsetRecord) -> None:
        """The log has it, committed."""
        place = (record.topic, record.partition)
        if record.value is None:
            self._offsets.pop(place, None)
        else:
            self._offsets[place] = record.value

    def appended(self, records: Iterable[OffsetRecord]) -> None:
        """In the log, not yet committed."""
        for record in records:
            place = (record.topic, record.partition)
            self._on_their_way[place] = self._on_their_way.get(place, 0) + 1

    def settled(self, records: Iterable[OffsetRecord]) -> None:
        """What was appended is committed or given up."""
        for record in records:
            place = (record.topic, record.partition)
            left = self._on_their_way.get(place, 0) - 1
            if left > 0:
                self._on_their_way[place] = left
            else:
                self._on_their_way.pop(place, None)

    def expired(
        self, *, now_ms: int, retention_ms: int, since_ms: int = NO_TIMESTAMP, spared: frozenset[str] = NO_TOPICS
    ) -> list[Place]:
        """Those whose retention is over, counted from the commit, or from `since_ms` (when the group became empty).

        `spared` topics are subscribed to: their offsets stay (KIP-211). So do those with a commit on its way.
        """
        over: list[Place] = []
        for place, value in sorted(self._offsets.items()):
            if place[0] in spared or place in self._on_their_way:
                continue
            if value.expire_timestamp_ms != NO_TIMESTAMP:
                if now_ms >= value.expire_timestamp_ms:
                    over.append(place)
                continue
            begins_ms = value.commit_timestamp_ms if since_ms == NO_TIMESTAMP else since_ms
            if now_ms - begins_ms >= retention_ms:
                over.append(place)
        return over
