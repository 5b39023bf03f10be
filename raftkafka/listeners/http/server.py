"""The HTTP listener: uvicorn's HTTP/1.1 protocol on the node's own event loop, with as many connections as we say.

Floor 4. No signal handlers, no threads and no access log of uvicorn's: only its protocol class is used, see ADR 23.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable

from starlette.types import Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from raftkafka.listeners.http.app import NodeApp
from raftkafka.listeners.http.connection import HttpConnection, Refusal, error_body, plain_headers
from raftkafka.listeners.http.limits import HttpLimits
from raftkafka.model.errors import StartupError
from raftkafka.model.settings.values import Listener
from raftkafka.ports.access import CONNECTION

_EVENT_STREAM = b"text/event-stream"
_App = Callable[[Scope, Receive, Send], Awaitable[None]]


class HttpServer:
    """Serves `app` at `listener`."""

    def __init__(self, *, listener: Listener, app: NodeApp, limits: HttpLimits | None = None) -> None:
        self._listener = listener
        self._limits = limits or HttpLimits()
        self._state = ServerState()
        self._refusals: set[Refusal] = set()
        self._server: asyncio.Server | None = None
        self._stopping = False
        self._app = app
        self._config = Config(
            self._answer,
            loop="none",
            http=HttpConnection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=5,
            h11_max_incomplete_event_size=self._limits.head_max_bytes,
        )
        self._config.timeout_keep_alive = self._limits.idle_s  # type: ignore[assignment]  # uvicorn's own is in whole seconds
        self._config.load()

    async def start(self) -> None:
        """Listen.

        Raises:
            StartupError: the port is in use or may not be bound.
        """
        self._stopping = False
        loop = asyncio.get_running_loop()
        # No host is every interface, IPv6 and IPv4; with a free port those would be two ports, so IPv4 alone then.
        host = self._listener.host or (None if self._listener.port else "0.0.0.0")
        try:
            self._server = await loop.create_server(self._accept, host, self._listener.port)
        except OSError as error:
            why = "the port is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
            raise StartupError(f"http.listener: cannot listen on {self._listener}: {why}") from error

    async def stop(self) -> None:
        """Stop listening and cut what is still open; without effect when not started."""
        server, self._server = self._server, None
        if server is None:
            return
        self._stopping = True
        server.close()
        for connection in [*self._state.connections, *self._refusals]:
            assert isinstance(connection, HttpConnection | Refusal)
            connection.cut()
        await server.wait_closed()
        # Each is cancelled when its connection is lost, which the loop tells in its next turn.
        await asyncio.gather(*self._state.tasks, return_exceptions=True)
        await self._app.stop()

    @property
    def host(self) -> str:
        """As configured; "" is every interface."""
        return self._listener.host

    @property
    def port(self) -> int:
        """The port in force, also where the listener asked for port 0."""
        assert self._server is not None, "not started"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._state.connections)

    def _accept(self) -> asyncio.Protocol:
        if self._stopping:
            return _Closed()
        if self.connections < self._limits.connections_max:
            return HttpConnection(self._config, self._state, self._limits)
        if len(self._refusals) >= self._limits.refusals_max:
            return _Closed()
        refusal = Refusal(self._limits.refusal_s, self._refusals.discard)
        self._refusals.add(refusal)
        return refusal

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = scope["state"][CONNECTION]
        assert isinstance(connection, HttpConnection)
        task = asyncio.current_task()
        assert task is not None
        connection.begun(task)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and any(
                name == b"content-type" and value.startswith(_EVENT_STREAM) for name, value in message["headers"]
            ):
                connection.endless()
            await send(message)

        try:
            # h11 bounds what it waits for; a head that came in one piece is measured here.
            app: _App = self._app
            if _head_bytes(scope) > self._limits.head_max_bytes:
                app = _too_large
            elif _is_ambiguous(scope):
                app = _ambiguous
            await app(scope, receive, watched)
        except asyncio.CancelledError:
            # The connection is gone, and with it whoever wanted an answer: for uvicorn that is an ordinary end.
            if not connection.transport.is_closing():
                raise
        finally:
            connection.task = None


def _head_bytes(scope: Scope) -> int:
    headers = sum([len(name) + len(value) + 4 for name, value in scope["headers"]])
    return len(scope["raw_path"]) + len(scope["query_string"]) + headers


def _is_ambiguous(scope: Scope) -> bool:
    """Two lengths of one body, or one that its version does not know: where a proxy in front believes the other one, a body can hide a
    request (RFC 9112, section 6.3)."""
    names = [name for name, _ in scope["headers"]]
    return b"transfer-encoding" in names and (b"content-length" in names or scope["http_version"] == "1.0")


async def _ambiguous(scope: Scope, receive: Receive, send: Send) -> None:
    body = error_body("BAD_REQUEST", "Transfer-Encoding goes with no Content-Length, and not with HTTP/1.0")
    await send({"type": "http.response.start", "status": 400, "headers": plain_headers(body)})
    await send({"type": "http.response.body", "body": body})


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    body = error_body("REQUEST_HEADER_FIELDS_TOO_LARGE", "the request's head is too large")
    await send({"type": "http.response.start", "status": 431, "headers": plain_headers(body)})
    await send({"type": "http.response.body", "body": body})


class _Closed(asyncio.Protocol):
    """A connection that nobody has room for, or that was accepted before `stop` and made after it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
