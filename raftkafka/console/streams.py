"""Streams of server-sent events, as many as we say, each with an end. Floor 4.

A stream takes a connection and work for as long as somebody keeps it, so they are counted; the next one is refused. A reader that does not
read is cut; one that is merely slow holds up its own stream and nothing else. The format is that of
https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Final

from starlette.types import Receive, Scope, Send

from raftkafka.console.api.errors import HttpError
from raftkafka.ports.access import CONNECTION, Connection

STREAMS_MAX: Final = 64
STREAM_S: Final = 3_600.0
"""A browser connects again by itself; so who has logged out does not go on listening for ever."""
SILENCE_S: Final = 15.0
"""So often something is sent, so that a connection which is gone is noticed."""
STUCK_S: Final = 30.0

Event = tuple[str, object]
"""Name and JSON."""


class Streams:
    """Counts those that are open."""

    def __init__(self) -> None:
        self.open = 0

    def of(self, events: Callable[[], AsyncIterator[Event | None]]) -> EventStream:
        """An answer that runs `events` while somebody listens; None from it is a moment in which nothing has happened.

        Raises:
            HttpError: there are STREAMS_MAX already.
        """
        if self.open >= STREAMS_MAX:
            raise HttpError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "TOO_MANY_STREAMS",
                f"there are {STREAMS_MAX} event streams already",
                {"retry-after": "10", "connection": "close"},
            )
        return EventStream(self, events)


class EventStream:
    """An ASGI answer. Its place is taken when it begins, in the same turn of the loop as it was given."""

    def __init__(self, streams: Streams, events: Callable[[], AsyncIterator[Event | None]]) -> None:
        self._streams = streams
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._streams.open += 1
        loop = asyncio.get_running_loop()
        ends, said = loop.time() + STREAM_S, loop.time()
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"connection", b"close")]

        async def say(text: str) -> None:
            async with asyncio.timeout(STUCK_S):
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        events = self._events()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await say("retry: 2000\n\n")
            async for event in events:
                now = loop.time()
                if event is not None:
                    name, content = event
                    await say(
                        f"event: {name}\ndata: {json.dumps(content, ensure_ascii=False, separators=(',', ':'))}\n\n"
                    )
                    said = now
                elif now - said >= SILENCE_S:
                    await say(": still here\n\n")
                    said = now
                if now >= ends:
                    break
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            # It has not read for so long: what is not sent is not wanted. The listener cancels us once the connection is gone.
            connection: Connection = scope["state"][CONNECTION]
            connection.cut()
            await asyncio.sleep(STUCK_S)
        finally:
            self._streams.open -= 1
            aclose = getattr(events, "aclose", None)
            if aclose is not None:
                await aclose()
