"""The console of one node, as an ASGI application. Floor 4."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from raftkafka.console.api.endpoint import Api
from raftkafka.console.api.errors import HttpError, error_answer
from raftkafka.console.api.table import ROUTES
from raftkafka.console.clients import Clients
from raftkafka.console.context import Context
from raftkafka.console.node import ConsoleNode
from raftkafka.console.static_files import StaticFiles


class Console:
    """`stop` when nobody can ask any more."""

    def __init__(self, node: ConsoleNode) -> None:
        self._clients = Clients(node.address)
        self._api = Api(Context(node=node, clients=self._clients), ROUTES)
        self._files = StaticFiles()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if scope["path"].startswith("/api/"):
            answer = await self._api.answer(request)
        else:
            answer = self._files.answer(request) or error_answer(
                HttpError(HTTPStatus.NOT_FOUND, "NOT_FOUND", "there is no such page")
            )
        await answer(scope, receive, send)

    async def stop(self) -> None:
        await self._clients.stop()
