"""The first thing that looks at a request: is it for us, is it from one of our pages, who asks. Floor 4.

`/metrics` and `/health/*` are answered here and need no login: they tell numbers, and change nothing. Everything else is the console's,
where there is one: it is made when it is first asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raftkafka.listeners.http.access import Access
from raftkafka.listeners.http.connection import error_body
from raftkafka.listeners.http.headers import SECURITY_HEADERS
from raftkafka.listeners.http.hosts import AllowedHosts, is_same_origin
from raftkafka.ports.access import CALLER, Caller, TooManyFailuresError

API: Final = "/api/"
WITHOUT_LOGIN: Final = frozenset({"/api/v1/session", "/api/v1/login", "/api/v1/openapi.json"})
_SAFE: Final = frozenset({"GET", "HEAD"})
_TEXT: Final = "text/plain; charset=utf-8"
_METRICS_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


class Refused(Exception):  # noqa: N818 - it is an answer
    """A request goes no further."""

    def __init__(self, status: HTTPStatus, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Console(Protocol):
    """What is behind every other path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    async def stop(self) -> None: ...


class NodeApp:
    """`metrics` renders the text in pieces, `ready` gives (ready, one line of reason); both run on the loop. `console` makes the console, None
    where there is none."""

    def __init__(
        self,
        *,
        metrics: Callable[[], Iterable[bytes]],
        ready: Callable[[], tuple[bool, str]],
        hosts: AllowedHosts,
        access: Access,
        console: Callable[[], Console] | None,
    ) -> None:
        self._metrics = metrics
        self._ready = ready
        self._hosts = hosts
        self._access = access
        self._make_console = console
        self._console: Console | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *SECURITY_HEADERS]
            await send(message)

        # Escapes in a path stay escapes until its parts are known: a %2F is no slash.
        scope = dict(scope, path=scope["raw_path"].decode("ascii"))
        request = Request(scope)
        try:
            app = await self._answer(request)
        except Refused as refused:
            app = _refusal(refused)
        await app(scope, receive, with_headers)

    async def _metrics_text(self) -> bytes:
        pieces = []
        for piece in self._metrics():
            pieces.append(piece)
            await asyncio.sleep(0)  # thousands of partitions take a while: others have their turn
        return b"".join(pieces)

    async def stop(self) -> None:
        """Let go of what the console holds; nobody may ask any more."""
        console, self._console = self._console, None
        if console is not None:
            await console.stop()

    async def _answer(self, request: Request) -> ASGIApp:
        self._check_host(request)
        path = request.scope["path"]
        if path == "/metrics":
            _check_reading(request)
            return Response(await self._metrics_text(), media_type=_METRICS_TEXT, headers={"cache-control": "no-store"})
        if path == "/health/live":
            _check_reading(request)
            return _line(HTTPStatus.OK, "alive")
        if path == "/health/ready":
            _check_reading(request)
            ready, reason = self._ready()
            return _line(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, reason)
        if self._make_console is None:
            raise Refused(HTTPStatus.NOT_FOUND, "NOT_FOUND", "there are /metrics, /health/live and /health/ready")
        if path.startswith(API):
            self._check_api(request)
        else:
            _check_reading(request)
        if self._console is None:
            self._console = self._make_console()
        return self._console

    def _check_host(self, request: Request) -> None:
        host = request.headers.get("host")
        # Only HTTP/1.0 may do without; no browser speaks it.
        if host is not None and not self._hosts.allow(host):
            raise Refused(
                HTTPStatus.MISDIRECTED_REQUEST,
                "MISDIRECTED_REQUEST",
                "this listener does not answer to that name; see http.allowed.hosts",
            )

    def _check_api(self, request: Request) -> None:
        if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            raise _forbidden("FORBIDDEN_ORIGIN", "a page of somebody else asked for this")
        caller = self._caller(request)
        request.scope["state"][CALLER] = caller
        if request.scope["path"] not in WITHOUT_LOGIN and not self._access.may_ask(caller):
            raise Refused(
                HTTPStatus.UNAUTHORIZED, "LOGIN_REQUIRED", "log in, or send the token", www_authenticate="Bearer"
            )
        if request.method not in _SAFE:
            self._check_change(request, caller)

    def _caller(self, request: Request) -> Caller:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        bearer = credentials.strip() if scheme.lower() == "bearer" else None
        address = "" if request.client is None else request.client.host
        try:
            return self._access.caller(
                cookie=request.cookies.get(self._access.cookie_name), bearer=bearer, address=address
            )
        except TooManyFailuresError as error:
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", str(error), retry_after=error.retry_after
            ) from error

    def _check_change(self, request: Request, caller: Caller) -> None:
        origin = request.headers.get("origin")
        if origin is not None and not is_same_origin(origin, request.headers.get("host", "")):
            raise _forbidden("FORBIDDEN_ORIGIN", "a page of somebody else asked for this")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                "the content type has to be application/json",
            )
        if caller.by_token:
            return
        token = request.headers.get("x-csrf-token")
        if token is None or caller.session_id is None or not self._access.is_csrf_token(caller.session_id, token):
            raise _forbidden(
                "CSRF_TOKEN_INVALID", "X-CSRF-Token is not that of this session; GET /api/v1/session tells it"
            )


def _forbidden(code: str, message: str) -> Refused:
    return Refused(HTTPStatus.FORBIDDEN, code, message)


def _check_reading(request: Request) -> None:
    if request.method not in _SAFE:
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "only GET and HEAD", allow="GET, HEAD")


def _line(status: HTTPStatus, sentence: str) -> Response:
    return Response(f"{sentence}\n", status, media_type=_TEXT, headers={"cache-control": "no-store"})


def _refusal(refused: Refused) -> Response:
    body = error_body(refused.code, refused.message)
    headers = {"cache-control": "no-store", **refused.headers}
    return Response(body, refused.status, media_type="application/json", headers=headers)
