"""`/metrics` and `/health/*` over HTTP/1.1: as little of it as a scraper and a load balancer need.

Floor 4. Every connection is bounded: one request of at most 8 KiB, one answer, closed, and all of that within a deadline.
Read-only by construction. On loopback only local names are accepted in `Host`, so that a web page cannot read a node
through a name that it points at 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple, cast

from raftkafka.model.errors import StartupError
from raftkafka.model.settings.validate import is_loopback
from raftkafka.model.settings.values import Listener

REQUEST_MAX_BYTES: Final = 8 << 10
CONNECTIONS_MAX: Final = 100
_TEXT: Final = "text/plain; charset=utf-8"
_METRICS_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_LINGERING_DISCARD_MAX: Final = 1 << 20


class Answer(NamedTuple):
    status: HTTPStatus
    body: bytes
    content_type: str = _TEXT
    headers: tuple[tuple[str, str], ...] = ()


class HttpServer:
    """Serves one `listener`. `metrics` renders the text, `ready` gives (ready, one line of reason); both run on the loop.

    `deadline_s` is what a connection has from its opening to its end, reading of the answer included.
    """

    def __init__(
        self,
        *,
        listener: Listener,
        metrics: Callable[[], bytes],
        ready: Callable[[], tuple[bool, str]],
        deadline_s: float = 10.0,
    ) -> None:
        self._listener = listener
        self._metrics = metrics
        self._ready = ready
        self._deadline_s = deadline_s
        self._only_local_names = is_loopback(listener.host)
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._stopping = False

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
            self._server = await loop.create_server(lambda: _Connection(self), host, self._listener.port)
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
        for connection in tuple(self._connections):
            connection.cut()
        await server.wait_closed()

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
    def deadline_s(self) -> float:
        return self._deadline_s

    def adopt(self, connection: _Connection) -> bool:
        """False when there are too many already, or one accepted before `stop` is made after it."""
        if self._stopping or len(self._connections) >= CONNECTIONS_MAX:
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: _Connection) -> None:
        self._connections.discard(connection)

    def answer(self, head: bytes) -> Answer:
        """The answer to a request's head (request line and header lines, without the empty line)."""
        request_line, *lines = head.decode("latin-1").split("\r\n")
        words = request_line.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _line(HTTPStatus.BAD_REQUEST, "this is no HTTP/1.1 request")
        method, target, _ = words
        hosts = [
            value.strip() for name, colon, value in (line.partition(":") for line in lines) if name.lower() == "host"
        ]
        if len(hosts) > 1 or (not hosts and words[2] != "HTTP/1.0"):
            return _line(HTTPStatus.BAD_REQUEST, "one Host header, please")
        if self._only_local_names and hosts and not is_loopback(_host_name(hosts[0])):
            return _line(HTTPStatus.MISDIRECTED_REQUEST, "this listener answers to localhost only")
        if method not in {"GET", "HEAD"}:
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n", headers=(("Allow", "GET, HEAD"),))
        return self._route(target.partition("?")[0])

    def _route(self, path: str) -> Answer:
        if path == "/metrics":
            return Answer(HTTPStatus.OK, self._metrics(), _METRICS_TEXT)
        if path == "/health/live":
            return _line(HTTPStatus.OK, "alive")
        if path == "/health/ready":
            ready, reason = self._ready()
            return _line(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, reason)
        return _line(HTTPStatus.NOT_FOUND, "there are /metrics, /health/live and /health/ready")


class _Connection(asyncio.Protocol):
    """One request, one answer. The deadline stands until the connection is gone, whoever is slow."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._received = bytearray()
        self._discarded = 0
        self._answered = False
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, no check: uvloop's transports are not subclasses of asyncio's.
        self._transport = stream = cast(asyncio.Transport, transport)
        if not self._server.adopt(self):
            stream.abort()
            return
        self._deadline = asyncio.get_running_loop().call_later(self._server.deadline_s, self.cut)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._server.forget(self)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            # A reset would eat the answer if unread bytes were left; read on, but not for ever.
            self._discarded += len(data)
            if self._discarded > _LINGERING_DISCARD_MAX:
                self.cut()
            return
        self._received += data
        end = self._received.find(b"\r\n\r\n", 0, REQUEST_MAX_BYTES)
        if end >= 0:
            head = bytes(self._received[:end])
            self._reply(self._server.answer(head), with_body=not head.startswith(b"HEAD "))
        elif len(self._received) >= REQUEST_MAX_BYTES:
            answer = _line(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {REQUEST_MAX_BYTES} bytes")
            self._reply(answer, with_body=True)

    def cut(self) -> None:
        assert self._transport is not None
        self._transport.abort()

    def _reply(self, answer: Answer, *, with_body: bool) -> None:
        assert self._transport is not None
        self._answered = True
        self._received.clear()
        headers = (
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *answer.headers,
            ("Connection", "close"),
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self._transport.write(f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n{head}\r\n".encode())
        if with_body:
            self._transport.write(answer.body)
        self._transport.write_eof()


def _line(status: HTTPStatus, sentence: str) -> Answer:
    return Answer(status, f"{sentence}\n".encode())


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
