"""Connections to brokers, and the view of the cluster that says which one to ask. Floor 3.

One refresh is under way at a time, whoever asked for it. It goes to several nodes, staggered: a node that is dead or stopped
costs a fraction of a second and never the answer. Consecutive refreshes keep a growing distance, so that a cluster
without a leader is not flooded; the distance starts small again when the last demand is long past or leadership moves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Final

from raftkafka.client.backoff import Backoff
from raftkafka.client.channels import Address, Channel, ChannelPool, Connect
from raftkafka.client.cluster import ClusterView
from raftkafka.client.types import NotReachableError
from raftkafka.model.api import Request, Response
from raftkafka.model.api.cluster import Metadata, MetadataResponse
from raftkafka.model.errors import ErrorCode, ProtocolError, RaftKafkaError
from raftkafka.model.ids import LeaderEpoch, NodeId, PartitionIndex, TopicId

_log = logging.getLogger("raftkafka.client")

CONTROL: Final = "control"
"""The lane of requests that are answered at once."""

METADATA_TIMEOUT_S: Final = 2.0
REFRESH_BACKOFF: Final = Backoff(first_s=0.02, max_s=0.2)
CALM_AFTER_S: Final = 1.0


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
        self._pool = ChannelPool(connect=connect, on_close=self.request_update)  # a leader may have died: look at once
        self._random = random
        self._metadata_max_age_s = metadata_max_age_s
        self._allow_auto_topic_creation = allow_auto_topic_creation
        self._topics: set[str] = set()
        self._demand = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._refresher: asyncio.Task[None] | None = None
        self._last_failure: RaftKafkaError | None = None
        self._last_was_in_vain = False
        """A node that is cut off from the others goes on answering, to no avail: the next one asked may be any."""

    async def start(self) -> None:
        if self._refresher is None:
            self._refresher = asyncio.get_running_loop().create_task(self._refresh_for_ever())

    async def stop(self) -> None:
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)
            self._refresher = None
        await self._pool.close()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(NotReachableError("the client was stopped"))

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

    def live_channel(self, node_id: NodeId, *, lane: str) -> Channel | None:
        """An open connection, without waiting; None when there is none yet (see `dial`)."""
        address = self.address(node_id)
        return None if address is None else self._pool.live(address, lane)

    def dial(self, node_id: NodeId, *, lane: str, on_done: Callable[[RaftKafkaError | None], None]) -> None:
        """Connect in the background; `on_done` is told None, or why not (then a refresh has been asked for)."""
        address = self.address(node_id)
        if address is None:
            self.request_update()
            asyncio.get_running_loop().call_soon(on_done, NotReachableError(f"broker {node_id} is not known"))
            return

        def done(task: asyncio.Task[Channel]) -> None:
            if task.cancelled():
                return
            error = task.exception()
            if error is not None and not isinstance(error, RaftKafkaError):
                raise error
            if error is not None:
                _log.debug("broker %d: %s", node_id, error)
                self.request_update()
            on_done(error)

        self._pool.connecting(address, lane).add_done_callback(done)

    async def channel(self, node_id: NodeId, *, lane: str = CONTROL) -> Channel:
        """An open connection to a broker.

        Raises:
            RaftKafkaError: the broker is not known or not reachable.
        """
        address = self.address(node_id)
        if address is None:
            self.request_update()
            raise NotReachableError(f"broker {node_id} is not known")
        return await self._pool.get(address, lane)

    async def ask_any(self, request: Request, *, timeout_s: float) -> Response:
        """Send to one node that answers: connected ones first. Safe for requests that must not be sent twice.

        Raises:
            NotReachableError: nobody answered, so nothing was sent.
            RaftKafkaError: the answer did not come; the outcome is unknown (I18).
        """
        candidates = self._candidates()
        try:
            async with asyncio.timeout(timeout_s):
                channel = await self._pool.first(
                    candidates, self._answering, connected_first=not self._last_was_in_vain
                )
        except TimeoutError as error:
            asked = ", ".join(map(str, candidates))
            raise NotReachableError(f"no broker answered within {timeout_s:g} s: {asked}") from error
        self._last_was_in_vain = True
        response = await channel.request(request, timeout_s=timeout_s)
        self._last_was_in_vain = getattr(response, "error_code", ErrorCode.NONE) is not ErrorCode.NONE
        return response

    async def _answering(self, address: Address) -> Channel:
        """A connection with somebody awake behind it: the kernel accepts, and keeps open, for a process that is stopped."""
        channel = await self._pool.get(address, CONTROL)
        await channel.request(Metadata(topics=()), timeout_s=METADATA_TIMEOUT_S)
        return channel

    def _candidates(self) -> list[Address]:
        """Everybody who may know: the brokers, then the bootstrap servers."""
        brokers = [Address(broker.host, broker.port) for broker in self.view.brokers.values()]
        bootstrap = list(self._bootstrap)
        self._random.shuffle(brokers)
        self._random.shuffle(bootstrap)
        return list(dict.fromkeys(brokers + bootstrap))

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
            response = await self._pool.first(
                self._candidates(),
                lambda address: self._ask(address, request),
                connected_first=not self._last_was_in_vain,
            )
        except RaftKafkaError as error:
            if self._last_failure is None:
                _log.warning("no answer to Metadata: %s", error)
            self._last_failure = error
            self._demand.set()
            return False
        self._last_failure = None
        moved = self.view.apply(response)
        self._last_was_in_vain = not moved
        self._pool.keep_only(self._candidates())
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        for callback in self.on_update:
            callback()
        return moved

    async def _ask(self, address: Address, request: Metadata) -> MetadataResponse:
        channel = await self._pool.get(address, CONTROL)
        response = await channel.request(request, timeout_s=METADATA_TIMEOUT_S)
        if not isinstance(response, MetadataResponse):
            raise ProtocolError(f"Metadata was answered by {type(response).__name__}")
        return response
