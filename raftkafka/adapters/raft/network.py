"""The links of this node to the other nodes: listening, dialling, replacing, watching.

Floor 4. Of two voters the one with the higher id dials, an observer dials every voter, so there is one link per pair; a new
link of a peer replaces its old one, which can only be a leftover. The other side dials too when nobody has come for a while:
the peer may have been removed from the voters without knowing it, or the other way round. Invariants: a peer is up exactly while its link is in `_links`; a closed
connection is told at once, and dialled again within a fifth of a second.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import secrets
from collections.abc import Callable, Collection, Iterable
from random import Random
from typing import Final, cast

from raftkafka.adapters.raft.complaints import Complaints
from raftkafka.adapters.raft.link import Link
from raftkafka.adapters.raft.messages import Message, decode, encode
from raftkafka.model.errors import StartupError
from raftkafka.model.ids import NodeId
from raftkafka.model.settings.values import Listener
from raftkafka.ports.consensus import RaftVoter
from raftkafka.wire.node_auth import NONCE_BYTES, NodeAuthClient, NodeAuthServer, NodeIdentity

_log = logging.getLogger("raftkafka.raft")

CONNECT_TIMEOUT_S: Final = 1.0
BACKOFF_FIRST_S: Final = 0.02
BACKOFF_MAX_S: Final = 0.2
PATIENCE_S: Final = 1.0
"""How long at least a node waits for one that should dial."""
KEEPALIVE_S: Final = 0.5
STRANGERS_MAX: Final = 64
"""Connections that have not proved anything yet."""


class Network:
    """Implements `link.LinkOwner`. `on_message` and `on_peer` are called on the loop."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        cluster_secret: bytes,
        identity: Callable[[], NodeIdentity],
        random: Random,
        on_message: Callable[[NodeId, Message], None],
        on_peer: Callable[[NodeId, bool], None],
    ) -> None:
        self._node_id = node_id
        self._secret = cluster_secret
        self._identity = identity
        self._wanted: dict[NodeId, tuple[RaftVoter, bool]] = {}
        self._random = random
        self._on_message = on_message
        self._on_peer = on_peer
        self._links: dict[NodeId, Link] = {}
        self._strangers: set[Link] = set()
        self._dialling: dict[NodeId, tuple[tuple[RaftVoter, bool], asyncio.Task[None]]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._keepalive: asyncio.TimerHandle | None = None
        self._open = False
        self._complaints = Complaints(_log)

    async def listen(self, listener: Listener) -> None:
        """Bind; connections are closed at once until `start`.

        Raises:
            StartupError: the port is in use, or the address is not ours.
        """
        host, port = listener.host, listener.port
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._accept, host or None, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StartupError(f"controller port {port} on {host or '*'} is in use by another program") from error
            raise StartupError(f"cannot listen on controller {host}:{port}: {error.strerror or error}") from error

    @property
    def port(self) -> int | None:
        return None if self._server is None else int(self._server.sockets[0].getsockname()[1])

    def start(self) -> None:
        self._open = True
        self._open_dials()
        self._keepalive = asyncio.get_running_loop().call_later(KEEPALIVE_S, self._watch)

    def dial(self, voters: Iterable[RaftVoter], *, patiently: Collection[NodeId] = ()) -> None:
        """Keep a connection to each of these from now on, and dial nobody else; links that are up stay. Those `patiently`
        are dialled only when they have not dialled us for a while."""
        self._wanted = {voter.node_id: (voter, voter.node_id in patiently) for voter in voters}
        if self._open:
            self._open_dials()

    def _open_dials(self) -> None:
        for node_id, (wanted, task) in list(self._dialling.items()):
            if self._wanted.get(node_id) != wanted:
                del self._dialling[node_id]
                task.cancel()
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
        loop = asyncio.get_running_loop()
        for node_id, (voter, patient) in self._wanted.items():
            if node_id not in self._dialling:
                task = loop.create_task(self._dial(voter, patient=patient))
                self._dialling[node_id] = (voter, patient), task

    def halt(self) -> None:
        """Send and receive nothing from now on; may be called from anywhere."""
        self._open = False
        if self._keepalive is not None:
            self._keepalive.cancel()
        for link in [*self._links.values(), *self._strangers]:
            link.abort()

    async def stop(self) -> None:
        self.halt()
        tasks = [*self._ending, *(task for _, task in self._dialling.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._dialling = {}
        if self._server is not None:
            self._server.close()
            self._server = None

    def send(self, node_id: NodeId, message: Message) -> bool:
        """False where there is no link; True promises nothing."""
        link = self._links.get(node_id)
        return self._open and link is not None and link.send(encode(message))

    def link_of(self, node_id: NodeId) -> Link | None:
        """Identifies the present connection; another one means that messages may have been lost in between."""
        return self._links.get(node_id)

    def directory_of(self, node_id: NodeId) -> bytes:
        """The Raft directory of a connected node, empty where there is no link, or no such id."""
        link = self._links.get(node_id)
        return b"" if link is None else link.directory_id

    @property
    def connected(self) -> frozenset[NodeId]:
        return frozenset(self._links)

    # link.LinkOwner

    def link_up(self, link: Link) -> bool:
        peer = link.peer
        self._strangers.discard(link)
        if not self._open or peer is None or peer == self._node_id:
            return False
        old = self._links.pop(peer, None)
        if old is not None:
            old.abort()
            self._on_peer(peer, False)
        self._links[peer] = link
        _log.info("connected to node %d", peer)
        self._on_peer(peer, True)
        return True

    def link_frame(self, link: Link, frame: bytes) -> None:
        if link.peer is not None and self._links.get(link.peer) is link and self._open:
            self._on_message(link.peer, decode(frame))

    def link_closed(self, link: Link) -> None:
        self._strangers.discard(link)
        if link.peer is not None and self._links.get(link.peer) is link:
            del self._links[link.peer]
            if self._open:
                _log.info("lost the connection to node %d", link.peer)
                self._on_peer(link.peer, False)

    # Both ways to a link

    def _accept(self) -> asyncio.Protocol:
        if not self._open or len(self._strangers) >= STRANGERS_MAX:
            return _Closed()
        link = Link(
            self,
            NodeAuthServer(
                secret=self._secret,
                node_id=self._node_id,
                nonce=secrets.token_bytes(NONCE_BYTES),
                identity=self._identity(),
            ),
            self._complaints,
        )
        self._strangers.add(link)
        return link

    def _dialled(self, voter: RaftVoter) -> Link:
        nonce = secrets.token_bytes(NONCE_BYTES)
        auth = NodeAuthClient(
            secret=self._secret,
            node_id=self._node_id,
            nonce=nonce,
            expected=voter.node_id,
            identity=self._identity(),
        )
        link = Link(self, auth, self._complaints)
        self._strangers.add(link)
        return link

    async def _dial(self, voter: RaftVoter, *, patient: bool) -> None:
        """Keep a connection to `voter`, for ever."""
        backoff_s = BACKOFF_FIRST_S
        while True:
            link = self._links.get(voter.node_id)
            if link is not None:
                # From the time when the other side dialled. Waited for without a claim to it: others may do so as well.
                await asyncio.wait([link.closed])
                continue
            if patient:
                await asyncio.sleep(PATIENCE_S * self._random.uniform(1, 2))
                if voter.node_id in self._links:
                    continue
            try:
                link = await self._connect(voter)
            except (OSError, TimeoutError, UnicodeError) as error:
                _log.debug("cannot reach voter %d: %s", voter.node_id, error)
            else:
                await asyncio.wait([link.closed])
                if link.peer is not None:
                    backoff_s = BACKOFF_FIRST_S
            await asyncio.sleep(backoff_s * self._random.uniform(0.5, 1))
            backoff_s = min(2 * backoff_s, BACKOFF_MAX_S)

    async def _connect(self, voter: RaftVoter) -> Link:
        link = self._dialled(voter)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await asyncio.get_running_loop().create_connection(lambda: link, voter.host, voter.port)
        except (OSError, TimeoutError, UnicodeError, asyncio.CancelledError):
            link.abandon()
            raise
        return link

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        for link in list(self._links.values()):
            link.check_idle(loop.time())
        if self._open:
            self._keepalive = loop.call_later(KEEPALIVE_S, self._watch)


class _Closed(asyncio.Protocol):
    """A connection that comes too early, or once too often."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()
