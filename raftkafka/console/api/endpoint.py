"""From a request to its handler and back: finds the route, checks everything that came, and says in one form what went wrong.

Floor 4. Bounded: the body, the time, and what a handler answers with. Parts of a path are decoded one by one, so an escaped slash is
part of a name and finds no other route.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from raftkafka.client.types import NotReachableError
from raftkafka.console.api.errors import HttpError, bad_request, error_answer, refused_by
from raftkafka.console.api.routes import PATH_PARAMETERS, Call, EventStream, Nothing, Route
from raftkafka.console.api.schema import InvalidValueError, as_json, from_text, parse, parse_query
from raftkafka.console.context import Context
from raftkafka.model.errors import ApiError, ErrorCode, RaftKafkaError
from raftkafka.ports.access import CALLER, Caller

BASE: Final = "/api/v1"
BODY_MAX_BYTES: Final = 2 << 20
TIME_MAX_S: Final = 20.0
QUERY_NAMES_MAX: Final = 50

_log = logging.getLogger("raftkafka.console")


class Api:
    def __init__(self, context: Context, routes: Sequence[Route]) -> None:
        self._context = context
        self._routes = [(each, each.path.split("/")[1:]) for each in routes]

    async def answer(self, request: Request) -> ASGIApp:
        """What to answer: an error too."""
        try:
            return await self._answer(request)
        except HttpError as error:
            return error_answer(error)
        except InvalidValueError as error:
            return error_answer(bad_request(str(error)))
        except ApiError as error:
            return error_answer(refused_by(error.code, error.message))
        except NotReachableError as error:
            return error_answer(refused_by(ErrorCode.BROKER_NOT_AVAILABLE, str(error)))
        except RaftKafkaError as error:
            return error_answer(refused_by(ErrorCode.NETWORK_EXCEPTION, str(error)))
        except TimeoutError:
            return error_answer(refused_by(ErrorCode.REQUEST_TIMED_OUT, f"not done within {TIME_MAX_S:g} s"))
        except ClientDisconnect:
            return error_answer(bad_request("the connection was closed"))  # nobody reads it
        except Exception:  # noqa: BLE001 - one bad request must not look like a broken node; the log has it all
            _log.exception("%s %s failed", request.method, request.scope["path"])
            unexpected = HttpError(
                HTTPStatus.INTERNAL_SERVER_ERROR, ErrorCode.UNKNOWN_SERVER_ERROR.name, "see the node's log"
            )
            return error_answer(unexpected)

    async def _answer(self, request: Request) -> ASGIApp:
        route, path = self._find(request.method, request.scope["path"])
        query: Any = parse_query(route.query, _query(request.scope["query_string"]))
        body = None if route.body is None else parse(route.body, _json(await _body(request), route.body))
        caller = request.scope["state"].get(CALLER, Caller())
        call = Call(context=self._context, caller=caller, path=path, query=query, body=body)
        async with asyncio.timeout(TIME_MAX_S):
            found = await route.handler(call)
        if isinstance(found, Response) or route.answer is EventStream:
            app: ASGIApp = found
            return app
        headers = {"cache-control": "no-store"}
        if route.answer is None:
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
        text = json.dumps(as_json(found), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return Response(text, route.status, headers=headers, media_type="application/json")

    def _find(self, method: str, path: str) -> tuple[Route, dict[str, Any]]:
        below = path.removeprefix(BASE)
        parts = below.split("/")[1:] if below != path else []
        wanted = "GET" if method == "HEAD" else method
        allowed: list[str] = []
        for route, pattern in self._routes:
            if len(pattern) != len(parts) or not all(
                (bool(part) if name.startswith("{") else name == part)
                for name, part in zip(pattern, parts, strict=True)
            ):
                continue
            if route.method == wanted:
                return route, dict(_parameters(pattern, parts))
            allowed += ["GET", "HEAD"] if route.method == "GET" else [route.method]
        if allowed:
            methods = ", ".join(allowed)
            raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", f"only {methods}", {"allow": methods})
        raise HttpError(HTTPStatus.NOT_FOUND, "NOT_FOUND", "there is no such path; see /api/v1/openapi.json")


def _parameters(pattern: Sequence[str], parts: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for name, part in zip(pattern, parts, strict=True):
        if name.startswith("{"):
            parameter = name.strip("{}")
            kind = PATH_PARAMETERS[parameter]
            yield parameter, parse(kind, from_text(kind, _decoded(part, "path")), parameter)


def _query(raw: bytes) -> list[tuple[str, str]]:
    text = raw.decode("latin-1")
    try:
        return parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=QUERY_NAMES_MAX
        )
    except ValueError as error:
        raise bad_request(f"query: cannot be read: {error}") from error


def _decoded(part: str, where: str) -> str:
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError as error:
        raise bad_request(f"{where}: is not UTF-8") from error


async def _body(request: Request) -> bytes:
    announced = request.headers.get("content-length", "0")
    if len(announced) > 15 or int(announced) > BODY_MAX_BYTES:
        raise _too_large()
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > BODY_MAX_BYTES:
            raise _too_large()
        pieces.append(piece)
    return b"".join(pieces)


def _json(body: bytes, kind: type) -> object:
    if not body and kind is Nothing:
        return {}
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"body: is no JSON: {error}") from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number in JSON")


def _too_large() -> HttpError:
    return HttpError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "PAYLOAD_TOO_LARGE", f"a body has at most {BODY_MAX_BYTES} bytes"
    )
