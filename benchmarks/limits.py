"""What this machine can do without raftkafka, measured minutes before: every figure is to be read beside it.

Each limit is the simplest program that moves the same bytes: one write call, one read call, a pair of plain blocking
sockets in two processes. Nothing here imports raftkafka.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import uvloop
from crc32c import crc32c

from benchmarks import pages
from benchmarks.figures import percentile

FRAME_SIZES: Final = (16 << 10, 128 << 10, 1 << 20)
PING_BYTES: Final = 200
REQUEST_BYTES: Final = 236
ANSWER_BYTES: Final = 63
"""A produce of one record of 100 B and its answer, with their frames."""
BURST_BYTES: Final = 256 << 20
"""What is written to memory that is at hand, see `pages`."""
_CHUNK: Final = 128 << 10


def measure(directory: Path, *, runs: int, scale: float) -> dict[str, float]:
    """All limits by name; rates in bytes per second or round trips per second, times in milliseconds."""
    volume = max(1, int(1024 * scale)) << 20
    limits = {
        "sustained_write_bytes_per_s": _write(directory, 2 * volume, synced=True),
        "page_cache_write_bytes_per_s": _median(runs, lambda: _write(directory, min(volume, BURST_BYTES))),
        "cached_read_bytes_per_s": _median(runs, lambda: _read(directory, min(volume, BURST_BYTES))),
        "crc32c_bytes_per_s": _median(runs, lambda: _checksum(volume)),
    }
    for size in FRAME_SIZES:
        limits[f"loopback_{size >> 10}k_bytes_per_s"] = _median(runs, lambda size=size: _loopback(size, volume))
    limits["ping_pong_round_trips_per_s"] = _median(runs, lambda: _ping_pong(int(20_000 * scale) + 100))
    round_trips = int(10_000 * scale) + 100
    limits["loop_round_trips_per_s"] = _median(runs, lambda: _loop_round_trips(round_trips))
    sync_ms = sorted(_syncs(directory, int(1000 * scale) + 100))
    limits["fdatasync_4k_p50_ms"] = percentile(sync_ms, 0.5)
    limits["fdatasync_4k_p99_ms"] = percentile(sync_ms, 0.99)
    return limits


def _median(runs: int, one: Callable[[], float]) -> float:
    return median(one() for _ in range(runs))


def _write(directory: Path, volume: int, *, synced: bool = False) -> float:
    if not synced:
        pages.prepare(directory, volume)
    chunk = os.urandom(_CHUNK)
    descriptor = os.open(directory / "limit", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        began = time.perf_counter()
        for _ in range(volume // _CHUNK):
            os.write(descriptor, chunk)
        if synced:
            os.fdatasync(descriptor)
        return volume / (time.perf_counter() - began)
    finally:
        os.close(descriptor)


def _read(directory: Path, volume: int) -> float:
    descriptor = os.open(directory / "limit", os.O_RDONLY)
    buffer = bytearray(_CHUNK)
    try:
        began = time.perf_counter()
        for position in range(0, volume, _CHUNK):
            os.preadv(descriptor, [buffer], position)
        return volume / (time.perf_counter() - began)
    finally:
        os.close(descriptor)


def _checksum(volume: int) -> float:
    chunk = os.urandom(_CHUNK)
    began = time.perf_counter()
    for _ in range(volume // _CHUNK):
        crc32c(chunk)
    return volume / (time.perf_counter() - began)


def _syncs(directory: Path, count: int) -> list[float]:
    block = os.urandom(4096)
    descriptor = os.open(directory / "limit-sync", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    times = []
    try:
        for _ in range(count):
            os.write(descriptor, block)
            began = time.perf_counter()
            os.fdatasync(descriptor)
            times.append((time.perf_counter() - began) * 1e3)
    finally:
        os.close(descriptor)
    return times


def _loopback(frame_bytes: int, volume: int) -> float:
    """Frames one way as fast as they go, one byte back when all have arrived."""
    frame = os.urandom(frame_bytes)
    count = max(1, volume // frame_bytes)
    with _peer("sink", frame_bytes, count) as connection:
        began = time.perf_counter()
        for _ in range(count):
            connection.sendall(frame)
        connection.recv(1)
        return count * frame_bytes / (time.perf_counter() - began)


def _ping_pong(count: int) -> float:
    ping = os.urandom(PING_BYTES)
    with _peer("echo", PING_BYTES, count) as connection:
        began = time.perf_counter()
        for _ in range(count):
            connection.sendall(ping)
            received = 0
            while received < PING_BYTES:
                received += len(connection.recv(PING_BYTES - received))
        return count / (time.perf_counter() - began)


def _loop_round_trips(count: int) -> float:
    """Frames of a small produce between two event loops that do nothing else, each request with a future that is awaited."""
    with _listening("loop", REQUEST_BYTES, count) as server:
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return uvloop.run(_ask_again_and_again(connection, count))


async def _ask_again_and_again(connection: socket.socket, count: int) -> float:
    loop = asyncio.get_running_loop()
    transport, asking = await loop.create_connection(lambda: _Ends(ANSWER_BYTES), sock=connection)
    began = time.perf_counter()
    for _ in range(count):
        asking.whole = loop.create_future()
        transport.write(bytes(REQUEST_BYTES))
        await asking.whole
    seconds = time.perf_counter() - began
    transport.close()
    return count / seconds


class _Ends(asyncio.BufferedProtocol):
    """Either end: `whole` is set for each frame that has come; without it an answer is sent."""

    def __init__(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes
        self._buffer = memoryview(bytearray(1 << 16))
        self._end = 0
        self.whole: asyncio.Future[None] | None = None
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        self._end += nbytes
        if self._end < self._frame_bytes:
            return
        self._end = 0
        if self.whole is not None:
            self.whole.set_result(None)
        else:
            self._transport.write(bytes(ANSWER_BYTES))

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set_result(None)


async def _answer_until_gone(connection: socket.socket, frame_bytes: int) -> None:
    _, answering = await asyncio.get_running_loop().create_connection(lambda: _Ends(frame_bytes), sock=connection)
    await answering.gone


@contextmanager
def _peer(duty: str, frame_bytes: int, count: int):
    """A connection to another process of ours that does `duty`."""
    with _listening(duty, frame_bytes, count) as server:
        connection, _ = server.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield connection


@contextmanager
def _listening(duty: str, frame_bytes: int, count: int):
    """Where another process of ours that does `duty` connects to; it ends with that connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        arguments = [sys.executable, "-m", "benchmarks.limits", duty, str(port), str(frame_bytes), str(count)]
        with subprocess.Popen(arguments, cwd=Path(__file__).parent.parent) as peer:
            server.settimeout(30)
            yield server
            peer.wait(30)


def _serve(duty: str, port: int, frame_bytes: int, count: int) -> None:
    buffer = memoryview(bytearray(max(frame_bytes, 1 << 20)))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if duty == "loop":
            uvloop.run(_answer_until_gone(connection, frame_bytes))
            return
        if duty == "sink":
            missing = frame_bytes * count
            while missing and (received := connection.recv_into(buffer)):
                missing -= received
            connection.sendall(b".")
            return
        while received := connection.recv_into(buffer):
            connection.sendall(buffer[:received])


if __name__ == "__main__":
    _serve(sys.argv[1], *map(int, sys.argv[2:5]))
