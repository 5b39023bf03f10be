"""The console of one node, as an ASGI application. Floor 4.

The pages need nothing of the API, so they come before it is imported; and that goes in steps, because the event loop belongs to the
broker: no step takes longer than a few hundredths of a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from raftkafka.console.api.errors import HttpError, error_answer
from raftkafka.console.static_files import StaticFiles

if TYPE_CHECKING:
    from raftkafka.console.node import ConsoleNode
    from raftkafka.console.served import Served

_STEPS: Final = (
    "raftkafka.client.routing",
    "raftkafka.client.admin",
    "raftkafka.client.fetching",
    "raftkafka.client.consumer",
    "raftkafka.client.group.groups",
    "raftkafka.console.context",
    "raftkafka.console.api.endpoint",
    "raftkafka.console.api.cluster",
    "raftkafka.console.api.topics",
    "raftkafka.console.api.topic_changes",
    "raftkafka.console.api.groups",
    "raftkafka.console.api.messages",
    "raftkafka.console.api.reassignments",
    "raftkafka.console.api.timeline",
    "raftkafka.console.api.table",
    "raftkafka.console.served",
)
"""In an order in which each finds most of what it needs imported already."""


class Console:
    """`stop` when nobody can ask any more."""

    def __init__(self, node: ConsoleNode) -> None:
        self._node = node
        self._files = StaticFiles()
        self._loading = asyncio.Lock()
        self._served: Served | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answer: Callable[[Scope, Receive, Send], Awaitable[None]]
        if scope["path"].startswith("/api/"):
            answer = await (await self._api()).answer(request)
        else:
            found = self._files.answer(request)
            answer = found or error_answer(HttpError(HTTPStatus.NOT_FOUND, "NOT_FOUND", "there is no such page"))
        await answer(scope, receive, send)

    async def stop(self) -> None:
        served, self._served = self._served, None
        if served is not None:
            await served.stop()

    async def _api(self) -> Served:
        async with self._loading:
            if self._served is None:
                for name in _STEPS:
                    import_module(name)
                    await asyncio.sleep(0)
                from raftkafka.console.served import Served

                self._served = Served(self._node)
            return self._served
