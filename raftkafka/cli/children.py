"""Nodes as child processes of a command: start, wait until ready, kill, stop. Floor 5.

Every process is ended by the id it was started with, and none outlives the command that started it: not even when that is
killed, see `cli.parent`.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Self

from raftkafka.cli.layout import HOST, NodePlace
from raftkafka.model.errors import StartupError

STOP_TIMEOUT_S: Final = 15.0
_POLL_S: Final = 0.05


class Children:
    """The nodes that this command has started; leaving the `with` block stops them."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[NodePlace, subprocess.Popen[bytes]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    def start(self, place: NodePlace) -> None:
        """Start `rk broker` with the node's settings; its words go to the node's log file."""
        command = [sys.executable, "-m", "raftkafka.cli.main", "broker", str(place.properties)]
        with open(place.log, "ab") as log:
            process = subprocess.Popen(
                [*command, "--with-parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._running[place.node_id] = (place, process)

    def pid(self, place: NodePlace) -> int:
        return self._running[place.node_id][1].pid

    def kill(self, place: NodePlace) -> None:
        """SIGKILL, as a crash; the process is gone when this returns."""
        _, process = self._running.pop(place.node_id)
        process.kill()
        process.wait()

    def stop(self, place: NodePlace) -> None:
        """As `stop_all`, one node."""
        _, process = self._running.pop(place.node_id)
        _stop([process])

    def dead(self) -> NodePlace | None:
        """A node that has ended although nobody ended it."""
        return next(iter(self.all_dead()), None)

    def all_dead(self) -> list[NodePlace]:
        """Every such node."""
        return [place for place, process in self._running.values() if process.poll() is not None]

    def wait_ready(
        self, places: Iterable[NodePlace], *, timeout_s: float, tell: Callable[[str], None] | None = None
    ) -> None:
        """Wait until every node says that it is ready; with `tell`, for as long as it takes: it is told now and then what for.

        Raises:
            StartupError: one of them ended, or, without `tell`, was not ready in time; its last words are in the message.
        """
        deadline = time.monotonic() + timeout_s
        for place in places:
            reason = ""
            while (reason := readiness(place)) != "ready":
                if (dead := self.dead()) is not None:
                    raise StartupError(f"node {dead.node_id} ended: {last_words(dead)}")
                if time.monotonic() > deadline:
                    why = f"node {place.node_id} was not ready within {timeout_s:g} s ({reason}); see {place.log}"
                    if tell is None:
                        raise StartupError(why)
                    tell(f"{why}; waiting on, Ctrl-C stops")
                    deadline = time.monotonic() + timeout_s
                time.sleep(_POLL_S)

    def stop_all(self) -> None:
        """SIGTERM to all, and SIGKILL to those that need longer than a clean stop may take."""
        processes = [process for _, process in self._running.values()]
        self._running.clear()
        _stop(processes)


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def readiness(place: NodePlace) -> str:
    """`ready`, or why the node is not."""
    return readiness_at(HOST, place.ports.http)


def readiness_at(host: str, http_port: int) -> str:
    """As `readiness`, wherever the node is; no proxy is asked."""
    connection = http.client.HTTPConnection(host, http_port, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read(1000).decode("utf-8", "replace").strip()
        return "ready" if answer.status == 200 else body
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()


def last_words(place: NodePlace) -> str:
    """The last line of the node's log."""
    lines = place.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it said nothing; see {place.log}"
