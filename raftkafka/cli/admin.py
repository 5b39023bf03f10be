"""The admin client as the commands use it. Floor 5."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from raftkafka.cli.options import CONNECT_TIMEOUT_MS_MAX

if TYPE_CHECKING:
    from raftkafka.client.admin import Admin


@asynccontextmanager
async def admin_of(bootstrap_server: str, timeout_ms: int) -> AsyncIterator[Admin]:
    """A started client; a cluster that keeps it waiting is told to whoever waits."""
    from raftkafka.cli.session import told_when_slow
    from raftkafka.client.admin import Admin

    client = Admin(
        bootstrap_server,
        client_id="rk-admin",
        default_api_timeout_ms=timeout_ms,
        connect_timeout_ms=min(timeout_ms, CONNECT_TIMEOUT_MS_MAX),
    )
    with told_when_slow(bootstrap_server, timeout_ms):
        async with client:
            yield client
