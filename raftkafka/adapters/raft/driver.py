"""When the library ticks: once per burst of events, and when a heartbeat or an election is due.

Floor 4. The library was made to be polled; here a message, a proposal, a finished sync or a closed link ask for a turn of
the loop, and a turn that moved the log or the commit index is followed by its messages at once. So an idle node wakes up as
often as it has something to say. Invariants: what one turn changed in the journal is on its way to the disk before the
turn ends; a timer is set whenever no turn runs, no later than the next heartbeat or election.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from raftkafka.adapters.raft.core import RaftCore
from raftkafka.adapters.raft.journal import Journal
from raftkafka.adapters.raft.prevote import PreVote
from raftkafka.adapters.raft.transport import RaftTransport
from raftkafka.model.errors import InvariantViolationError, RaftKafkaError

TIMER_MAX_S: Final = 0.1
"""At the latest, for what the library does now and then: it hears of no snapshot and no silent follower otherwise."""
TIMER_MIN_S: Final = 0.001
"""A timer that came a little early is set anew, not spun on."""
OVERDUE_S: Final = 0.01
"""Between two looks at what is due and cannot be done yet, as an election without a connection."""
AIM_S: Final = 0.0001
"""Behind what is due, so that rounding does not bring the timer before it."""
JOURNAL_MAX_BYTES: Final = 64 << 20
"""A journal of few but large entries is cut by a snapshot as well."""


class Driver:
    """`after_turn` is called when the library is at rest; `on_failure` with whatever a turn raised."""

    def __init__(
        self,
        *,
        core: RaftCore,
        transport: RaftTransport,
        journal: Journal,
        pre_vote: PreVote | None,
        after_turn: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._core = core
        self._transport = transport
        self._journal = journal
        self._pre_vote = pre_vote
        self._after_turn = after_turn
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # kept here: what uvloop returns for a moment that is almost now cannot tell
        self._turn_asked = False
        self._running = False
        self._sent = (0, 0)

    def start(self) -> None:
        self._running = True
        self._on_timer()

    def stop(self) -> None:
        self._running = False
        if self._timer is not None:
            self._timer.cancel()

    def kick(self) -> None:
        """Something happened: take a turn soon."""
        if not self._turn_asked and self._running:
            self._turn_asked = True
            self._loop.call_soon(self._on_kick)

    def _on_kick(self) -> None:
        self._turn_asked = False
        self._turn()

    def _on_timer(self) -> None:
        self._timer = None
        self._turn()

    def _aim_timer(self) -> None:
        """What is due later than the timer finds it set anew; candidates that were spread over milliseconds stay apart."""
        now, due = self._loop.time(), self._core.next_due()
        wanted = now + OVERDUE_S if due < now else max(due + AIM_S, now + TIMER_MIN_S)
        at = min(wanted, now + TIMER_MAX_S)
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._on_timer)

    def _turn(self) -> None:
        if not self._running:
            return
        try:
            self._tick()
            self._after_turn()
            self._aim_timer()
        except BaseException as error:
            self._on_failure(error)
            # What an operator can mend (a newer cluster, a damaged file) is told in one line; our own faults show where they are.
            if not isinstance(error, RaftKafkaError) or isinstance(error, InvariantViolationError):
                raise
        finally:
            self._journal.kick()

    def _tick(self) -> None:
        core = self._core
        if self._pre_vote is not None:
            self._pre_vote.hold_back(self._loop.time())
        if self._journal.bytes_in_segment > JOURNAL_MAX_BYTES:
            core.request_snapshot()
        core.doTick(0.0)
        if core.is_leader:
            state = core.last_entry()[1], core.commit_index
            if state != self._sent or self._transport.must_send:
                self._sent = state
                core.send_append_entries()
        self._transport.must_send = False
