"""Servers that tests listen with, ended so that no connection outlives the loop."""

from __future__ import annotations

import asyncio

PATIENCE_S = 30


async def ended(server: asyncio.Server) -> None:
    """Close the server and wait until each connection that it has accepted is gone; somebody must be closing those.

    `Server.wait_closed` does that from Python 3.12 on only, and one accepted in this turn of the loop is made two turns later.
    """
    server.close()
    for _ in range(3):
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        while getattr(server, "_active_count", 0):
            await asyncio.sleep(0.001)
