"""Who somebody is who asks over HTTP: sessions of browsers, the token of programs.

Floor 4. There is one token, the operator's; users with passwords do not exist in raftkafka yet. Invariants: what a browser sends by itself
(the cookie) changes nothing without the session's CSRF token, which only our own pages can read; a wrong token costs its sender time; the
tables are bounded.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from raftkafka.ports.access import Caller, TooManyFailuresError

SESSION_S: Final = 12 * 3_600.0
SESSIONS_MAX: Final = 1_000
FAILURES_MAX: Final = 10
"""Wrong tokens of one address in a row; then one more for each FAILURE_S seconds."""
FAILURE_S: Final = 10.0
ADDRESSES_MAX: Final = 1_000
USER: Final = "admin"
"""Who has shown the token."""


class Access:
    """Implements `ports.access.Sessions`. `token` None: nobody has to show one. `now` is the loop's clock."""

    def __init__(self, *, token: bytes | None, cookie_name: str, now: Callable[[], float]) -> None:
        self._token = None if token is None else hashlib.sha256(token).digest()
        self._cookie_name = cookie_name
        self._now = now
        self._key = secrets.token_bytes(32)
        self._logins: OrderedDict[str, float] = OrderedDict()
        """Sessions with a login, oldest first, and when they end."""
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By address: how many are left, and when that was so."""

    @property
    def login_required(self) -> bool:
        return self._token is not None

    @property
    def cookie_name(self) -> str:
        return self._cookie_name

    def caller(self, *, cookie: str | None, bearer: str | None, address: str) -> Caller:
        """Who asks.

        Raises:
            TooManyFailuresError: its tokens are not looked at for now.
        """
        if bearer is not None:
            is_right = self.is_token(bearer, address)
            return Caller(address=address, user=USER, by_token=True) if is_right else Caller(address=address)
        if cookie is None or not self._is_ours(cookie):
            return Caller(address=address)
        ends = self._logins.get(cookie)
        if ends is not None and ends <= self._now():
            self.log_out(cookie)
            ends = None
        return Caller(address=address, session_id=cookie, user=None if ends is None else USER)

    def may_ask(self, caller: Caller) -> bool:
        return not self.login_required or caller.user is not None

    def is_token(self, text: str, address: str) -> bool:
        """In constant time. False also where there is no token.

        Raises:
            TooManyFailuresError: so it is for this address.
        """
        if self._token is None:
            return False
        left = self._left(address)
        if left < 1:
            raise TooManyFailuresError((1 - left) * FAILURE_S)
        if hmac.compare_digest(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest(), self._token):
            self._failures.pop(address, None)
            return True
        self._failures[address] = (left - 1, self._now())
        self._failures.move_to_end(address)
        if len(self._failures) > ADDRESSES_MAX:
            self._failures.popitem(last=False)
        return False

    def new_session(self, *, logged_in: bool) -> str:
        """What its cookie holds. A login begins a new one: an id that somebody may have planted before is worth nothing."""
        nonce = secrets.token_urlsafe(24)
        session_id = f"{nonce}.{self._signed(b'session', nonce)}"
        if logged_in:
            self._logins[session_id] = self._now() + SESSION_S
            if len(self._logins) > SESSIONS_MAX:
                self._logins.popitem(last=False)
        return session_id

    def log_out(self, session_id: str) -> None:
        self._logins.pop(session_id, None)

    def csrf_token(self, session_id: str) -> str:
        return self._signed(b"csrf", session_id)

    def is_csrf_token(self, session_id: str, text: str) -> bool:
        return hmac.compare_digest(self.csrf_token(session_id).encode(), text.encode("utf-8", "surrogateescape"))

    def _is_ours(self, session_id: str) -> bool:
        nonce, _, signature = session_id.partition(".")
        return hmac.compare_digest(
            self._signed(b"session", nonce).encode(), signature.encode("utf-8", "surrogateescape")
        )

    def _signed(self, purpose: bytes, text: str) -> str:
        message = purpose + b"\0" + text.encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, message, "sha256").hex()

    def _left(self, address: str) -> float:
        left, at = self._failures.get(address, (float(FAILURES_MAX), self._now()))
        return min(float(FAILURES_MAX), left + (self._now() - at) / FAILURE_S)
