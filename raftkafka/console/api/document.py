"""The OpenAPI 3.1 document, made from the route table: it cannot say anything else than what is checked. Floor 4."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from raftkafka import __version__
from raftkafka.console.api.routes import PATH_PARAMETERS, Call, EventStream, NoQuery, Route
from raftkafka.console.api.schema import members, schema

_ALWAYS: Final = {
    HTTPStatus.BAD_REQUEST: "something in the request is wrong; the message says what",
    HTTPStatus.UNAUTHORIZED: "a login is required",
    HTTPStatus.FORBIDDEN: "asked by a page of somebody else, without the session's CSRF token, or forbidden by a setting",
    HTTPStatus.NOT_FOUND: "there is no such thing",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path has other methods",
    HTTPStatus.MISDIRECTED_REQUEST: "the listener does not answer to the name in Host",
    HTTPStatus.TOO_MANY_REQUESTS: "too many wrong tokens, streams, or a quota",
    HTTPStatus.INTERNAL_SERVER_ERROR: "our own fault; the node's log says more",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the head of the request is too large",
    HTTPStatus.SERVICE_UNAVAILABLE: "a broker, a leader or a coordinator is not there at the moment",
    HTTPStatus.GATEWAY_TIMEOUT: "no answer in time; the outcome of a change is unknown then",
}
_OF_CHANGES: Final = {
    HTTPStatus.CONFLICT: "not as things stand now",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is too large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "the content type has to be application/json",
}
_ERROR: Final = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            "required": ["code", "message"],
            "additionalProperties": False,
        }
    },
    "required": ["error"],
    "additionalProperties": False,
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    components: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "raftkafka",
            "version": __version__,
            "description": "Administration of a cluster through any of its nodes. Times are milliseconds since 1970, UTC.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{}, {"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
            },
        },
    }


def _operation(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    changes = route.method != "GET"
    refusals = {**_ALWAYS, **(_OF_CHANGES if changes else {})}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.handler.__name__,
        "parameters": _parameters(route, components),
        "responses": {
            str(route.status.value): _answer(route, components),
            **{
                str(status.value): {
                    "description": meaning,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
                for status, meaning in refusals.items()
            },
        },
    }
    if route.body is not None:
        content = {"application/json": {"schema": schema(route.body, components)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(route: Route, components: dict[str, Any]) -> Sequence[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": schema(PATH_PARAMETERS[name], components)}
        for name in route.names
    ]
    in_query = [
        {
            "name": member.name,
            "in": "query",
            "required": member.required,
            "schema": {
                **schema(member.kind, components),
                **({} if member.required or member.default is None else {"default": member.default}),
            },
        }
        for member in members(route.query)
    ]
    return [*in_path, *in_query]


def _answer(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    if route.answer is None:
        return {"description": "done"}
    if route.answer is EventStream:
        return {"description": "server-sent events", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    if route.answer is dict:
        return {"description": "found", "content": {"application/json": {"schema": {"type": "object"}}}}
    return {"description": "found", "content": {"application/json": {"schema": schema(route.answer, components)}}}


@cache
def _rendered() -> dict[str, Any]:
    from raftkafka.console.api.table import ROUTES as ALL

    return document(ALL)


async def get_document(call: Call[NoQuery, None]) -> Response:
    return JSONResponse(_rendered(), headers={"cache-control": "no-cache"})


ROUTES: Final = (Route(method="GET", path="/openapi.json", summary="This document", handler=get_document, answer=dict),)
