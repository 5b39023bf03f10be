"""What a real node tells whoever started it, as systemd reads it; tests/systemd has the same with systemd itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clusters import PATIENCE_S

if TYPE_CHECKING:
    from tests.cluster_fixtures import ClusterFactory

pytestmark = pytest.mark.integration

Message = dict[str, str]


class Ears:
    """The socket that a node's environment names, and what has come there."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.heard: list[Message] = []

    async def until(self, wanted: Callable[[Message], bool]) -> Message:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                content = (await loop.sock_recv(self.socket, 4096)).decode()
                message = dict(line.split("=", 1) for line in content.splitlines())
                self.heard.append(message)
                if wanted(message):
                    return message

    async def for_some_time(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.until(lambda message: False)


@pytest.fixture
def ears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ears]:
    path = tmp_path / "notify"
    listening = Ears(path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield listening
    listening.socket.close()


async def test_a_node_is_ready_before_there_is_a_quorum(
    new_cluster: ClusterFactory, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = new_cluster(3)
    cluster.start(1)
    ready = await ears.until(lambda message: "READY" in message)
    assert ready["STATUS"].startswith("waiting for a majority: connected to 0 of 2 other voters"), ready
    assert [message for message in ears.heard if "WATCHDOG" in message] == []
    assert {"EXTEND_TIMEOUT_USEC": "30000000"} in ears.heard
    await ears.until(lambda message: "WATCHDOG" in message)
    # The others belong to somebody else.
    monkeypatch.delenv("NOTIFY_SOCKET")
    cluster.start(2, 3)
    await cluster.ready()
    await cluster.create_topic("t", partitions=3)
    await ears.until(lambda message: "of 3 partitions here" in message.get("STATUS", ""))

    # A loop that does not turn gives no sign of life, and goes on where it was.
    cluster.pause(1)
    await ears.for_some_time(0.4)
    ears.heard.clear()
    await ears.for_some_time(1)
    assert ears.heard == []
    cluster.resume(1)
    await ears.until(lambda message: "WATCHDOG" in message)

    ears.heard.clear()
    os.kill(cluster.pid(1), signal.SIGTERM)
    await ears.until(lambda message: message.get("STOPPING") == "1")
    await cluster.stop(1)
    assert all("READY" not in message for message in ears.heard)


async def test_the_last_words_of_a_node_that_cannot_start(new_cluster: ClusterFactory, ears: Ears) -> None:
    cluster = new_cluster(1)
    code = await cluster.run_other(1, {"log.dirs": "/dev/null/log"}, cluster.directory / "other.log")
    assert code == 1
    last = await ears.until(lambda message: "/dev/null/log" in message.get("STATUS", ""))
    assert "READY" not in last
    assert all("READY" not in message for message in ears.heard)
