"""The API with everything behind it, made when it is first asked for. Floor 4."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp

from raftkafka.console.api.endpoint import Api
from raftkafka.console.api.table import ROUTES
from raftkafka.console.clients import Clients
from raftkafka.console.context import Context
from raftkafka.console.lag import LagSamples
from raftkafka.console.live import Live
from raftkafka.console.node import ConsoleNode
from raftkafka.console.streams import Streams
from raftkafka.console.throttle import Throttle


class Served:
    def __init__(self, node: ConsoleNode) -> None:
        self._clients = Clients(node.address)
        self._live = Live(node)
        self._lag = LagSamples(
            clients=self._clients,
            clock=node.clock,
            told=lambda time_ms, groups: self._live.tell(("lag", {"time_ms": time_ms, "groups": groups})),
        )
        self._throttle = Throttle(store=node.store, clients=self._clients)
        context = Context(
            node=node,
            clients=self._clients,
            streams=Streams(),
            live=self._live,
            lag=self._lag,
            throttle=self._throttle,
        )
        self._api = Api(context, ROUTES)

    async def answer(self, request: Request) -> ASGIApp:
        return await self._api.answer(request)

    async def stop(self) -> None:
        self._live.stop()
        self._lag.stop()
        self._throttle.stop()
        await self._clients.stop()
