"""The clients inside the node: what the API changes and asks goes through the node's own listener, as for every client. Floor 4.

So validation, forwarding to the controller, quotas and error codes are the same as everywhere. One of each kind, made when first needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from raftkafka.client.admin import Admin

CLIENT_ID: Final = "raftkafka-console"
TIMEOUT_MS: Final = 15_000
"""Of one call; shorter than what the listener gives a whole request, so that a late answer is an error that says so."""


class Clients:
    def __init__(self, address: Callable[[], tuple[str, int]]) -> None:
        self._address = address
        self._starting = asyncio.Lock()
        self._admin: Admin | None = None

    async def admin(self) -> Admin:
        async with self._starting:
            if self._admin is None:
                from raftkafka.client.admin import Admin

                admin = Admin(self.bootstrap, client_id=CLIENT_ID, default_api_timeout_ms=TIMEOUT_MS)
                await admin.start()
                self._admin = admin
            return self._admin

    @property
    def bootstrap(self) -> str:
        host, port = self._address()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def stop(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.stop()
