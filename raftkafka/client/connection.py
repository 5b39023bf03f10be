"""One pipelined connection to a broker, driven by the sans-IO `wire.session.ClientSession`.

Floor 3. Invariants: responses resolve in the order of their requests; every request ends, by its answer, by its timeout
or with the connection; while answers are due, requests of one turn of the loop leave in one `writelines`; nothing here
copies records.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from raftkafka.model.api import Request, Response
from raftkafka.model.api.sasl import (
    CLUSTER_SECRET,
    SaslAuthenticate,
    SaslAuthenticateResponse,
    SaslHandshake,
    SaslHandshakeResponse,
)
from raftkafka.model.errors import ApiError, ErrorCode, ProtocolError, RaftKafkaError
from raftkafka.model.ids import NodeId
from raftkafka.wire.busy_poll import BusyPoll
from raftkafka.wire.native.fields import Buffer
from raftkafka.wire.node_auth import NONCE_BYTES, NodeAuthClient, NodeIdentity
from raftkafka.wire.session import PREFACE, ClientSession

SCRATCH_BYTES: Final = 32 << 10
RESPONSE_MAX_BYTES: Final = 128 << 20
WRITE_HIGH_WATER_BYTES: Final = 4 << 20
TIMEOUT_STEP_S: Final = 0.01
"""Timeouts are kept by one timer per connection, which does not fire more often than this."""


class ConnectionFailedError(RaftKafkaError):
    """No usable connection: refused, unreachable, out of time, or the proof of identity failed."""


class ConnectionClosedError(RaftKafkaError):
    """The connection closed before the answer came; the request may have been carried out."""


class RequestTimedOutError(RaftKafkaError):
    """No answer in time; the request may have been carried out. The connection stays open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCredentials:
    """What a node proves itself with. `expected` is the node that must be at the other end, None for any."""

    node_id: NodeId
    secret: bytes
    expected: NodeId | None = None
    cluster_id: str = ""


OnAnswer = Callable[[Response | RaftKafkaError], None]
"""Told once: the response, or why there is none."""


class _Pending:
    """A request without an answer. One that is told already (its time was up) keeps its place until the answer comes."""

    __slots__ = ("deadline", "tell", "told")

    def __init__(self, tell: OnAnswer, deadline: float) -> None:
        self.tell = tell
        self.deadline = deadline
        self.told = False

    def end(self, answer: Response | RaftKafkaError) -> None:
        if not self.told:
            self.told = True
            self.tell(answer)


def _settle(future: asyncio.Future[Response], answer: Response | RaftKafkaError) -> None:
    if future.done():
        return  # given up by who asked
    if not isinstance(answer, RaftKafkaError):
        future.set_result(answer)
        return
    future.set_exception(answer)
    if isinstance(answer, ConnectionClosedError):
        future.exception()  # retrieved: who waits still gets it, who gave up causes no log line


