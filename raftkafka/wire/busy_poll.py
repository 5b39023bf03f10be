"""Look again for a moment before going to sleep: what either end of a connection does between two frames. Floor 2.

A process that sleeps has to be woken: who sends to it pays 20 to 30 µs for the interrupt of the other core, on a virtual machine more,
and the one that wakes goes on with cold caches. That is more than a small request costs altogether. So a loop that has
learned that the next frame comes at once asks its sockets again and again instead of sleeping, for at most `max_s`. What
Seastar does (`--idle-poll-time-us`), and Linux for idle virtual cores (`guest_halt_poll_ns`), both with 200 µs.

Invariants: nothing is held up, since each look is a turn of the loop like any other; a loop without traffic never looks; a frame that
does not come costs at most `max_s` of processor time, and looking goes on only where three of four did come, but for rarer and rarer tries; who else is ready to run
on this core runs first; where there is somebody this loop sleeps, and it counts as a frame that did not come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MISSED: Final = 3
"""A frame that took longer outweighs so many that did not."""

SCORE_MAX: Final = 8
SCORE_MIN: Final = -8

WAKING_S: Final = 150e-6
"""What comes so much later where both sides sleep would have come in time to who was awake; polling then shows whether it does."""

LATE_NEEDED_MAX: Final = 64
"""Where it did not, the next try is this far away at last."""

SHARED_S: Final = 100e-6
"""Giving way takes a microsecond where nobody else wants the core, some ten where the kernel does: a disk's interrupt, a journal's commit."""


class BusyPoll:
    """One for an event loop, or for a part of it. Times are in seconds of `now`, which is finer than the loop's own clock.

    `rest` says that everything that has come is done; `woke`, that something came. In between, and not for longer than `max_s`, a turn
    of the loop is asked for again and again with `call_soon`; `give_way` lets other processes run (sched_yield).
    """

    __slots__ = (
        "_call_soon",
        "_give_way",
        "_late",
        "_late_needed",
        "_max_s",
        "_now",
        "_polling",
        "_rested_at",
        "_resting",
        "_score",
        "_until",
    )

    def __init__(
        self,
        *,
        max_s: float,
        call_soon: Callable[[Callable[[], None]], object],
        now: Callable[[], float],
        give_way: Callable[[], object],
    ) -> None:
        self._max_s = max_s
        self._call_soon = call_soon
        self._now = now
        self._give_way = give_way
        self._polling = False
        """A look is in the loop's queue."""
        self._resting = False
        self._rested_at = 0.0
        self._until = 0.0
        """0 while nothing is waited for, or asleep."""
        self._score = 0
        """Above 0 while the next frame is likely to come in time."""
        self._late = 0
        self._late_needed = 1
        """So many frames that came late to a sleeper count as one in time: more, each time that one was late to who was awake."""

    def rest(self) -> None:
        self._resting = True
        self._rested_at = now = self._now()
        if self._score > 0:
            self._until = now + self._max_s
            if not self._polling:
                self._call_soon(self._look)
                self._polling = True

    def woke(self) -> None:
        if not self._resting:
            return  # another piece of what came before
        gap_s = self._now() - self._rested_at
        awake = self._until > 0
        self._resting = False
        self._until = 0.0
        if gap_s < self._max_s:
            self._hit()
            if awake:
                self._late_needed = 1
        elif awake or gap_s >= self._max_s + WAKING_S:
            self._miss()
            if awake:
                self._late_needed = min(LATE_NEEDED_MAX, 2 * self._late_needed)
        else:
            self._late += 1
            if self._late >= self._late_needed:
                self._late = 0
                self._hit()

    def _hit(self) -> None:
        if self._score < SCORE_MAX:
            self._score += 1

    def _miss(self) -> None:
        self._score = max(SCORE_MIN, self._score - MISSED)

    def _look(self) -> None:
        self._polling = False
        now = self._now()
        if now < self._until:
            self._give_way()
            if self._now() - now >= SHARED_S:
                self._miss()
                return
            self._call_soon(self._look)
            self._polling = True
