"""Snapshots on their way between nodes: cut into chunks by the leader, put together by the follower.

Floor 4, no I/O. The library sends a snapshot as one message; here it becomes chunks, a window of which is under way at
any time, so that neither side holds more than the snapshot and heartbeats are not delayed behind it. Invariant: a
transfer belongs to one term and one link, and whatever breaks its order ends it; the leader then starts again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from raftkafka.adapters.raft.messages import SnapshotChunk
from raftkafka.adapters.raft.snapshot import SNAPSHOT_MAX_BYTES

CHUNK_BYTES: Final = 256 << 10
WINDOW_CHUNKS: Final = 4


@dataclass(slots=True, kw_only=True)
class OutgoingTransfer:
    """The leader's side, for one follower."""

    term: int
    content: bytes
    chunk_bytes: int = CHUNK_BYTES
    position: int = 0
    under_way: deque[int] = field(default_factory=deque)

    def chunks(self, *, commit_index: int, number: int) -> Iterator[SnapshotChunk]:
        """The chunks that may leave now, numbered from `number` on."""
        while len(self.under_way) < WINDOW_CHUNKS and self.position < len(self.content):
            chunk = SnapshotChunk(
                term=self.term,
                commit_index=commit_index,
                number=number,
                position=self.position,
                total=len(self.content),
                chunk=self.content[self.position : self.position + self.chunk_bytes],
            )
            self.under_way.append(number)
            self.position += len(chunk.chunk)
            number += 1
            yield chunk

    def answered(self, number: int) -> None:
        """Answers keep the order of the chunks, so an answer speaks for all before it."""
        while self.under_way and self.under_way[0] <= number:
            self.under_way.popleft()

    @property
    def is_done(self) -> bool:
        return self.position == len(self.content) and not self.under_way


class IncomingTransfer:
    """The follower's side: at most one snapshot at a time."""

    def __init__(self) -> None:
        self._term = -1
        self._total = 0
        self._parts: list[bytes] = []
        self._received = 0

    def add(self, chunk: SnapshotChunk) -> bytes | None:
        """The whole snapshot when `chunk` completes it; a chunk that does not fit is passed over."""
        if chunk.position == 0:
            self._term, self._total, self._parts, self._received = chunk.term, chunk.total, [], 0
        fits = chunk.term == self._term and chunk.total == self._total and chunk.position == self._received
        if not fits or chunk.total > SNAPSHOT_MAX_BYTES:
            self.drop()
            return None
        self._parts.append(chunk.chunk)
        self._received += len(chunk.chunk)
        if not chunk.is_last:
            return None
        content = b"".join(self._parts)
        self.drop()
        return content

    def drop(self) -> None:
        self._term, self._parts, self._received = -1, [], 0
