"""Who asks, logging in and out. Floor 4."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from starlette.responses import JSONResponse, Response

from raftkafka import __version__
from raftkafka.console.api.errors import HttpError
from raftkafka.console.api.routes import Call, NoQuery, Nothing, Route
from raftkafka.console.api.schema import Says, Size, as_json
from raftkafka.ports.access import TooManyFailuresError


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    csrf_token: Annotated[
        str, Says("for X-CSRF-Token of every changing request of this session; a login begins a new one")
    ]
    login_required: bool
    user: str | None
    node_id: int
    cluster_id: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    token: Annotated[str, Size(1, 4_096)]


async def get_session(call: Call[NoQuery, None]) -> Response:
    node, caller = call.context.node, call.caller
    known = caller.session_id
    session_id = known or node.sessions.new_session(logged_in=False)
    session = Session(
        csrf_token=node.sessions.csrf_token(session_id),
        login_required=node.sessions.login_required,
        user=caller.user,
        node_id=node.settings.node_id,
        cluster_id=call.context.image.cluster_id,
        version=__version__,
    )
    answer = JSONResponse(as_json(session), headers={"cache-control": "no-store"})
    if known is None:
        _set_cookie(answer, node.sessions.cookie_name, session_id)
    return answer


async def log_in(call: Call[NoQuery, Login]) -> Response:
    sessions = call.context.node.sessions
    try:
        right = sessions.is_token(call.body.token, call.caller.address)
    except TooManyFailuresError as error:
        raise HttpError(
            HTTPStatus.TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", str(error), {"retry-after": error.retry_after}
        ) from error
    if not right:
        raise HttpError(HTTPStatus.UNAUTHORIZED, "LOGIN_FAILED", "that is not the token of this node")
    if call.caller.session_id is not None:
        sessions.log_out(call.caller.session_id)
    answer = Response(status_code=HTTPStatus.NO_CONTENT, headers={"cache-control": "no-store"})
    _set_cookie(answer, sessions.cookie_name, sessions.new_session(logged_in=True))
    return answer


async def log_out(call: Call[NoQuery, Nothing]) -> Response:
    sessions = call.context.node.sessions
    if call.caller.session_id is not None:
        sessions.log_out(call.caller.session_id)
    answer = Response(status_code=HTTPStatus.NO_CONTENT, headers={"cache-control": "no-store"})
    answer.delete_cookie(sessions.cookie_name, path="/", httponly=True, samesite="strict")
    return answer


def _set_cookie(answer: Response, name: str, value: str) -> None:
    # Without an age: it goes with the browser, and ends on this side in any case.
    answer.set_cookie(name, value, path="/", httponly=True, samesite="strict")


ROUTES: Final = (
    Route(
        method="GET",
        path="/session",
        summary="This session, and the token that its changes have to show",
        handler=get_session,
        answer=Session,
    ),
    Route(
        method="POST",
        path="/login",
        summary="Show the token of http.auth.token.file",
        handler=log_in,
        body=Login,
        status=HTTPStatus.NO_CONTENT,
    ),
    Route(
        method="POST",
        path="/logout",
        summary="End this session",
        handler=log_out,
        body=Nothing,
        status=HTTPStatus.NO_CONTENT,
    ),
)
