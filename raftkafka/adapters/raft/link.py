"""One connection between two nodes: frames, and the proof that both know the cluster secret.

Floor 4. A frame is a 4-byte length (little endian) and a payload; an empty one says that the sender lives. Invariants:
before the proof nothing longer than its messages is accepted and nothing reaches Raft; whatever a peer does wrong closes
this connection with one log line and reaches nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import Final, Protocol, cast

from raftkafka.adapters.raft.complaints import Complaints
from raftkafka.adapters.raft.messages import FRAME_MAX_BYTES
from raftkafka.model.errors import ProtocolError
from raftkafka.model.ids import NodeId
from raftkafka.wire.node_auth import MESSAGE_MAX_BYTES, NodeAuthClient, NodeAuthServer

_log = logging.getLogger("raftkafka.raft")

HANDSHAKE_TIMEOUT_S: Final = 2.0
IDLE_TIMEOUT_S: Final = 3.0
"""Alive peers send something every second, so this much silence means a half-open connection."""
UNSENT_MAX_BYTES: Final = 64 << 20
"""A peer that reads slower than this is cut off; it comes back by a snapshot or by entries, in its own time."""

_LENGTH: Final = struct.Struct("<I")


class LinkOwner(Protocol):
    """Who is told what happens on a link."""

    def link_up(self, link: Link) -> bool:
        """The peer has proved to be `link.peer`; False refuses it."""
        ...

    def link_frame(self, link: Link, frame: bytes) -> None:
        """Raises ProtocolError for a frame that is no message."""
        ...

    def link_closed(self, link: Link) -> None: ...


class Link(asyncio.Protocol):
    """`auth` decides the side: the client dialled. `peer` is None until the other node has proved who it is."""

    def __init__(
        self, owner: LinkOwner, auth: NodeAuthClient | NodeAuthServer, complaints: Complaints | None = None
    ) -> None:
        self._owner = owner
        self._complaints = complaints if complaints is not None else Complaints(_log)
        self._auth = auth
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._handshake_timer: asyncio.TimerHandle | None = None
        self._remote = self._remote_address = "?"
        self._challenged = False
        self._aborted = False
        self.peer: NodeId | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.heard_at = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, no check: uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if self._aborted:
            # The node was stopped between the accept and this turn of the loop.
            self._transport.abort()
            return
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            self._remote, self._remote_address = str(name[0]), f"{name[0]}:{name[1]}"
        else:
            self._remote = self._remote_address = str(name)
        self._handshake_timer = self._loop.call_later(HANDSHAKE_TIMEOUT_S, self._refuse, "no proof in time")
        if isinstance(self._auth, NodeAuthClient):
            self.send(self._auth.first())

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        self._received += data
        try:
            self._cut_frames()
        except ProtocolError as error:
            self._refuse(str(error))

    def _cut_frames(self) -> None:
        position = 0
        received = self._received
        while len(received) - position >= _LENGTH.size and not self.is_closing:
            (length,) = _LENGTH.unpack_from(received, position)
            limit = MESSAGE_MAX_BYTES if self.peer is None else FRAME_MAX_BYTES
            if length > limit:
                raise ProtocolError(f"a frame of {length} bytes exceeds the limit of {limit}")
            end = position + _LENGTH.size + length
            if len(received) < end:
                break
            frame = bytes(memoryview(received)[position + _LENGTH.size : end])
            position = end
            if self.peer is None:
                self._on_handshake(frame)
            elif frame:
                self._owner.link_frame(self, frame)
        del received[:position]

    def _on_handshake(self, frame: bytes) -> None:
        if isinstance(self._auth, NodeAuthClient):
            peer, proof = self._auth.on_challenge(frame)
            self.send(proof)
            self._authenticated(peer)
        elif self._challenged:
            self._authenticated(self._auth.on_proof(frame))
        else:
            self._challenged = True
            self.send(self._auth.on_first(frame))

    def _authenticated(self, peer: NodeId) -> None:
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
        self.peer = peer
        if not self._owner.link_up(self):
            self.peer = None
            raise ProtocolError(f"node {peer} is not another node of this cluster")

    def connection_lost(self, exc: Exception | None) -> None:
        if self.closed.done():
            return
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
        self._transport = None
        self._received.clear()
        self.closed.set_result(None)
        self._owner.link_closed(self)

    def abandon(self) -> None:
        """Whoever dialled has given up, perhaps in the turn in which the connection was made.

        uvloop closes such a transport without a word to its protocol, and without `is_closing` telling.
        """
        self.connection_lost(None)

    def send(self, payload: bytes) -> bool:
        """False when the connection is closing, or the peer does not read."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > UNSENT_MAX_BYTES:
            self._refuse("it does not read what it is sent")
            return False
        transport.write(_LENGTH.pack(len(payload)) + payload)
        return True

    def check_idle(self, now: float) -> None:
        """Say that we live, and close the link if the peer has said nothing for long."""
        if now - self.heard_at > IDLE_TIMEOUT_S:
            self._refuse(f"silent for {IDLE_TIMEOUT_S:.0f} s")
        else:
            self.send(b"")

    @property
    def directory_id(self) -> bytes:
        """Of the peer's Raft directory, as it has proved; empty before."""
        return self._auth.peer_identity.directory_id

    @property
    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def abort(self) -> None:
        self._aborted = True
        if self._transport is not None:
            self._transport.abort()

    def _refuse(self, reason: str) -> None:
        if not self.is_closing:
            known = "" if self.peer is None else f"node {self.peer} at "
            self._complaints.say(known + self._remote, reason, self._loop.time(), address=known + self._remote_address)
            self.abort()
