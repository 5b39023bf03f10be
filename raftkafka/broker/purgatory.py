"""Answers that wait: a produce for its followers, a fetch for data.

Floor 3. Every wait has a deadline and an owner; a partition that loses its leadership or goes offline answers all that
wait on it (I18: the outcome of a produce that was appended is then unknown to us, and the code says so).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import Offset

WAIT_MAX_S: Final = 60.0
"""No request waits longer, whatever it asks for: a client that goes away leaves its waits behind until they end."""

PARTITIONS_PER_TURN: Final = 256
"""What waiting fetches may read again in one turn of the loop, a few milliseconds' work, before others get theirs."""


class CommitWait:
    """One appended batch that waits until the high watermark has passed it."""

    __slots__ = ("last_offset", "on_done")

    def __init__(self, last_offset: Offset, on_done: Callable[[ErrorCode], None]) -> None:
        self.last_offset = last_offset
        self.on_done = on_done


class CommitQueue:
    """The batches of one partition that wait, in offset order: appends come in that order, so completion is a pop."""

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: deque[CommitWait] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, wait: CommitWait) -> None:
        self._queue.append(wait)

    def complete(self, high_watermark: Offset) -> None:
        """Answer every batch that lies wholly below the high watermark."""
        queue = self._queue
        while queue and queue[0].last_offset < high_watermark:
            queue.popleft().on_done(ErrorCode.NONE)

    def fail(self, code: ErrorCode) -> None:
        """Answer every batch with `code`."""
        queue, self._queue = self._queue, deque()
        for wait in queue:
            wait.on_done(code)

    def discard(self, wait: CommitWait) -> None:
        """The wait has been answered otherwise (its time is up)."""
        try:
            self._queue.remove(wait)
        except ValueError:
            return


class Turns:
    """Tries what was woken, in order, PARTITIONS_PER_TURN of it in a turn of the loop: thousands of waiting
    fetches, or a few of thousands of partitions each, must not keep Raft waiting until the last of them has been read.
    """

    __slots__ = ("_loop", "_queue", "_scheduled")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[Callable[[], None], int]] = deque()
        self._scheduled = False

    def add(self, work: Callable[[], None], partitions: int) -> None:
        """Call `work`, which reads so many partitions, in one of the next turns."""
        self._queue.append((work, partitions))
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        queue, left = self._queue, PARTITIONS_PER_TURN
        try:
            while queue and left > 0:
                work, partitions = queue.popleft()
                left -= partitions
                work()
        finally:
            if queue:
                self._schedule()


class DelayedFetch:
    """A fetch that found too little; `attempt(final)` reads again and returns True once it has answered.

    Wake-ups until its turn comes are one attempt, so that a burst of appends costs one read. `size` tells how many
    partitions that attempt will look at.
    """

    __slots__ = ("_attempt", "_done", "_leave", "_scheduled", "_size", "_timer", "_turns")

    def __init__(
        self,
        *,
        attempt: Callable[[bool], bool],
        leave: Callable[[DelayedFetch], None],
        max_wait_s: float,
        turns: Turns,
        size: Callable[[], int],
    ) -> None:
        self._turns = turns
        self._size = size
        self._attempt = attempt
        self._leave = leave
        self._done = False
        self._scheduled = False
        self._timer = asyncio.get_running_loop().call_later(max_wait_s, self._time_is_up)

    def wake(self) -> None:
        """Something changed on a partition that this fetch waits for."""
        if not self._scheduled and not self._done:
            self._scheduled = True
            self._turns.add(self._try, self._size())

    def cancel(self) -> None:
        """Nobody wants the answer any more."""
        if not self._done:
            self._finish()

    def answer_now(self) -> None:
        """Make the last attempt at once."""
        if not self._done:
            # Whatever becomes of it, the wait is over.
            try:
                self._attempt(True)
            finally:
                self._finish()

    def _time_is_up(self) -> None:
        self._turns.add(self.answer_now, self._size())

    def _try(self) -> None:
        self._scheduled = False
        if not self._done and self._attempt(False):
            self._finish()

    def _finish(self) -> None:
        self._done = True
        self._timer.cancel()
        self._leave(self)


class Watcher(Protocol):
    """Who wants to hear of one partition."""

    def news(self, *, urgent: bool) -> None:
        """Something that the next answer has to tell; `urgent`: one that waits may have to leave for it."""


class FetchWaiters:
    """Who wants to hear of one partition: followers of its log end (its watermark can wait for the next answer), consumers
    of its watermark only.

    Urgent news are told once: who has heard them has something to look at, and joins again when it has looked. So those that
    went away without a word cost one call, not one for every append from then on.
    """

    __slots__ = ("_consumers", "_followers")

    def __init__(self) -> None:
        self._followers: dict[Watcher, None] = {}  # in order: one seed is one history
        self._consumers: dict[Watcher, None] = {}  # in order: one seed is one history

    def __len__(self) -> int:
        return len(self._followers) + len(self._consumers)

    def join(self, watcher: Watcher, *, follower: bool) -> None:
        (self._followers if follower else self._consumers)[watcher] = None

    def leave(self, watcher: Watcher) -> None:
        self._followers.pop(watcher, None)
        self._consumers.pop(watcher, None)

    def log_end_moved(self) -> None:
        if self._followers:
            watchers, self._followers = self._followers, {}
            for watcher in watchers:
                watcher.news(urgent=True)

    def watermark_moved(self) -> None:
        if self._consumers:
            watchers, self._consumers = self._consumers, {}
            for watcher in watchers:
                watcher.news(urgent=True)
        for watcher in self._followers:
            watcher.news(urgent=False)

    def role_changed(self) -> None:
        self.log_end_moved()
        watchers, self._consumers = self._consumers, {}
        for watcher in watchers:
            watcher.news(urgent=True)
