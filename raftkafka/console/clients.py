"""The clients inside the node: what the API changes and asks goes through the node's own listener, as for every client. Floor 4.

So validation, forwarding to the controller, quotas and error codes are the same as everywhere. One of each kind, made when first needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from raftkafka.client.admin import Admin
    from raftkafka.client.consumer import Consumer
    from raftkafka.client.producer import Producer

CLIENT_ID: Final = "raftkafka-console"
READERS_MAX: Final = 4
FETCH_BYTES: Final = 1 << 20
PRODUCE_BYTES_MAX: Final = 2 << 20
TIMEOUT_MS: Final = 15_000
"""Of one call; shorter than what the listener gives a whole request, so that a late answer is an error that says so."""


class Clients:
    def __init__(self, address: Callable[[], tuple[str, int]]) -> None:
        self._address = address
        self._starting = asyncio.Lock()
        self._admin: Admin | None = None
        self._producer: Producer | None = None
        self._reading = asyncio.Semaphore(READERS_MAX)

    async def admin(self) -> Admin:
        async with self._starting:
            if self._admin is None:
                from raftkafka.client.admin import Admin

                admin = Admin(self.bootstrap, client_id=CLIENT_ID, default_api_timeout_ms=TIMEOUT_MS)
                await admin.start()
                self._admin = admin
            return self._admin

    async def producer(self) -> Producer:
        async with self._starting:
            if self._producer is None:
                from raftkafka.client.producer import Producer

                producer = Producer(
                    self.bootstrap,
                    client_id=CLIENT_ID,
                    max_request_size=PRODUCE_BYTES_MAX,
                    delivery_timeout_ms=TIMEOUT_MS,
                    request_timeout_ms=TIMEOUT_MS // 2,
                    max_block_ms=TIMEOUT_MS // 3,
                    allow_auto_create_topics=False,
                )
                await producer.start()
                self._producer = producer
            return self._producer

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Consumer]:
        """One for one request; at most READERS_MAX at a time, the next one waits."""
        async with self._reading, self.consumer(FETCH_BYTES) as consumer:
            yield consumer

    def consumer(self, fetch_bytes: int) -> Consumer:
        """One for as long as somebody follows; not started yet."""
        from raftkafka.client.consumer import Consumer

        return Consumer(
            self.bootstrap,
            client_id=CLIENT_ID,
            fetch_max_bytes=fetch_bytes,
            max_partition_fetch_bytes=fetch_bytes,
            fetch_max_wait_ms=250,
            auto_offset_reset="earliest",
            default_api_timeout_ms=TIMEOUT_MS // 3,
            request_timeout_ms=TIMEOUT_MS // 3,
            allow_auto_create_topics=False,
        )

    @property
    def bootstrap(self) -> str:
        host, port = self._address()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def stop(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.stop()
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop(flush=False)
