"""The shell around one server session: bytes in, requests to dispatch, responses out in the order of the requests.

Floor 4. Invariants: a connection's faults touch nobody else; what it may hold of this process is bounded (requests in
flight, bytes received, bytes unsent); responses leave in request order; all answers that are ready in one turn of the
loop leave in one `writelines`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, cast

from raftkafka.listeners.authentication import ConnectionAuthentication
from raftkafka.listeners.complaints import Complaints
from raftkafka.listeners.held_bytes import LIGHT_BYTES, HeldBytes
from raftkafka.listeners.receive_ring import ReceiveRing
from raftkafka.model.api import ApiKey, Request, Response
from raftkafka.model.api.sasl import SaslAuthenticate, SaslHandshake
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode, ProtocolError
from raftkafka.model.ids import NodeId
from raftkafka.model.settings.values import NetworkSettings
from raftkafka.ports.probe import Probe
from raftkafka.wire.busy_poll import BusyPoll
from raftkafka.wire.native.fields import Buffer
from raftkafka.wire.native.versions import API_VERSIONS_RESPONSE
from raftkafka.wire.session import Incoming, ServerSession, api_name

_LOG: Final = logging.getLogger("raftkafka.network")

REQUESTS_PER_TURN: Final = 256
"""After so many requests of one connection the loop gets its turn: a ring full of tiny requests must not hold it. A request
counts as many as it has partitions or topics, where those are more than one."""

PARTS_WAITING_MAX: Final = 20_000
"""Partitions and topics in the unanswered requests of one connection above which no further request is taken: what they take
is many times what was sent."""

_ANSWERED_HERE: Final = frozenset({ApiKey.API_VERSIONS, ApiKey.SASL_HANDSHAKE, ApiKey.SASL_AUTHENTICATE})


class Dispatch(Protocol):
    """Everything behind the listeners. Must not keep views of a Produce request beyond its return.

    A response is ready at once; None means that there is no answer (acks=0); an awaitable answers later. An `ApiError`,
    raised or from the awaitable, becomes an error response. An awaitable that offers `hear` calls back at once with its response,
    which never is an error, rather than in the next turn of the loop.
    """

    def __call__(self, context: RequestContext, request: Request) -> Response | Awaitable[Response] | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSurroundings:
    """What all connections of one listener share."""

    listener: str
    dispatch: Dispatch
    settings: NetworkSettings
    node_id: NodeId
    cluster_secret: bytes
    cluster_id: Callable[[], str]
    probe: Probe
    authentication_required: bool
    admit: Callable[[ServerConnection, str], bool]
    gone: Callable[[ServerConnection, str], None]
    held: HeldBytes
    complaints: Complaints
    busy_poll: BusyPoll | None


class _Slot:
    """The place of one answer in the order of answers; `frame` is None until it is ready."""

    __slots__ = ("bytes", "frame", "incoming", "parts", "waiting")

    def __init__(self, incoming: Incoming, waiting: asyncio.Future[Any] | None) -> None:
        self.incoming = incoming
        self.parts = incoming.parts
        self.waiting = waiting
        self.frame: list[Buffer] | None = None
        self.bytes = 0


class ServerConnection(asyncio.BufferedProtocol):
    def __init__(self, surroundings: ConnectionSurroundings) -> None:
        self._around = surroundings
        self._settings = surroundings.settings
        self._loop = asyncio.get_running_loop()
        self._busy_poll = surroundings.busy_poll
        self._ring = ReceiveRing(self._settings.receive_ring_bytes)
        self._session = ServerSession(
            request_max_bytes=self._settings.unauthenticated_request_max_bytes
            if surroundings.authentication_required
            else self._settings.request_max_bytes
        )
        self._context = RequestContext(listener=surroundings.listener, client_address="")
        self._authentication = ConnectionAuthentication(
            context=self._context,
            node_id=surroundings.node_id,
            cluster_secret=surroundings.cluster_secret,
            cluster_id=surroundings.cluster_id,
        )
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._slots: deque[_Slot] = deque()
        self._held_bytes = 0  # of answers that are ready, but behind one that is not
        self._parts_waiting = 0
        self._out: list[Buffer] = []
        self._out_bytes = 0
        self._admitted = False
        self._stalled = False  # reading is paused and unread requests may wait in the ring
        self._writing_paused = False
        self._muted: asyncio.TimerHandle | None = None  # until then nothing of this connection is taken (KIP-219)
        self._muted_until = 0.0
        self._closing = False
        self._turn_scheduled = False
        self._established = False
        self._active_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio.Transport, only of its shape.
        transport = cast(asyncio.Transport, transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if isinstance(peer, tuple) else ""
        self._context.client_address = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""
        if not self._around.admit(self, self._address):
            self._closing = True
            transport.abort()
            return
        self._admitted = True
        self._around.probe.connection_opened(self._around.listener)
        transport.set_write_buffer_limits(high=self._settings.unsent_max_bytes)
        self._timer = self._loop.call_later(self._settings.handshake_timeout_ms / 1000, self._on_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        for timer in (self._timer, self._muted):
            if timer is not None:
                timer.cancel()
        # A handler that was asked keeps running to its end: its effects must not depend on who still listens.
        self._slots.clear()
        self._out.clear()
        self._around.held.forget(self)
        if self._admitted:
            self._admitted = False
            self._around.probe.connection_closed(self._around.listener)
            self._around.gone(self, self._address)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._ring.writable()

    def buffer_updated(self, nbytes: int) -> None:
        busy_poll = self._busy_poll
        if busy_poll is not None:
            busy_poll.woke()
        self._ring.written(nbytes)
        if not self._stalled:
            self._take()
        if busy_poll is not None and not self._slots:
            busy_poll.rest()
        if self._ring.unread_bytes >= LIGHT_BYTES:
            self._report_held()

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._schedule_turn()

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

    # Holder

    @property
    def held_bytes(self) -> int:
        unsent = 0 if self._transport is None else self._transport.get_write_buffer_size()
        return self._ring.unread_bytes + self._held_bytes + self._out_bytes + unsent

    def cut(self, reason: str) -> None:
        self._complain(logging.WARNING, reason)
        self._slots.clear()
        self._out = []
        self._held_bytes = self._out_bytes = 0
        self.abort()

    def _report_held(self) -> None:
        self._around.held.report(self, self.held_bytes)

    def _complain(self, level: int, reason: object) -> None:
        message = f"closing {self._context.client_address} on {self._around.listener}: {reason}"
        self._around.complaints.say(level, message, now=self._loop.time())

    # Requests

    def _full(self) -> bool:
        return (
            self._writing_paused
            or self._muted is not None
            or len(self._slots) >= self._settings.in_flight_max
            or self._parts_waiting >= PARTS_WAITING_MAX
            or self._held_bytes + self._out_bytes >= self._settings.unsent_max_bytes
        )

    def _take(self) -> None:
        """Hand out what has come, as far as the limits allow, then send what is ready and set reading on or off."""
        stalled, left = False, REQUESTS_PER_TURN
        ring = self._ring
        while ring.unread_bytes and not self._closing:
            if left <= 0 or self._full():
                stalled = True
                break
            try:
                received = self._session.receive(ring.unread(), limit=1)
            except ProtocolError as error:
                self._refuse(error)
                return
            for incoming in received.requests:
                # Before the bytes are given up: the views of a Produce are valid until dispatch returns.
                left -= incoming.parts
                self._answer(incoming)
            if received.consumed:
                ring.consume(received.consumed)
            if not received.requests and received.needed:
                ring.reserve(received.needed)
            if not received.consumed:
                break
        self._flush()
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
        if not self._turn_scheduled and not self._closing:
            self._turn_scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_scheduled = False
        if self._closing:
            return
        self._flush()
        if self._stalled and not self._full():
            self._take()

    def _refuse(self, error: ProtocolError) -> None:
        self._around.probe.malformed_frame(self._around.listener)
        self._complain(logging.WARNING, error)
        self.close()

    def _answer(self, incoming: Incoming) -> None:
        around = self._around
        self._active_at = self._loop.time()
        if incoming.client_id != self._context.client_id:
            self._context.client_id = incoming.client_id
        if not around.authentication_required:
            self._established = True
        request = incoming.request
        if request is None:
            assert incoming.error is not None
            self._ready(incoming, incoming.error)
            return
        if incoming.api_key in _ANSWERED_HERE:
            self._answer_here(incoming, request)
            return
        if around.authentication_required and not self._context.is_node:
            self._ready(incoming, ApiError(ErrorCode.ILLEGAL_SASL_STATE, "this listener demands authentication"))
            self.close()
            return
        try:
            response = around.dispatch(self._context, request)
        except ApiError as error:
            self._ready(incoming, error)
        except Exception:  # noqa: BLE001 - a bug in a handler must cost its own connection only, and be seen
            self._on_bug(incoming)
        else:
            if response is not None:
                self._on_response(incoming, response)
            if self._context.throttled_s:
                self._mute()

    def _mute(self) -> None:
        """Listen to nothing for as long as a quota asks for; what is asked already is answered meanwhile."""
        seconds, self._context.throttled_s = self._context.throttled_s, 0.0
        at = self._loop.time() + seconds
        if self._muted is not None:
            if self._muted_until >= at:
                return
            self._muted.cancel()
        self._muted_until = at
        self._muted = self._loop.call_at(at, self._unmute)

    def _unmute(self) -> None:
        self._muted = None
        self._active_at = self._loop.time()
        self._schedule_turn()

    def _answer_here(self, incoming: Incoming, request: Request) -> None:
        if isinstance(request, SaslHandshake):
            self._ready(incoming, self._authentication.handshake(request))
        elif isinstance(request, SaslAuthenticate):
            self._ready(incoming, self._authentication.authenticate(request))
        else:
            self._ready(incoming, API_VERSIONS_RESPONSE)
        if self._authentication.failed:
            self._complain(logging.WARNING, f"authentication failed: {self._authentication.why}")
            self.close()
        elif self._context.is_node:
            self._established = True
            self._session.request_max_bytes = self._settings.request_max_bytes
            # A node asks for every partition that it follows.
            self._session.rows_max = sys.maxsize

    # Responses

    def _on_response(self, incoming: Incoming, response: Response | Awaitable[Response]) -> None:
        # Not isinstance(response, Awaitable): an abstract class is asked ten times as long.
        if not hasattr(response, "__await__"):
            self._ready(incoming, response)
            return
        hear = getattr(response, "hear", None)
        if hear is not None:
            slot = _Slot(incoming, None)
            self._append(slot)
            hear(partial(self._on_heard, slot))
            return
        future = asyncio.ensure_future(cast(Awaitable[Response], response), loop=self._loop)
        slot = _Slot(incoming, future)
        self._append(slot)
        future.add_done_callback(partial(self._on_done, slot))

    def _append(self, slot: _Slot) -> None:
        self._slots.append(slot)
        self._parts_waiting += slot.parts

    def _ready(self, incoming: Incoming, response: Response | ApiError) -> None:
        if self._slots:
            slot = _Slot(incoming, None)
            self._append(slot)
            self._fill(slot, response)
        elif (frame := self._encode(incoming, response)) is not None:
            self._out_bytes += _size(frame)
            self._out.extend(frame)

    def _encode(self, incoming: Incoming, response: Response | ApiError) -> list[Buffer] | None:
        try:
            return self._session.encode_response(incoming, response)
        except Exception as error:  # noqa: BLE001 - a response that cannot be written is a handler's bug like any other
            self._on_bug(incoming, error)
            return None

    def _fill(self, slot: _Slot, response: Response | ApiError) -> None:
        frame = self._encode(slot.incoming, response)
        if frame is None:
            return
        slot.waiting = None
        slot.frame = frame
        slot.bytes = _size(frame)
        self._held_bytes += slot.bytes
        if self._held_bytes >= LIGHT_BYTES:
            self._report_held()

    def _on_done(self, slot: _Slot, done: asyncio.Future[Response]) -> None:
        if self._context.throttled_s and not self._closing:
            self._mute()
        if self._closing:
            if not done.cancelled() and (error := done.exception()) is not None and not isinstance(error, ApiError):
                _LOG.error("a request of %s failed", self._context.client_address, exc_info=error)
            return
        if done.cancelled():
            # The node is stopping, and the handler with it; the client hears that from the closed connection.
            self.close()
            return
        error = done.exception()
        if error is None:
            self._fill(slot, done.result())
        elif isinstance(error, ApiError):
            self._fill(slot, error)
        else:
            self._on_bug(slot.incoming, error)
            return
        self._filled(slot)

    def _on_heard(self, slot: _Slot, response: Response) -> None:
        """Called by whoever makes the answer, who is not to hear of what becomes of this connection."""
        try:
            if self._context.throttled_s and not self._closing:
                self._mute()
            if not self._closing:
                self._fill(slot, response)
                self._filled(slot)
        except Exception as error:  # noqa: BLE001 - it costs this connection only, and is seen
            self._on_bug(slot.incoming, error)

    def _filled(self, slot: _Slot) -> None:
        if len(self._slots) == 1 and not self._stalled:
            self._flush()  # nothing else is under way that could join it
            if self._busy_poll is not None:
                self._busy_poll.rest()
        elif self._slots and self._slots[0] is slot:
            self._schedule_turn()

    def _on_bug(self, incoming: Incoming, error: BaseException | None = None) -> None:
        _LOG.error(
            "closing %s: its %s failed by a fault of this node",
            self._context.client_address,
            api_name(incoming.api_key),
            exc_info=error if error is not None else True,
        )
        self.close()

    def _flush(self) -> None:
        slots, out = self._slots, self._out
        while slots and (frame := slots[0].frame) is not None:
            slot = slots.popleft()
            self._held_bytes -= slot.bytes
            self._out_bytes += slot.bytes
            self._parts_waiting -= slot.parts
            out.extend(frame)
        if not out or self._transport is None:
            return
        out_bytes, self._out, self._out_bytes = self._out_bytes, [], 0
        if len(out) == 1:
            self._transport.write(out[0])
        else:
            self._transport.writelines(out)
        if out_bytes >= LIGHT_BYTES:
            self._report_held()

    # Deadlines: one coarse timer per connection

    def _on_timer(self) -> None:
        self._timer = None
        idle_s = self._settings.idle_timeout_ms / 1000
        if not self._established:
            self._complain(logging.INFO, "no request within the time for a handshake")
            self.abort()
            return
        left_s = idle_s if self._slots or self._muted is not None else self._active_at + idle_s - self._loop.time()
        if left_s <= 0:
            _LOG.info("closing %s: idle for %g s", self._context.client_address, idle_s)
            self.abort()
            return
        self._timer = self._loop.call_later(left_s, self._on_timer)


def _size(frame: list[Buffer]) -> int:
    if len(frame) == 1:
        return len(frame[0])
    size = 0
    for buffer in frame:
        size += len(buffer)
    return size
