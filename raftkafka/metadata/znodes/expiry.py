"""Which sessions have run out: the controller's soft state about ZooKeeper's clients.

Floor 1, pure; `now` is the controller's loop clock in seconds. Brokers say in batches how long ago they have heard each of their
sessions: an age, because their clocks are not the controller's. A broker that cannot reach the controller makes its sessions run out,
though their clients are well: they have to look for another broker within their time-out, as in ZooKeeper. Nobody else decides: what
`expired` names has to be committed as an EndZkSession before it is true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isnan
from typing import Final

from raftkafka.metadata.znodes.commands import EndZkSession
from raftkafka.metadata.znodes.tree import Session, Znodes

EXPIRED_MAX: Final = 500
"""Sessions that are ended at once: each may own many nodes."""


def negotiated(requested_ms: int, *, least_ms: int, most_ms: int) -> int:
    """The time-out of a session: what its client wants, between `minSessionTimeout` and `maxSessionTimeout`."""
    return max(least_ms, min(most_ms, requested_ms))


class SessionClocks:
    """Empty on every node but the controller."""

    def __init__(self) -> None:
        self._deadlines: dict[int, float] = {}

    def begin(self, sessions: Iterable[Session], now: float) -> None:
        """A new controller knows nothing (nor does one that has slept): every session gets its full time-out from now on."""
        self._deadlines = {each.session_id: now + each.timeout_ms / 1000 for each in sessions}

    def follow(self, znodes: Znodes, changed: Iterable[int], now: float) -> None:
        """These sessions have come, moved or gone, by `Changes.zk_sessions`."""
        for session_id in changed:
            session = znodes.sessions.get(session_id)
            if session is None:
                self._deadlines.pop(session_id, None)
            else:
                self._extend(session_id, now + session.timeout_ms / 1000)

    def heard(self, znodes: Znodes, ages_s: Mapping[int, float], now: float) -> None:
        """A broker has heard from the clients of these sessions so many seconds ago; unknown sessions are passed over."""
        for session_id, age_s in ages_s.items():
            session = znodes.sessions.get(session_id)
            # Not more than "just now", whatever a broker says; an age that is no number counts for nothing.
            if session is not None and not isnan(age_s):
                self._extend(session_id, now - max(0.0, age_s) + session.timeout_ms / 1000)

    def _extend(self, session_id: int, deadline: float) -> None:
        """What is heard late takes nothing away."""
        self._deadlines[session_id] = max(deadline, self._deadlines.get(session_id, deadline))

    def expired(self, now: float) -> list[int]:
        """Sessions whose time has run out, the one that waits longest first, at most EXPIRED_MAX; named until they are gone."""
        out = sorted((deadline, session_id) for session_id, deadline in self._deadlines.items() if deadline < now)
        return [session_id for _, session_id in out[:EXPIRED_MAX]]


def endings(znodes: Znodes, session_ids: Iterable[int]) -> list[EndZkSession]:
    """The commands that end these sessions, of those that there are, unless their clients come back first."""
    every = [znodes.sessions.get(session_id) for session_id in session_ids]
    return [EndZkSession(session_id=each.session_id, attached=each.attached) for each in every if each is not None]
