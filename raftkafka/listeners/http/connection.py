"""One connection to the HTTP listener: uvicorn's protocol within our bounds.

Floor 4. Whoever is slow, at sending or at reading, is cut at a deadline. A connection that is closed takes its request with it: the
task is cancelled, so nobody goes on working for nobody.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from raftkafka.listeners.http.headers import SECURITY_HEADERS
from raftkafka.listeners.http.limits import HttpLimits
from raftkafka.ports.access import CONNECTION

if TYPE_CHECKING:
    from uvicorn.config import Config

_quiet = logging.getLogger("raftkafka.http")
"""uvicorn warns of each malformed request by itself; strangers must not fill the log."""
_quiet.setLevel(logging.ERROR)


class HttpConnection(H11Protocol):
    """`app` of `config` finds it in the scope, as `CONNECTION` of the state."""

    def __init__(self, config: Config, state: ServerState, limits: HttpLimits) -> None:
        super().__init__(config, state, {CONNECTION: self}, asyncio.get_running_loop())
        self.logger = _quiet
        self.access_log = False
        self.task: asyncio.Task[None] | None = None
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None
        self._discarded = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, no check: uvloop's transports are not subclasses of asyncio's.
        super().connection_made(cast(asyncio.Transport, transport))
        self._cut_after(self._limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        if self.cycle is not None and self.cycle.response_complete and self.conn.their_state is h11.SEND_BODY:
            self._discarded += len(data)
            if self._discarded > self._limits.discard_max_bytes:
                self.cut()
                return
        super().data_received(data)

    def begun(self, task: asyncio.Task[None]) -> None:
        """The head of a request has arrived, and `task` answers it."""
        self.task = task
        self._discarded = 0
        self._cut_after(self._limits.exchange_s)

    def endless(self) -> None:
        """The answer is a stream: it ends when one of both sides has enough."""
        self._disarm()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._cut_after(self._limits.head_s)

    def send_400_response(self, msg: str) -> None:
        """Called while h11's error is being handled, which knows better what is wrong than `msg`."""
        error = sys.exc_info()[1]
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE} or (
            self.cycle is not None and (not self.cycle.response_complete)
        ):
            # Something is being answered already: nothing can be said any more.
            self.cut()
            return
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else HTTPStatus.BAD_REQUEST
        status = HTTPStatus(hint)
        body = error_body(status.name, str(error) or msg)
        response = h11.Response(status_code=status, headers=plain_headers(body), reason=STATUS_PHRASES[status.value])
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def cut(self) -> None:
        self._disarm()
        self.transport.abort()

    def _cut_after(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self.cut)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Refusal(asyncio.Protocol):
    """A connection too many: it is told so at once, whatever it wants. `ended` is called when it is gone."""

    def __init__(self, after_s: float, ended: Callable[[Refusal], None]) -> None:
        self._after_s = after_s
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream = cast(asyncio.Transport, transport)
        body = error_body("TOO_MANY_CONNECTIONS", "this listener has as many connections as it takes")
        head = b"".join(b"%s: %s\r\n" % each for each in plain_headers(body))
        stream.write(b"HTTP/1.1 503 Service Unavailable\r\n" + head + b"\r\n" + body)
        if stream.can_write_eof():
            stream.write_eof()
        # What it sends is read and dropped for a moment: a reset would eat the answer.
        self._deadline = asyncio.get_running_loop().call_later(self._after_s, stream.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._ended(self)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def error_body(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False).encode()


def plain_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Of an answer that is made without a request that was understood."""
    return [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *SECURITY_HEADERS,
    ]
