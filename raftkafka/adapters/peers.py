"""`ports.peer.Peers` over the native protocol: this node's requests to the other nodes.

Floor 4. Invariants: one connection per node and lane, authenticated in both directions before anything is asked; callers
that come while it is being opened share that attempt; a node that does not answer costs its callers a bounded wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from raftkafka.client.connection import (
    Connection,
    ConnectionClosedError,
    ConnectionFailedError,
    NodeCredentials,
    RequestTimedOutError,
)
from raftkafka.model.api import Request, Response
from raftkafka.model.api.cluster import ApiVersions
from raftkafka.model.errors import ApiError
from raftkafka.model.ids import NodeId
from raftkafka.ports.peer import PeerUnavailableError
from raftkafka.wire.busy_poll import BusyPoll

BACKOFF_MIN_S: Final = 0.02
BACKOFF_MAX_S: Final = 0.5


class _Lane:
    """The connection to one node for one purpose, and how it is faring."""

    __slots__ = ("address", "connection", "failures", "not_before", "opening")

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.address: tuple[str, int] | None = None
        self.opening: asyncio.Task[Connection] | None = None
        self.failures = 0
        self.not_before = 0.0


class NodePeers:
    """`resolve` gives the inter-broker address of a node in the metadata image, None for an unknown node."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        cluster_secret: bytes,
        resolve: Callable[[NodeId], tuple[str, int] | None],
        client_id: str,
        connect_timeout_s: float = 2.0,
        cluster_id: Callable[[], str] = lambda: "",
        busy_poll: BusyPoll | None = None,
    ) -> None:
        self._node_id = node_id
        self._secret = cluster_secret
        self._cluster_id = cluster_id
        self._resolve = resolve
        self._client_id = client_id
        self._connect_timeout_s = connect_timeout_s
        self._busy_poll = busy_poll
        self._lanes: dict[tuple[NodeId, str], _Lane] = {}
        self._closed = False

    async def request(self, node_id: NodeId, request: Request, *, timeout_s: float, lane: str = "control") -> Response:
        """See `ports.peer.Peers.request`. An error in place of a response is raised as ApiError."""
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._connection(node_id, lane)
                sent_at = asyncio.get_running_loop().time()
                try:
                    return await connection.request(request, timeout_s=timeout_s)
                except (asyncio.CancelledError, RequestTimedOutError):
                    if connection.last_received_at < sent_at and self._overdue(sent_at, timeout_s):
                        # Not a byte since: the node may be stopped. A new connection will show.
                        connection.abort()
                    raise
        except TimeoutError as error:
            raise PeerUnavailableError(f"node {node_id} did not answer within {timeout_s:g} s") from error
        except (ConnectionFailedError, ConnectionClosedError, RequestTimedOutError) as error:
            raise PeerUnavailableError(f"node {node_id}: {error}") from error

    @staticmethod
    def _overdue(sent_at: float, timeout_s: float) -> bool:
        return asyncio.get_running_loop().time() - sent_at >= timeout_s / 2

    async def probe(self, node_id: NodeId, *, timeout_s: float) -> bool:
        """True when the node answers ApiVersions on a new connection in time.

        An accepted connection alone says nothing: the kernel accepts for a process that is stopped.
        """
        address = self._resolve(node_id)
        if address is None:
            return False
        connection: Connection | None = None
        try:
            async with asyncio.timeout(timeout_s):
                connection = await Connection.open(*address, client_id=self._client_id, connect_timeout_s=timeout_s)
                await connection.request(ApiVersions(), timeout_s=timeout_s)
        except (TimeoutError, ConnectionFailedError, ConnectionClosedError, RequestTimedOutError, ApiError):
            return False
        else:
            return True
        finally:
            if connection is not None:
                connection.abort()

    async def close(self) -> None:
        self._closed = True
        lanes, self._lanes = list(self._lanes.values()), {}
        for lane in lanes:
            if lane.opening is not None:
                lane.opening.cancel()
                await asyncio.wait([lane.opening])
            if lane.connection is not None:
                lane.connection.abort()

    async def _connection(self, node_id: NodeId, name: str) -> Connection:
        if self._closed:
            raise ConnectionClosedError("this node is stopping")
        address = self._resolve(node_id)
        if address is None:
            raise ConnectionFailedError("its address is not known")
        lane = self._lanes.setdefault((node_id, name), _Lane())
        connection = lane.connection
        if connection is not None and not connection.closed and lane.address == address:
            return connection
        if lane.opening is None:
            lane.opening = asyncio.create_task(self._open(lane, node_id, address))
            # Retrieved here as well: all callers may have run out of time before it fails.
            lane.opening.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Shielded: one caller's timeout must not end the attempt of the others.
        opening = lane.opening
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if opening.cancelled() and (task is None or not task.cancelling()):
                raise ConnectionClosedError("this node is stopping") from None
            raise

    async def _open(self, lane: _Lane, node_id: NodeId, address: tuple[str, int]) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(max(0.0, lane.not_before - loop.time()))
            if lane.connection is not None:
                lane.connection.abort()
                lane.connection = None
            host, port = address
            connection = await Connection.open(
                host,
                port,
                client_id=self._client_id,
                connect_timeout_s=self._connect_timeout_s,
                node_auth=NodeCredentials(
                    node_id=self._node_id, secret=self._secret, expected=node_id, cluster_id=self._cluster_id()
                ),
                busy_poll=self._busy_poll,
            )
        except ConnectionFailedError:
            lane.not_before = loop.time() + min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(lane.failures, 10))
            lane.failures += 1
            raise
        else:
            lane.failures = 0
            lane.connection, lane.address = connection, address
            return connection
        finally:
            lane.opening = None
