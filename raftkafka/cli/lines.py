"""Lines from a file or a file descriptor, in groups that make good record batches. Floor 5.

A descriptor is read in a daemon thread: stdin may be a terminal, a pipe or a file, and no event loop can wait for all three. The
thread reads ahead by a few chunks and no further, so that a fast source does not fill the memory. A file never keeps anybody
waiting, so that it is read through aiofiles.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import CancelledError
from typing import Final

CHUNK_BYTES: Final = 256 << 10
GROUP_BYTES: Final = 64 << 10
GROUP_LINES_MAX: Final = 4096
"""With `GROUP_BYTES` of text and a record's overhead of 12 bytes a group stays one record batch of the default size."""
LINE_MAX_BYTES: Final = 64 << 20
_CHUNKS_AHEAD: Final = 4


async def read_file(path: str) -> AsyncIterator[bytes]:
    """What a regular file holds.

    Raises:
        OSError: it cannot be read.
    """
    import aiofiles

    async with aiofiles.open(path, "rb", buffering=0) as file:
        while chunk := await file.read(CHUNK_BYTES):
            yield chunk


async def read_descriptor(descriptor: int) -> AsyncIterator[bytes]:
    """What the descriptor gives, until its end.

    Raises:
        OSError: it cannot be read.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | OSError] = asyncio.Queue(_CHUNKS_AHEAD)

    def read() -> None:
        chunk: bytes | OSError = b"."
        while chunk and isinstance(chunk, bytes):
            try:
                chunk = os.read(descriptor, CHUNK_BYTES)
            except OSError as error:
                chunk = error
            # The loop may be gone by now: then nobody waits for more.
            with contextlib.suppress(RuntimeError, CancelledError):
                asyncio.run_coroutine_threadsafe(queue.put(chunk), loop).result()
                continue
            return

    threading.Thread(target=read, name="rk-stdin", daemon=True).start()
    while chunk := await queue.get():
        if isinstance(chunk, OSError):
            raise chunk
        yield chunk


async def read_groups(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """Lines without their line feeds, as they come; a last line without a line feed counts too.

    Raises:
        OSError: the chunks cannot be read.
        ValueError: a line is longer than `LINE_MAX_BYTES`.
    """
    rest: list[bytes] = []
    rest_bytes = 0
    async for chunk in chunks:
        head, feed, tail = chunk.rpartition(b"\n")
        if not feed:
            rest.append(tail)
            rest_bytes += len(tail)
            if rest_bytes > LINE_MAX_BYTES:
                raise ValueError(f"a line is longer than {LINE_MAX_BYTES} bytes")
            continue
        rest.append(head)
        for group in grouped(b"".join(rest).split(b"\n")):
            yield group
        rest, rest_bytes = [tail], len(tail)
    if last := b"".join(rest):
        yield [last]


def grouped(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Cut into groups of at most `GROUP_LINES_MAX` lines and `GROUP_BYTES` bytes, or of one longer line."""
    group: list[bytes] = []
    size_bytes = 0
    for line in lines:
        if group and (len(group) == GROUP_LINES_MAX or size_bytes + len(line) > GROUP_BYTES):
            yield group
            group, size_bytes = [], 0
        group.append(line)
        size_bytes += len(line)
    if group:
        yield group
