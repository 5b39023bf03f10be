"""Consumers as processes of their own, to be killed: each writes down what it does before and after it commits.

`python -m tests.consumer_lives` is a nursery: it imports everything once, and forks a consumer for each line of its stdin (a life's
settings as JSON), whose pid it answers. A fork is ready in a tenth of the time that an interpreter takes to start.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from raftkafka.client.consumer import Consumer
from raftkafka.client.group.listener import ConsumerRebalanceListener

ROOT: Final = Path(__file__).parents[1]


class Line(NamedTuple):
    """What a life wrote down: `held`, `read` (before it is processed any further) or `committed`, and offsets from, to below."""

    what: str
    partition: int
    first: int
    following: int


def lines_of(path: Path) -> list[Line]:
    """A line that a kill cut short was never written."""
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    fields = [line.split() for line in whole.decode().splitlines()]
    return [Line(what, *map(int, numbers)) for what, *numbers in fields]


class Nursery:
    """In the test's process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.consumer_lives"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self._alive: set[int] = set()

    def begin(self, path: Path, **settings: Any) -> int:
        """A consumer that writes to `path`; its pid."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"path": str(path), **settings}).encode() + b"\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self._alive.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        self._alive.remove(pid)
        os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        for pid in sorted(self._alive):
            self.kill(pid)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


def main() -> None:
    for line in iter(sys.stdin.buffer.readline, b""):
        pid = os.fork()
        if pid == 0:
            os.close(0)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asyncio.run(live(json.loads(line)))
            os._exit(1)  # it reads for ever
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


async def live(settings: dict[str, Any]) -> None:
    descriptor = os.open(settings.pop("path"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    topic = settings.pop("topic")

    def note(what: str, partition: int, first: int = 0, following: int = 0) -> None:
        os.write(descriptor, f"{what} {partition} {first} {following}\n".encode())

    class Notes(ConsumerRebalanceListener):
        def on_partitions_assigned(self, partitions: Any) -> None:
            for each in partitions:
                note("held", each.partition)

    async with Consumer(auto_offset_reset="earliest", enable_auto_commit=False, **settings) as consumer:
        consumer.subscribe([topic], listener=Notes())
        while True:
            polled = await consumer.poll(1_000)
            for partition, records in polled.items():
                offsets = [record.offset for record in records]
                assert offsets == list(range(offsets[0], offsets[-1] + 1))
                note("read", partition.partition, offsets[0], offsets[-1] + 1)
            if polled:
                await consumer.commit()
            for partition, records in polled.items():
                note("committed", partition.partition, records[0].offset, records[-1].offset + 1)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead
    main()
