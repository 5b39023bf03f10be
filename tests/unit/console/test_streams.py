"""Streams of events: bounded in number, cut when nobody reads, ended in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from raftkafka.console import streams as module
from raftkafka.console.api.errors import HttpError
from raftkafka.console.live import _quantile_ms
from raftkafka.console.streams import Event, Streams
from raftkafka.ports.access import CONNECTION


class Reader:
    """The other end. `stuck` takes nothing any more."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.stuck = False
        self.cut_at = 0

    async def send(self, message: Any) -> None:
        if self.stuck:
            await asyncio.Event().wait()
        self.got.append(message)

    def cut(self) -> None:
        self.cut_at = len(self.got)
        assert self.task is not None
        self.task.cancel()

    task: asyncio.Task[None] | None = None

    def listen(self, streams: Streams, events: Any) -> asyncio.Task[None]:
        scope = {"type": "http", "state": {CONNECTION: self}}

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def run() -> None:
            await streams.of(events)(scope, receive, self.send)

        self.task = asyncio.get_running_loop().create_task(run())
        return self.task

    @property
    def text(self) -> str:
        return b"".join([each.get("body", b"") for each in self.got]).decode()


async def endless() -> AsyncIterator[Event | None]:
    while True:
        await asyncio.sleep(0.001)
        yield "tick", {"n": "한"}


async def test_events_as_the_standard_writes_them() -> None:
    closed = []

    async def two() -> AsyncIterator[Event | None]:
        try:
            yield "a", {"n": 1}
            yield None
            yield "b", None
        finally:
            closed.append(True)

    reader, streams = Reader(), Streams()
    await reader.listen(streams, two)
    assert reader.text == 'retry: 2000\n\nevent: a\ndata: {"n":1}\n\nevent: b\ndata: null\n\n'
    assert reader.got[-1]["more_body"] is False
    assert closed
    assert streams.open == 0


async def test_there_are_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STREAMS_MAX", 2)
    streams = Streams()
    tasks = [Reader().listen(streams, endless) for _ in range(2)]
    async with asyncio.timeout(20):
        while streams.open < 2:
            await asyncio.sleep(0)
    with pytest.raises(HttpError) as refused:
        streams.of(endless)
    assert refused.value.status == 429
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert streams.open == 0


async def test_a_reader_that_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STUCK_S", 0.05)
    reader, streams = Reader(), Streams()
    task = reader.listen(streams, endless)
    async with asyncio.timeout(20):
        while "tick" not in reader.text:
            await asyncio.sleep(0.001)
    reader.stuck = True
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 20)
    assert reader.cut_at > 0
    assert streams.open == 0


async def test_a_stream_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STREAM_S", 0.05)
    reader, streams = Reader(), Streams()
    await asyncio.wait_for(reader.listen(streams, endless), 20)
    assert reader.got[-1]["more_body"] is False


async def test_silence_is_broken_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_S", 0.0)

    async def silent() -> AsyncIterator[Event | None]:
        for _ in range(3):
            yield None

    reader = Reader()
    await reader.listen(Streams(), silent)
    assert reader.text.count(": still here") == 3


def test_quantiles_of_what_came_between() -> None:
    bounds = (0.001, 0.01, 0.1)
    assert _quantile_ms(bounds, None, None, 0.5) is None
    assert _quantile_ms(bounds, (1, 0, 0, 0), (1, 0, 0, 0), 0.5) is None
    assert _quantile_ms(bounds, (1, 0, 0, 0), (11, 0, 0, 0), 0.5) == 0.5
    assert _quantile_ms(bounds, None, (0, 10, 0, 0), 1.0) == 10.0
    assert _quantile_ms(bounds, None, (50, 0, 50, 0), 0.99) == pytest.approx(98.2)
    assert _quantile_ms(bounds, None, (0, 0, 0, 5), 0.5) == 100.0
