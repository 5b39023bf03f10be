"""Proposals that wait for their fate.

Floor 4. Invariant I18: each is answered once; "not applied" is said only where the library is sure of it, and whatever is cut
short, by time or by the end of this node, is of unknown outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from raftkafka.adapters.raft.core import Outcome, RaftCore
from raftkafka.adapters.raft.library import FAIL_REASON
from raftkafka.ports.consensus import NotLeaderError, OutcomeUnknownError

PROPOSALS_MAX: Final = 10_000

_NOT_APPLIED: Final = frozenset(
    {
        FAIL_REASON.QUEUE_FULL,
        FAIL_REASON.MISSING_LEADER,
        FAIL_REASON.NOT_LEADER,
        FAIL_REASON.REQUEST_DENIED,
        FAIL_REASON.DISCARDED,
    }
)


class Proposals:
    """At most `PROPOSALS_MAX` at a time."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[object]] = set()

    def submit(self, core: RaftCore, payload: bytes, kind: int) -> asyncio.Future[object]:
        """Hand it to the library; the future is to be given to `outcome` at once.

        Raises:
            NotLeaderError: too many are waiting.
        """
        return self.begin(lambda outcome: core.submit(payload, kind, outcome))

    def begin(self, submit: Callable[[Outcome], None]) -> asyncio.Future[object]:
        """The same for what `submit` does with the callback that it is given; what it raises comes through."""
        if len(self._waiting) >= PROPOSALS_MAX:
            raise NotLeaderError(f"{PROPOSALS_MAX} proposals are waiting")
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        submit(lambda result, reason: _resolve(future, result, reason))
        self._waiting.add(future)
        return future

    async def outcome(self, future: asyncio.Future[object], *, timeout_s: float) -> object:
        """What apply gave, or NotLeaderError, or OutcomeUnknownError."""
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError as error:
            raise OutcomeUnknownError(f"not committed within {timeout_s} s") from error
        finally:
            self._waiting.discard(future)

    def skipped(self, core: RaftCore) -> None:
        """Answer those whose entries a snapshot has skipped: the library forgets them."""
        for outcome in core.skipped_outcomes():
            outcome(None, FAIL_REASON.UNKNOWN_OUTCOME)

    def give_up(self, reason: str) -> None:
        """Nobody will hear of their fate here any more."""
        for future in self._waiting:
            if not future.done():
                future.set_exception(OutcomeUnknownError(reason))


def _resolve(future: asyncio.Future[object], result: object, reason: int) -> None:
    """Called by the library while it applies: nothing may be raised here, or it would apply the entry again."""
    if future.done():
        return
    if reason == FAIL_REASON.SUCCESS:
        future.set_result(result)
    elif reason in _NOT_APPLIED:
        future.set_exception(NotLeaderError("another leader took over before this was replicated"))
    else:
        future.set_exception(OutcomeUnknownError("leadership was lost while this was under way"))
