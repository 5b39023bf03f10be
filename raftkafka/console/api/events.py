"""What happens, as it happens: a stream of server-sent events. Floor 4."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.types import ASGIApp

from raftkafka.console.api.routes import Call, EventStream, NoQuery, Route
from raftkafka.console.streams import Event

QUIET_S: Final = 5.0


async def get_events(call: Call[NoQuery, None]) -> ASGIApp:
    context = call.context

    async def events() -> AsyncIterator[Event | None]:
        with context.live.listening() as queue:
            while True:
                context.lag.look()
                try:
                    async with asyncio.timeout(QUIET_S):
                        event: Event | None = await queue.get()
                except TimeoutError:
                    event = None
                yield event

    return context.streams.of(events)


ROUTES: Final = (
    Route(
        method="GET",
        path="/events",
        summary="`stats` of this node each second, `metadata` when topics change, `lag` of groups every five seconds",
        handler=get_events,
        answer=EventStream,
    ),
)