class Connection(asyncio.BufferedProtocol):
    """Use `Connection.open`. `last_received_at` is loop time; `on_close` callbacks are called once, with the connection."""

    def __init__(
        self, *, client_id: str, response_max_bytes: int = RESPONSE_MAX_BYTES, busy_poll: BusyPoll | None = None
    ) -> None:
        self._client_id = client_id
        self._busy_poll = busy_poll
        self._session = ClientSession(response_max_bytes=response_max_bytes)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._scratch = memoryview(bytearray(SCRATCH_BYTES))
        self._own: memoryview | None = None  # the buffer of one frame that is larger than the scratch
        self._end = 0
        self._out: list[Buffer] = [PREFACE]
        self._out_bytes = len(PREFACE)
        self._flush_scheduled = False
        self._pending: deque[_Pending] = deque()
        self._correlation_id = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._writable: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self.closed = False
        self.close_reason = "closed"
        self.on_close: list[Callable[[Connection], None]] = []
        self.last_received_at = self._loop.time()

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        *,
        client_id: str,
        connect_timeout_s: float = 10,
        node_auth: NodeCredentials | None = None,
        response_max_bytes: int = RESPONSE_MAX_BYTES,
        busy_poll: BusyPoll | None = None,
    ) -> Connection:
        """A connection that is ready for requests; with `node_auth` both sides have proved themselves.

        Raises:
            ConnectionFailedError: not within `connect_timeout_s` seconds, or not to the node that was meant.
        """
        loop = asyncio.get_running_loop()
        connection: Connection | None = None
        try:
            async with asyncio.timeout(connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: cls(client_id=client_id, response_max_bytes=response_max_bytes, busy_poll=busy_poll),
                    host,
                    port,
                )
                if node_auth is not None:
                    await connection._authenticate(node_auth, timeout_s=connect_timeout_s)
        except (OSError, TimeoutError, RaftKafkaError) as error:
            if connection is not None:
                connection.abort()
            reason = str(error) or f"no answer within {connect_timeout_s:g} s"
            raise ConnectionFailedError(f"cannot connect to {host}:{port}: {reason}") from error
        except asyncio.CancelledError:
            if connection is not None:
                connection.abort()
            raise
        return connection

    async def _authenticate(self, credentials: NodeCredentials, *, timeout_s: float) -> None:
        handshake = await self.request(SaslHandshake(mechanism=CLUSTER_SECRET), timeout_s=timeout_s)
        if not isinstance(handshake, SaslHandshakeResponse) or handshake.error_code is not ErrorCode.NONE:
            raise ProtocolError("the other side does not authenticate nodes")
        client = NodeAuthClient(
            secret=credentials.secret,
            node_id=credentials.node_id,
            nonce=secrets.token_bytes(NONCE_BYTES),
            expected=credentials.expected,
            identity=NodeIdentity(cluster_id=credentials.cluster_id),
        )
        challenge = await self._exchange(client.first(), timeout_s=timeout_s)
        _, proof = client.on_challenge(challenge)
        await self._exchange(proof, timeout_s=timeout_s)

    async def _exchange(self, message: bytes, *, timeout_s: float) -> bytes:
        answer = await self.request(SaslAuthenticate(auth_bytes=message), timeout_s=timeout_s)
        if not isinstance(answer, SaslAuthenticateResponse):
            raise ProtocolError("expected an answer to SaslAuthenticate")
        if answer.error_code is not ErrorCode.NONE:
            raise ApiError(answer.error_code, answer.error_message or "authentication failed")
        return answer.auth_bytes

    def request(self, request: Request, *, timeout_s: float = 30) -> asyncio.Future[Response]:
        """Send without blocking; the future ends with the response, which comes in the order of the requests.

        Buffers in the request are not copied: leave them alone until the answer is there. The future fails with
        ApiError (an error in place of a response), RequestTimedOutError or ConnectionClosedError.
        """
        future: asyncio.Future[Response] = self._loop.create_future()
        if self.closed:
            future.set_exception(ConnectionClosedError(self.close_reason))
        else:
            self.ask(request, timeout_s=timeout_s, on_answer=partial(_settle, future))
        return future

    def ask(self, request: Request, *, timeout_s: float, on_answer: OnAnswer) -> None:
        """As `request`, for who wants to hear in the turn of the loop in which the answer comes, not in the next one.

        Raises:
            ConnectionClosedError: the connection is closed; `on_answer` is not called.
        """
        if self.closed:
            raise ConnectionClosedError(self.close_reason)
        correlation_id = self._correlation_id
        frame = self._session.encode_request(correlation_id, self._client_id, request)
        if self._pending or self._out or self._transport is None or self._transport.is_closing():
            self._write(frame)
        else:
            # Nothing is under way: the next turn of the loop would be late, and join nothing.
            self._transport.writelines(frame)
            if self._busy_poll is not None:
                self._busy_poll.rest()
        self._correlation_id = (correlation_id + 1) & 0xFFFFFFFF
        deadline = self._loop.time() + timeout_s
        self._pending.append(_Pending(on_answer, deadline))
        if self._timer is None or deadline < self._timer_at:
            self._arm(deadline)

    def send(self, request: Request) -> None:
        """Send a request that is never answered (Produce with acks=0).

        Raises:
            ConnectionClosedError: the connection is closed. Bytes that were taken may still be lost with it.
        """
        if self.closed:
            raise ConnectionClosedError(self.close_reason)
        self._write(self._session.encode_request(self._correlation_id, self._client_id, request, expect_answer=False))
        self._correlation_id = (self._correlation_id + 1) & 0xFFFFFFFF

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._out_bytes + (0 if self._transport is None else self._transport.get_write_buffer_size())

    @property
    def in_flight(self) -> int:
        """Requests without an answer, those that have timed out included."""
        return len(self._pending)

    async def drain(self) -> None:
        """Wait until less than WRITE_HIGH_WATER_BYTES are unsent.

        Raises:
            ConnectionClosedError: the connection closed meanwhile.
        """
        self._flush()
        if self._writable is not None:
            await asyncio.shield(self._writable)
        if self.closed:
            raise ConnectionClosedError(self.close_reason)

    async def close(self) -> None:
        """Send what is waiting, then close. Futures that are open fail with ConnectionClosedError."""
        if not self.closed:
            self._flush()
            self._fail("closed by this side")
            if self._transport is not None:
                self._transport.close()
        try:
            async with asyncio.timeout(1):
                await asyncio.shield(self._gone)
        except TimeoutError:
            # The other side does not read: what it has not taken by now, it will not get.
            self.abort()

    def abort(self) -> None:
        """Close at once; unsent bytes are dropped."""
        self._fail("closed by this side")
        if self._transport is not None:
            self._transport.abort()

    # Writing

    def _write(self, frame: list[Buffer]) -> None:
        self._out.extend(frame)
        for buffer in frame:
            self._out_bytes += len(buffer)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self._out and self._transport is not None and not self._transport.is_closing():
            out, self._out, self._out_bytes = self._out, [], 0
            self._transport.writelines(out)

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    # Reading

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio.Transport, only of its shape.
        transport = cast(asyncio.Transport, transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_BYTES)
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        buffer = self._scratch if self._own is None else self._own
        return buffer[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        self.last_received_at = self._loop.time()
        if self._busy_poll is not None:
            self._busy_poll.woke()
        self._end += nbytes
        try:
            if self._own is not None:
                self._on_own_frame(self._own)
            else:
                self._on_scratch()
        except ProtocolError as error:
            self._fail(f"the broker broke the protocol: {error}")
            if self._transport is not None:
                self._transport.abort()

    def _on_own_frame(self, own: memoryview) -> None:
        if self._end < len(own):
            return
        self._own, self._end = None, 0
        self._resolve(own, stable=True)

    def _on_scratch(self) -> None:
        consumed, needed = self._resolve(self._scratch[: self._end], stable=False)
        rest = self._end - consumed
        if needed > SCRATCH_BYTES:
            # The length was checked against the limit; the frame gets a buffer that its records may keep as views.
            own = memoryview(bytearray(needed))
            own[:rest] = self._scratch[consumed : self._end]
            self._own = own
        elif consumed and rest:
            self._scratch[:rest] = self._scratch[consumed : self._end]
        self._end = rest

    def _resolve(self, view: memoryview, *, stable: bool) -> tuple[int, int]:
        answers, consumed, needed = self._session.receive(view, stable=stable)
        for answer in answers:
            if not self._pending:
                break  # closed by who heard the answer before
            self._pending.popleft().end(answer.response)
        return consumed, needed

    # The end of requests and of the connection

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = max(deadline, self._loop.time() + TIMEOUT_STEP_S)
        self._timer = self._loop.call_at(self._timer_at, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        earliest = None
        for pending in self._pending:
            if pending.told:
                continue
            if pending.deadline <= now:
                pending.end(RequestTimedOutError("no answer in time"))
            elif earliest is None or pending.deadline < earliest:
                earliest = pending.deadline
        if earliest is not None and not self.closed:
            self._arm(earliest)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was lost: {exc}" if exc is not None else "closed by the broker")
        if not self._gone.done():
            self._gone.set_result(None)

    def _fail(self, reason: str) -> None:
        if self.closed:
            return
        self.closed, self.close_reason = True, reason
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending, self._pending = self._pending, deque()
        for one in pending:
            one.end(ConnectionClosedError(reason))
        self.resume_writing()
        for callback in self.on_close:
            callback(self)
