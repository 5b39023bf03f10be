"""The admin client as the scripts use it. Floor 5."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from raftkafka.cli.scripts.entry import warn
from raftkafka.cli.scripts.options import Parsed

if TYPE_CHECKING:
    from raftkafka.client.admin import Admin

_PATIENCE_MS: Final = 60_000
_SLOW_S: Final = 3.0


@asynccontextmanager
async def admin_of(
    parsed: Parsed, *, config: str = "command-config", patience_ms: int = _PATIENCE_MS
) -> AsyncIterator[Admin]:
    """A started client for --bootstrap-server and the property file that the option `config` names."""
    import asyncio

    from raftkafka.cli.scripts.settings import arguments_for, read_file
    from raftkafka.client.admin import Admin

    servers = parsed.needed("bootstrap-server")
    # Kafka's default.api.timeout.ms; its request.timeout.ms concerns each request and is covered by it.
    properties = {"default.api.timeout.ms": str(patience_ms), **read_file(parsed.text(config))}
    client = Admin(servers, **arguments_for(Admin, properties, beside={"request.timeout.ms"}))
    slow = f"No answer from {servers} yet. Broker may not be available."
    timer = asyncio.get_running_loop().call_later(_SLOW_S, warn, slow)
    try:
        async with client:
            yield client
    finally:
        timer.cancel()
