"""Who asks over HTTP, as the console sees it; the listener knows how that is found out. Floor 1, pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final, Protocol

CALLER: Final = "raftkafka.caller"
"""Where the state of a request's ASGI scope holds its `Caller`."""
CONNECTION: Final = "raftkafka.connection"
"""And the connection that it came by, a `Connection`."""


class Connection(Protocol):
    def cut(self) -> None:
        """At once, with what is unsent; whatever answers the request is cancelled."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """`session_id` None: no cookie that we gave; `user` None: nobody in particular. `by_token`: a program, which shows the token each
    time. `address` is where it connected from."""

    address: str = ""
    session_id: str | None = None
    user: str | None = None
    by_token: bool = False


class TooManyFailuresError(Exception):
    """This address has shown too many wrong tokens; `wait_s` until the next one is looked at."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many wrong tokens, wait {wait_s:.0f} s")
        self.wait_s = wait_s

    @property
    def retry_after(self) -> str:
        """The value of that header: whole seconds."""
        return str(ceil(self.wait_s))


class Sessions(Protocol):
    """Sessions of browsers."""

    @property
    def login_required(self) -> bool: ...

    @property
    def cookie_name(self) -> str:
        """Browsers send cookies to every port of a host, so each listener has a name of its own."""
        ...

    def is_token(self, text: str, address: str) -> bool:
        """Raises TooManyFailuresError: the tokens of this address are not looked at for now."""
        ...

    def new_session(self, *, logged_in: bool) -> str:
        """What its cookie holds."""
        ...

    def log_out(self, session_id: str) -> None: ...

    def csrf_token(self, session_id: str) -> str:
        """What changing requests of this session have to show."""
        ...
