"""The bytes of one connection between the socket and the session, without a copy per frame.

Floor 4. An anonymous mapping instead of a bytearray: its pages are lazy, so an idle connection costs next to nothing, and
so does a peer that announces a large frame and never sends it. Invariant: unread bytes lie in one piece.
"""

from __future__ import annotations

import mmap


class ReceiveRing:
    """`unread()` is valid until the next `writable()`, which may move the tail to the front.

    `unread_bytes` is for reading: an attribute, because it is asked for several times for every request.
    """

    __slots__ = ("_end", "_ring", "_start", "_view", "unread_bytes")

    def __init__(self, ring_bytes: int) -> None:
        self._ring = memoryview(mmap.mmap(-1, ring_bytes))
        self._view = self._ring
        self._start = 0
        self._end = 0
        self.unread_bytes = 0

    def unread(self) -> memoryview:
        return self._view[self._start : self._end]

    def writable(self) -> memoryview:
        """Room for what the socket has; empty only when the ring is full of bytes that nobody has consumed."""
        if self._start and len(self._view) - self._end < len(self._view) >> 2:
            self._to_front()
        return self._view[self._end :]

    def written(self, count: int) -> None:
        self._end += count
        self.unread_bytes += count

    def consume(self, count: int) -> None:
        self._start += count
        self.unread_bytes -= count
        if not self.unread_bytes:
            # A small ping-pong stays in the first page; a frame's own buffer is dropped.
            self._start = self._end = 0
            self._view = self._ring

    def reserve(self, frame_bytes: int) -> None:
        """Make room for a frame that begins with the unread bytes; its length has been checked against the limit."""
        if frame_bytes > len(self._view):
            own = memoryview(mmap.mmap(-1, frame_bytes))
            count = self.unread_bytes
            own[:count] = self._view[self._start : self._end]
            self._view, self._start, self._end = own, 0, count
        elif frame_bytes > len(self._view) - self._start:
            self._to_front()

    def _to_front(self) -> None:
        count = self.unread_bytes
        self._view[:count] = self._view[self._start : self._end]
        self._start, self._end = 0, count
