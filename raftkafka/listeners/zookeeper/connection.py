"""The shell around one session of ZooKeeper's protocol: bytes in, requests to the service, replies and events out.

Floor 4. Invariants: replies leave in the order of the requests, events and replies in the order in which they are handed over; a
request that is no change of the tree is not begun before all earlier ones are answered, so that it sees their effects and no reply
is older than an event before it; what a connection may hold of this process is bounded (requests under way, bytes received, bytes
unsent), and its faults touch nobody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from raftkafka.listeners.complaints import Complaints
from raftkafka.listeners.held_bytes import LIGHT_BYTES, HeldBytes
from raftkafka.listeners.receive_ring import ReceiveRing
from raftkafka.listeners.zookeeper.traffic import Traffic
from raftkafka.model.errors import ProtocolError
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.events import WatchedEvent
from raftkafka.model.zookeeper.ops import Create, Delete, ErrorResult, Multi, MultiResult, SetAcl, SetData
from raftkafka.model.zookeeper.requests import Answer, Auth, CloseSession, Reply
from raftkafka.model.zookeeper.sessions import NO_SESSION, ConnectRequest, ConnectResponse
from raftkafka.model.zookeeper.status import ConnectionStatus
from raftkafka.ports.clock import Clock
from raftkafka.ports.probe import Probe
from raftkafka.ports.zookeeper import ZooKeeperService
from raftkafka.wire.zookeeper.operations import name_of
from raftkafka.wire.zookeeper.session import Incoming, ServerSession
from raftkafka.wire.zookeeper.words import Word

_LOG: Final = logging.getLogger("raftkafka.zookeeper")

LISTENER: Final = "ZOOKEEPER"
RING_BYTES: Final = 64 << 10
"""A larger frame gets room of its own while it comes."""
REQUESTS_PER_TURN: Final = 256
TURN_S: Final = 0.005
"""After so long the others have their turn: what a request costs is for its sender to choose."""
OUTSTANDING_MAX: Final = 256
OUTSTANDING_MAX_BYTES: Final = 4 << 20
"""Changes that wait for their answer, and the bytes they came in; above, no further request is taken from the connection."""
UNSENT_HIGH_BYTES: Final = 1 << 20
"""Unsent bytes above which no further request is taken: who does not read his answers gets no more of them."""
UNSENT_MAX_BYTES: Final = 64 << 20
"""Events come unasked: who does not read them is cut at this."""

_CHANGES: Final = (Create, Delete, SetData, SetAcl, Multi)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSurroundings:
    """What all connections of the listener share. `words` answers a four-letter word."""

    service: ZooKeeperService
    writable: bool
    handshake_timeout_s: float
    probe: Probe
    admit: Callable[[ZooKeeperConnection, str], bool]
    gone: Callable[[ZooKeeperConnection, str], None]
    words: Callable[[Word], str]
    clock: Clock
    held: HeldBytes
    complaints: Complaints
    traffic: Traffic


class _Slot:
    """The place of one reply in the order of replies; `frame` is None until it is ready."""

    __slots__ = ("begun_s", "frame", "incoming")

    def __init__(self, incoming: Incoming, begun_s: float) -> None:
        self.incoming = incoming
        self.begun_s = begun_s
        self.frame: bytes | None = None


class ZooKeeperConnection(asyncio.BufferedProtocol):
    """Implements `ports.zookeeper.ZooKeeperLink`."""

    def __init__(self, surroundings: ConnectionSurroundings) -> None:
        self._around = surroundings
        self._loop = asyncio.get_running_loop()
        self._ring = ReceiveRing(RING_BYTES)
        self._session = ServerSession()
        self._transport: asyncio.Transport | None = None
        self._host = self._address = ""
        self._slots: deque[_Slot] = deque()
        self._outstanding_bytes = 0
        self._changes_only = True  # all of `_slots` are changes of the tree
        self._waiting: Incoming | None = None  # taken, but not begun before all of `_slots` are answered
        self._connecting = False
        self._session_id = NO_SESSION
        self._timeout_s = 0.0
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._admitted = False
        self._known_to_service = False
        self._stalled = False  # reading is paused, and unread requests may wait in the ring
        self._writing_paused = False
        self._closing = False
        self._ending = False  # closes with the turn; nothing more is taken
        self._turn_scheduled = False
        self._in_turn = False
        self._timer: asyncio.TimerHandle | None = None
        self._heard_s = self._loop.time()
        self._traffic = Traffic()
        self._last_operation = "NA"
        self._last_xid = self._last_zxid = 0
        self._established_ms = surroundings.clock.now_ms()
        self._answered_s = self._heard_s

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio.Transport, only of its shape.
        self._transport = stream = cast(asyncio.Transport, transport)
        peer = stream.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._host, self._address = peer[0], f"{peer[0]}:{peer[1]}"
        if not self._around.admit(self, self._host):
            self._closing = True
            stream.abort()
            return
        self._admitted = True
        self._around.probe.connection_opened(LISTENER)
        stream.set_write_buffer_limits(high=UNSENT_HIGH_BYTES)
        self._timer = self._loop.call_later(self._around.handshake_timeout_s, self._on_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._forget()
        self._around.held.forget(self)
        if self._known_to_service:
            self._known_to_service = False
            self._around.service.gone(self)
        if self._admitted:
            self._admitted = False
            self._around.probe.connection_closed(LISTENER)
            self._around.gone(self, self._host)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._ring.writable()

    def buffer_updated(self, nbytes: int) -> None:
        self._ring.written(nbytes)
        self._heard_s = self._loop.time()
        if self._session_id:
            self._around.service.heard(self)
        if not self._stalled:
            self._take()
        if self._ring.unread_bytes >= LIGHT_BYTES:
            self._report_held()

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._schedule_turn()

    # What the service may do

    @property
    def host(self) -> str:
        return self._host

    def deliver(self, event: WatchedEvent) -> None:
        if self._closing:
            return
        self._send(self._session.encode_event(event))
        if self.held_bytes > UNSENT_MAX_BYTES:
            self.cut(f"it does not read its events, and {UNSENT_MAX_BYTES} bytes wait for it")

    def end(self, reason: str) -> None:
        if not self._closing and not self._ending:
            _LOG.info("closing %s: %s", self._address, reason)
            self._end()

    # What the server may do

    def close(self) -> None:
        """Close once what is ready has been sent."""
        if not self._closing and self._transport is not None:
            self._closing = True
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def reset_traffic(self) -> None:
        self._traffic.reset()

    def status(self) -> ConnectionStatus:
        return ConnectionStatus(
            address=self._address,
            reading=not self._stalled,
            session_id=self._session_id,
            timeout_ms=round(self._timeout_s * 1000),
            last_operation=self._last_operation,
            last_xid=self._last_xid,
            last_zxid=self._last_zxid,
            established_ms=self._established_ms,
            answered_ms=round(self._answered_s * 1000),
            traffic=self._traffic.status(outstanding=self.outstanding),
        )

    @property
    def outstanding(self) -> int:
        return len(self._slots) + (self._waiting is not None)

    # Holder

    @property
    def held_bytes(self) -> int:
        unsent = 0 if self._transport is None else self._transport.get_write_buffer_size()
        return self._ring.unread_bytes + self._outstanding_bytes + self._out_bytes + unsent

    def cut(self, reason: str) -> None:
        self._complain(logging.WARNING, reason)
        self._forget()
        self.abort()

    def _forget(self) -> None:
        self._slots.clear()
        self._waiting = None
        self._out.clear()
        self._out_bytes = self._outstanding_bytes = 0

    def _report_held(self) -> None:
        self._around.held.report(self, self.held_bytes)

    def _complain(self, level: int, reason: object) -> None:
        self._around.complaints.say(level, f"closing {self._address} on {LISTENER}: {reason}", now=self._loop.time())

    # Requests

    def _full(self) -> bool:
        return (
            self._connecting
            or self._waiting is not None
            or self._writing_paused
            or len(self._slots) >= OUTSTANDING_MAX
            or self._outstanding_bytes >= OUTSTANDING_MAX_BYTES
            or self._out_bytes >= UNSENT_HIGH_BYTES
        )

    def _take(self) -> None:
        """Hand out what has come, as far as the limits allow, then send what is ready and set reading on or off."""
        stalled, left = False, REQUESTS_PER_TURN
        until_s = self._loop.time() + TURN_S
        ring = self._ring
        self._in_turn = True
        try:
            while ring.unread_bytes and not self._closing and not self._ending:
                late = left < REQUESTS_PER_TURN and self._loop.time() > until_s  # one there is in every turn
                if left <= 0 or late or self._full():
                    stalled = True
                    break
                try:
                    received = self._session.receive(ring.unread(), limit=1)
                except ProtocolError as error:
                    self._refuse(error)
                    return
                if received.consumed:
                    ring.consume(received.consumed)
                elif received.needed:
                    ring.reserve(received.needed)
                if received.opening is not None:
                    self._open(received.opening)
                for incoming in received.requests:
                    left -= 1
                    self._received()
                    self._begin(incoming)
                if not received.consumed:
                    break
        finally:
            self._in_turn = False
        self._finish_turn()
        if stalled or self._stalled:
            self._set_stalled(stalled)

    def _set_stalled(self, stalled: bool) -> None:
        if self._closing or self._transport is None:
            return
        if stalled != self._stalled:
            self._stalled = stalled
            if stalled:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
        if stalled and not self._full():
            self._schedule_turn()

    def _schedule_turn(self) -> None:
        if not self._turn_scheduled and not self._in_turn and not self._closing:
            self._turn_scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_scheduled = False
        if self._closing:
            return
        self._finish_turn()
        if self._stalled and not self._full():
            self._take()

    def _finish_turn(self) -> None:
        if self._ending:
            self.close()
        else:
            self._flush()

    def _end(self) -> None:
        self._ending = True
        self._schedule_turn()

    def _refuse(self, error: ProtocolError) -> None:
        self._around.probe.malformed_frame(LISTENER)
        self._complain(logging.WARNING, error)
        self.close()

    def _open(self, opening: Word | ConnectRequest) -> None:
        if isinstance(opening, Word):
            self._send(self._around.words(opening).encode())
            self._end()
            return
        self._received()
        self._connecting = self._known_to_service = True
        try:
            self._around.service.connect(self, opening, self._connected)
        except Exception:  # noqa: BLE001 - a bug behind the port must cost this connection only, and be seen
            self._on_bug("connect request")

    def _connected(self, response: ConnectResponse | None) -> None:
        if self._closing or not self._connecting:
            return
        self._connecting = False
        if response is None:
            self._end()
            return
        self._send(self._session.encode_connect(response))
        if response.refused:
            self._end()
            return
        self._session_id = response.session_id
        self._timeout_s = response.timeout_ms / 1000
        self._heard_s = self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._timeout_s, self._on_timer)

    def _begin(self, incoming: Incoming) -> None:
        changes = isinstance(incoming.request, _CHANGES)
        if self._slots and not (changes and self._changes_only):
            self._waiting = incoming
            return
        self._changes_only = changes
        slot = _Slot(incoming, self._loop.time())
        self._slots.append(slot)
        self._outstanding_bytes += incoming.bytes
        self._last_operation, self._last_xid = name_of(incoming.op_code), incoming.xid
        if incoming.request is None:
            assert incoming.error is not None
            self._answered(slot, _refusal(incoming.error))
        elif changes and not self._around.writable:
            self._answered(slot, _refusal(ZkErrorCode.NOAUTH))
        else:
            try:
                self._around.service.handle(self, incoming.request, partial(self._answered, slot))
            except Exception:  # noqa: BLE001 - a bug behind the port must cost this connection only, and be seen
                self._on_bug(self._last_operation)

    # Replies

    def _answered(self, slot: _Slot, reply: Reply) -> None:
        if self._closing or self._ending or slot.frame is not None:
            return
        try:
            slot.frame = self._session.encode_reply(slot.incoming, reply)
        except Exception:  # noqa: BLE001 - a reply that cannot be written is a bug of ours like any other
            self._on_bug(name_of(slot.incoming.op_code))
            return
        self._answered_s = now = self._loop.time()
        seconds = now - slot.begun_s
        self._traffic.answered(seconds)
        self._around.traffic.answered(seconds)
        self._around.probe.zookeeper_request(name_of(slot.incoming.op_code), _error_of(reply.answer), seconds)
        self._last_zxid = reply.zxid or self._last_zxid
        slots = self._slots
        while slots and (frame := slots[0].frame) is not None:
            self._outstanding_bytes -= slots.popleft().incoming.bytes
            self._send(frame)
        request = slot.incoming.request
        refused = isinstance(reply.answer, ErrorResult)
        if isinstance(request, CloseSession) or (isinstance(request, Auth) and refused):
            self._end()  # as ZooKeeper does; both were alone under way
        elif not slots and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._begin(waiting)

    def _received(self) -> None:
        self._traffic.received += 1
        self._around.traffic.received += 1

    def _on_bug(self, what: str) -> None:
        _LOG.error("closing %s: its %s failed by a fault of this node", self._address, what, exc_info=True)
        self.close()

    def _send(self, frame: bytes) -> None:
        """Into what leaves with the end of this turn of the loop: a change that fires a thousand watches is one `writelines`."""
        self._out.append(frame)
        self._out_bytes += len(frame)
        self._traffic.sent += 1
        self._around.traffic.sent += 1
        self._schedule_turn()

    def _flush(self) -> None:
        if not self._out or self._transport is None:
            return
        out, out_bytes = self._out, self._out_bytes
        self._out, self._out_bytes = [], 0
        self._transport.writelines(out)
        if out_bytes >= LIGHT_BYTES:
            self._report_held()

    # Deadlines: one timer per connection

    def _on_timer(self) -> None:
        self._timer = None
        if not self._session_id:
            if self._connecting:
                self._complain(logging.INFO, "no session could be opened in time")
            else:
                self._complain(logging.INFO, "no request within the time for a handshake")
            self.abort()
            return
        # Not while it waits for us, or while we do not listen.
        silent = not self._slots and not self._stalled
        left_s = self._heard_s + self._timeout_s - self._loop.time() if silent else self._timeout_s
        if left_s <= 0:
            _LOG.info("closing %s: silent for the %g s of its session", self._address, self._timeout_s)
            self.abort()
            return
        self._timer = self._loop.call_later(left_s, self._on_timer)


def _error_of(answer: Answer) -> ZkErrorCode:
    """OK, or why the request was refused; of a Multi, why the one of its operations was that counts."""
    if isinstance(answer, ErrorResult):
        return answer.code
    if isinstance(answer, MultiResult):
        codes = (each.code for each in answer.results if isinstance(each, ErrorResult))
        return next((code for code in codes if code is not ZkErrorCode.OK), ZkErrorCode.OK)
    return ZkErrorCode.OK


def _refusal(code: ZkErrorCode) -> Reply:
    return Reply(answer=ErrorResult(code=code))
