"""Open connections of one client, by address and lane, and the race between addresses that may all answer. Floor 3."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from raftkafka.client.types import NotReachableError
from raftkafka.model.api import Request, Response
from raftkafka.model.errors import ConfigurationError, RaftKafkaError

_T = TypeVar("_T")

HEDGE_S: Final = 0.1
"""A node that has not answered for so long is not waited for alone; the next one is asked beside it."""


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Channel(Protocol):
    """A connection as the client's upper half sees it; `client.connection.Connection` is the real one."""

    closed: bool
    on_close: list[Callable[[Any], None]]

    def request(self, request: Request, *, timeout_s: float = 30) -> asyncio.Future[Response]: ...

    def ask(
        self, request: Request, *, timeout_s: float, on_answer: Callable[[Response | RaftKafkaError], None]
    ) -> None: ...

    def send(self, request: Request) -> None: ...

    @property
    def unsent_bytes(self) -> int: ...

    async def drain(self) -> None: ...

    async def close(self) -> None: ...

    def abort(self) -> None: ...


Connect = Callable[[str, int], Awaitable[Channel]]
"""Opens a connection to host and port, or raises a `RaftKafkaError`."""


def parse_bootstrap(servers: str | Sequence[str]) -> tuple[Address, ...]:
    """`"host:port,host:port"`, or a sequence of such; IPv6 hosts in brackets; a port left out is 9092.

    Raises:
        ConfigurationError: nothing is named, or a port is no port.
    """
    entries = servers.split(",") if isinstance(servers, str) else list(servers)
    addresses = []
    for entry in filter(None, (entry.strip() for entry in entries)):
        host, _, port = entry.rpartition(":") if ":" in entry and not entry.endswith("]") else (entry, "", "9092")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(f"bootstrap_servers: {entry!r} is not host:port")
        addresses.append(Address(host.strip("[]"), int(port)))
    if not addresses:
        raise ConfigurationError("bootstrap_servers names no server")
    return tuple(addresses)


class ChannelPool:
    """One connection for each address and lane, opened when first asked for; whoever asks meanwhile shares the attempt.

    A lane separates what may wait long (produce, fetch) from what must not: answers keep order per connection.
    """

    def __init__(self, *, connect: Connect, on_close: Callable[[], None]) -> None:
        self._connect = connect
        self._on_close = on_close
        self._channels: dict[tuple[Address, str], Channel] = {}
        self._connecting: dict[tuple[Address, str], asyncio.Task[Channel]] = {}
        self._slow: set[Address] = set()

    def live(self, address: Address, lane: str) -> Channel | None:
        """An open connection, without waiting; None when there is none yet."""
        channel = self._channels.get((address, lane))
        return None if channel is None or channel.closed else channel

    def connecting(self, address: Address, lane: str) -> asyncio.Task[Channel]:
        """The attempt to connect that is under way, begun now if there was none."""
        key = (address, lane)
        task = self._connecting.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._open(key))
            self._connecting[key] = task
            task.add_done_callback(_retrieve)
        return task

    async def get(self, address: Address, lane: str) -> Channel:
        """An open connection. Raises what `connect` raises."""
        channel = self.live(address, lane)
        return await asyncio.shield(self.connecting(address, lane)) if channel is None else channel

    async def _open(self, key: tuple[Address, str]) -> Channel:
        try:
            channel = await self._connect(key[0].host, key[0].port)
            channel.on_close.append(lambda _: self._on_close())
            self._channels[key] = channel
            return channel
        finally:
            del self._connecting[key]

    def keep_only(self, addresses: Collection[Address]) -> None:
        """Close connections to other addresses (a broker that moved)."""
        self._slow &= set(addresses)
        for key in [key for key, channel in self._channels.items() if channel.closed or key[0] not in addresses]:
            self._channels.pop(key).abort()

    async def close(self) -> None:
        connecting = list(self._connecting.values())
        for task in connecting:
            task.cancel()
        await asyncio.gather(*connecting, return_exceptions=True)
        channels, self._channels = list(self._channels.values()), {}
        await asyncio.gather(*(channel.close() for channel in channels), return_exceptions=True)

    async def first(
        self,
        addresses: Sequence[Address],
        attempt: Callable[[Address], Coroutine[None, None, _T]],
        *,
        connected_first: bool = True,
    ) -> _T:
        """The first success, attempts being started one after the other without waiting long for any of them.

        Connected addresses go first unless told otherwise, and last those that were overtaken the last time.

        Raises:
            NotReachableError: every attempt failed; the message names each with its reason.
        """
        live = {address for (address, _), channel in self._channels.items() if connected_first and not channel.closed}
        waiting = sorted(addresses, key=lambda address: (address in self._slow, address not in live))
        running: dict[asyncio.Task[_T], Address] = {}
        failures: list[str] = []
        loop = asyncio.get_running_loop()
        try:
            while waiting or running:
                if waiting:
                    address = waiting.pop(0)
                    running[loop.create_task(attempt(address))] = address
                done, _ = await asyncio.wait(
                    running, timeout=HEDGE_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in [each for each in running if each in done]:
                    address = running.pop(task)
                    error = task.exception()
                    if error is None:
                        self._slow.discard(address)
                        self._slow.update(running.values())
                        return task.result()
                    if not isinstance(error, RaftKafkaError):
                        raise error
                    failures.append(f"{address}: {error}")
            raise NotReachableError("no broker answered: " + "; ".join(failures))
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def _retrieve(task: asyncio.Task[Channel]) -> None:
    """A failed attempt to connect that nobody waits for any more is no news."""
    if not task.cancelled():
        task.exception()
