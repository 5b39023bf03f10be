"""Connections to brokers, and the view of the cluster that says which one to ask. Floor 3.

One refresh is under way at a time, whoever asked for it. It goes to several nodes, staggered: a node that is dead or stopped
costs a fraction of a second and never the answer. Consecutive refreshes keep a growing distance, so that a cluster
without a leader is not flooded; the distance starts small again when the last demand is long past or leadership moves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from random import Random
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from raftkafka.client.backoff import Backoff
from raftkafka.client.cluster import ClusterView
from raftkafka.client.types import NotReachableError
from raftkafka.model.api import Request, Response
from raftkafka.model.api.cluster import Metadata, MetadataResponse
from raftkafka.model.errors import ConfigurationError, RaftKafkaError
from raftkafka.model.ids import LeaderEpoch, NodeId, PartitionIndex, TopicId

_log = logging.getLogger("raftkafka.client")
_T = TypeVar("_T")

HEDGE_S: Final = 0.1
"""A node that has not answered Metadata for so long is not waited for alone; the next one is asked beside it."""

METADATA_TIMEOUT_S: Final = 2.0
SILENCE_S: Final = 1.0
"""After so long without an answer that was due, clients look whether leadership has moved meanwhile."""

REFRESH_BACKOFF: Final = Backoff(first_s=0.02, max_s=0.2)
CALM_AFTER_S: Final = 1.0


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

    def send(self, request: Request) -> None: ...

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


class Router:
    """The brokers of one cluster, for one client. `start` before use, `stop` closes all connections."""

    def __init__(
        self,
        *,
        bootstrap: Sequence[Address],
        connect: Connect,
        random: Random,
        metadata_max_age_s: float = 300.0,
        allow_auto_topic_creation: bool = False,
    ) -> None:
        self.view = ClusterView()
        self.on_update: list[Callable[[], None]] = []
        """Called after every refresh that brought an answer."""
        self._bootstrap = tuple(bootstrap)
        self._connect = connect
        self._random = random
        self._metadata_max_age_s = metadata_max_age_s
        self._allow_auto_topic_creation = allow_auto_topic_creation
        self._topics: set[str] = set()
        self._channels: dict[tuple[Address, str], Channel] = {}
        self._connecting: dict[tuple[Address, str], asyncio.Task[Channel]] = {}
        self._demand = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._refresher: asyncio.Task[None] | None = None
        self._last_failure: RaftKafkaError | None = None
        self._slow: set[Address] = set()

    async def start(self) -> None:
        if self._refresher is None:
            self._refresher = asyncio.get_running_loop().create_task(self._refresh_for_ever())

    async def stop(self) -> None:
        tasks: list[asyncio.Task[Channel] | asyncio.Task[None]] = [*self._connecting.values()]
        if self._refresher is not None:
            tasks.append(self._refresher)
            self._refresher = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        channels, self._channels = list(self._channels.values()), {}
        await asyncio.gather(*(channel.close() for channel in channels), return_exceptions=True)
        for waiter in self._waiters:
            waiter.cancel()
        self._waiters.clear()

    # The view

    def track(self, topics: Iterable[str]) -> None:
        """Ask for these topics too from now on."""
        new = set(topics) - self._topics
        if new:
            self._topics |= new
            self.request_update()

    def track_only(self, topics: Iterable[str]) -> None:
        """Ask for these topics and no others from now on."""
        wanted = set(topics)
        grown = bool(wanted - self._topics)
        self._topics = wanted
        self.view.forget_except(wanted)
        if grown:
            self.request_update()

    def request_update(self) -> None:
        """The view is wrong or incomplete; a refresh follows soon. Cheap, call it at will."""
        self._demand.set()

    async def updated(self) -> None:
        """Ask for a refresh and wait until one brought an answer."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self.request_update()
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    async def wait_until(self, condition: Callable[[], bool], *, timeout_s: float) -> bool:
        """Refresh until `condition` holds; False when time is up first."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await self.updated()
        except TimeoutError:
            return condition()
        return True

    @property
    def last_failure(self) -> RaftKafkaError | None:
        """Why the last refresh failed; None when it did not."""
        return self._last_failure

    def hint(self, topic_id: TopicId, partition: PartitionIndex, leader: NodeId, leader_epoch: LeaderEpoch) -> bool:
        """As `ClusterView.hint`; a hint that cannot be used asks for a refresh."""
        used = self.view.hint(topic_id, partition, leader, leader_epoch)
        if not used:
            self.request_update()
        return used

    # Connections

    def address(self, node_id: NodeId) -> Address | None:
        broker = self.view.brokers.get(node_id)
        return None if broker is None else Address(broker.host, broker.port)

    def live_channel(self, node_id: NodeId, *, lane: str = "control") -> Channel | None:
        """An open connection, without waiting; None when there is none yet."""
        address = self.address(node_id)
        channel = self._channels.get((address, lane)) if address is not None else None
        return None if channel is None or channel.closed else channel

    async def channel(self, node_id: NodeId, *, lane: str = "control") -> Channel:
        """A connection to a broker; whoever asks meanwhile shares the attempt.

        `lane` separates what may wait long (produce, fetch) from what must not: answers keep order per connection.

        Raises:
            RaftKafkaError: the broker is not known or not reachable.
        """
        address = self.address(node_id)
        if address is None:
            self.request_update()
            raise NotReachableError(f"broker {node_id} is not known")
        return await self._channel_at(address, lane)

    async def ask_any(self, request: Request, *, timeout_s: float) -> Response:
        """Send to one node that can be reached: connected ones first. Safe for requests that must not be sent twice.

        Raises:
            RaftKafkaError: nobody could be reached, or the answer did not come (then the outcome is unknown, I18).
        """
        async with asyncio.timeout(timeout_s):
            channel = await self._first(lambda address: self._channel_at(address, "control"))
        return await channel.request(request, timeout_s=timeout_s)

    async def _channel_at(self, address: Address, lane: str) -> Channel:
        key = (address, lane)
        channel = self._channels.get(key)
        if channel is not None and not channel.closed:
            return channel
        task = self._connecting.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._open(key))
            self._connecting[key] = task
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    async def _open(self, key: tuple[Address, str]) -> Channel:
        try:
            channel = await self._connect(key[0].host, key[0].port)
            channel.on_close.append(lambda _: self.request_update())  # a leader may have died: look at once
            self._channels[key] = channel
            return channel
        finally:
            del self._connecting[key]

    def _candidates(self) -> list[Address]:
        """Everybody who may know: nodes with an open connection, then brokers, then the bootstrap servers."""
        brokers = [Address(broker.host, broker.port) for broker in self.view.brokers.values()]
        bootstrap = list(self._bootstrap)
        self._random.shuffle(brokers)
        self._random.shuffle(bootstrap)
        addresses = list(dict.fromkeys(brokers + bootstrap))
        live = {address for (address, _), channel in self._channels.items() if not channel.closed}
        return sorted(addresses, key=lambda address: (address in self._slow, address not in live))

    # Refreshing

    async def _refresh_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        in_a_row = 0
        last_s = loop.time() - CALM_AFTER_S
        while True:
            try:
                async with asyncio.timeout(self._metadata_max_age_s):
                    await self._demand.wait()
            except TimeoutError:
                pass
            in_a_row = 0 if loop.time() - last_s >= CALM_AFTER_S else in_a_row + 1
            if in_a_row:
                await asyncio.sleep(REFRESH_BACKOFF.delay_s(in_a_row, self._random))
            self._demand.clear()
            moved = await self._refresh()
            if moved:
                in_a_row = 0
            last_s = loop.time()

    async def _refresh(self) -> bool:
        asked = tuple(sorted(self._topics))
        request = Metadata(topics=asked, allow_auto_topic_creation=self._allow_auto_topic_creation)
        try:
            response = await self._first(lambda address: self._ask(address, request))
        except RaftKafkaError as error:
            if self._last_failure is None:
                _log.warning("no answer to Metadata: %s", error)
            self._last_failure = error
            self._demand.set()
            return False
        self._last_failure = None
        moved = self.view.apply(response)
        self._close_strangers()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        for callback in self.on_update:
            callback()
        return moved

    async def _ask(self, address: Address, request: Metadata) -> MetadataResponse:
        channel = await self._channel_at(address, "control")
        response = await channel.request(request, timeout_s=METADATA_TIMEOUT_S)
        assert isinstance(response, MetadataResponse)
        return response

    async def _first(self, attempt: Callable[[Address], Coroutine[None, None, _T]]) -> _T:
        """The first success among all candidates, started one after the other without waiting long for any of them.

        Raises:
            NotReachableError: every attempt failed; the message names each with its reason.
        """
        waiting = self._candidates()
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
                for task in done:
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

    def _close_strangers(self) -> None:
        """Close connections to addresses that no broker has any more (a broker that moved, a stale bootstrap entry)."""
        known = {Address(broker.host, broker.port) for broker in self.view.brokers.values()} | set(self._bootstrap)
        self._slow &= known
        for key in [key for key, channel in self._channels.items() if channel.closed or key[0] not in known]:
            channel = self._channels.pop(key)
            channel.abort()


def _retrieve(task: asyncio.Task[Channel]) -> None:
    """A failed attempt to connect that nobody waits for any more is no news."""
    if not task.cancelled():
        task.exception()
