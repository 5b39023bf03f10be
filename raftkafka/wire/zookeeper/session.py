"""Both ends of a connection of ZooKeeper's protocol, without a socket: bytes in, values out, and back.

Floor 2, sans-IO. A connection opens with a four-letter word or a connect request; behind that come requests. Invariants: no length
is believed before it is checked against a limit; nothing but ProtocolError leaves `receive`; a request whose frame is whole has an
answer, whatever stands in it: MARSHALLINGERROR, or UNIMPLEMENTED for an operation that nobody knows.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Final

from raftkafka.model.errors import ProtocolError
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.events import WatchedEvent
from raftkafka.model.zookeeper.ops import ErrorResult
from raftkafka.model.zookeeper.requests import Answer, Auth, Ping, Reply, Request, SetWatches, Unknown
from raftkafka.model.zookeeper.sessions import ConnectRequest, ConnectResponse
from raftkafka.wire.zookeeper import op_codes, records
from raftkafka.wire.zookeeper.jute import MarshallingError, Reader, TooManyError, UnknownModeError
from raftkafka.wire.zookeeper.operations import ROWS, code_of
from raftkafka.wire.zookeeper.rows import Row
from raftkafka.wire.zookeeper.words import Word, word_of

JUTE_MAX_BYTES: Final = 0xFFFFF
"""ZooKeeper's `jute.maxbuffer`: the longest data of a node."""
FRAME_MAX_BYTES: Final = JUTE_MAX_BYTES + 16 * 1024
"""A longest node with its path and its access control list around it."""
CONNECT_MAX_BYTES: Final = 2_048
"""Of the first frame, whose sender is a stranger still."""
RESPONSE_MAX_BYTES: Final = 64 << 20

_LENGTH: Final = struct.Struct(">i")
_REQUEST: Final = struct.Struct(">ii")
_REPLY: Final = struct.Struct(">iqi")
_STRANGERS: Final = (
    (b"\xafRK1", "a client of the raftkafka protocol"),
    (b"\x16\x03", "a TLS client"),
    (b"GET ", "an HTTP client"),
    (b"POST", "an HTTP client"),
    (b"PUT ", "an HTTP client"),
    (b"HEAD", "an HTTP client"),
    (b"SSH-", "an SSH client"),
)


class Incoming:
    """One request as it came. `error` is set, and `request` None, where the answer is clear before anybody is asked."""

    __slots__ = ("bytes", "error", "op_code", "request", "row", "xid")

    def __init__(  # noqa: PLR0917 - positional, because it is made for every request
        self,
        xid: int,
        op_code: int,
        request: Request | None,
        error: ZkErrorCode | None,
        row: Row | None,
        size_bytes: int,
    ) -> None:
        self.xid = xid
        self.op_code = op_code
        self.request = request
        self.error = error
        self.row = row
        self.bytes = size_bytes


Opening = Word | ConnectRequest


class Received:
    """`consumed` bytes are done with; `needed` is the size of the unfinished frame behind them, 0 where not yet known."""

    __slots__ = ("consumed", "needed", "opening", "requests")

    def __init__(self, opening: Opening | None, requests: list[Incoming], consumed: int, needed: int) -> None:
        self.opening = opening
        self.requests = requests
        self.consumed = consumed
        self.needed = needed


def _frame_length(view: memoryview, at: int, limit: int) -> int:
    length: int = _LENGTH.unpack_from(view, at)[0]
    if not 0 <= length <= limit:
        raise ProtocolError(f"a frame of {length} bytes, with a limit of {limit}")
    return length


class ServerSession:
    """The server's end. Connection, password and tree are the caller's to look after."""

    def __init__(self, *, frame_max_bytes: int = FRAME_MAX_BYTES) -> None:
        self._frame_max_bytes = frame_max_bytes
        self._opened = False
        self._knows_read_only = True

    @property
    def opened(self) -> bool:
        """True once the connect request, or a word in its place, has come."""
        return self._opened

    def receive(self, view: memoryview, *, limit: int = 1_000_000) -> Received:
        """What is complete at the start of `view`: the opening alone, or at most `limit` requests.

        A request before a malformed frame is still returned; the next call, which begins with that frame, raises.

        Raises:
            ProtocolError: what stands at the start of `view` is not of this protocol; close the connection.
        """
        if not self._opened:
            return self._open(view)
        consumed, needed, size = 0, 0, len(view)
        requests: list[Incoming] = []
        while len(requests) < limit and size - consumed >= 4:
            try:
                length = _frame_length(view, consumed, self._frame_max_bytes)
                if length < _REQUEST.size:
                    raise ProtocolError(f"a request of {length} bytes, which hold no header")
            except ProtocolError:
                if consumed:
                    break
                raise
            end = consumed + 4 + length
            if end > size:
                needed = 4 + length
                break
            # Copied out: data of nodes outlives the receive buffer, and a record is taken apart faster as bytes.
            requests.append(_request(bytes(view[consumed + 4 : end])))
            consumed = end
        return Received(None, requests, consumed, needed)

    def _open(self, view: memoryview) -> Received:
        if len(view) < 4:
            return Received(None, [], 0, 0)
        start = bytes(view[:4])
        if (word := word_of(start)) is not None:
            self._opened = True
            return Received(word, [], 4, 0)
        for prefix, who in _STRANGERS:
            if start.startswith(prefix):
                raise ProtocolError(f"{who} connected to a listener of ZooKeeper's protocol")
        end = 4 + _frame_length(view, 0, CONNECT_MAX_BYTES)
        if end > len(view):
            return Received(None, [], 0, end)
        request, self._knows_read_only = records.read_connect_request(Reader(bytes(view[4:end])))
        self._opened = True
        return Received(request, [], end, 0)

    def encode_connect(self, response: ConnectResponse) -> bytes:
        """In the form that the client's own request had."""
        return _framed(records.write_connect_response(response, knows_read_only=self._knows_read_only))

    @staticmethod
    def encode_reply(incoming: Incoming, reply: Reply) -> bytes:
        """The frame that answers `incoming`; a failed one is a header alone."""
        answer = reply.answer
        if isinstance(answer, ErrorResult):
            assert answer.code is not ZkErrorCode.OK, "an error that is none"
            return _LENGTH.pack(_REPLY.size) + _REPLY.pack(incoming.xid, reply.zxid, answer.code)
        row = incoming.row
        assert row is not None, "an unknown operation is answered by an error"
        assert isinstance(answer, row.answer), f"{row.code.name} is not answered by {type(answer).__name__}"
        return _framed(_REPLY.pack(incoming.xid, reply.zxid, 0) + row.write_answer(answer))

    @staticmethod
    def encode_event(event: WatchedEvent) -> bytes:
        return _framed(_REPLY.pack(op_codes.NOTIFICATION_XID, event.zxid, 0) + records.write_event(event))


def _framed(record: bytes) -> bytes:
    return _LENGTH.pack(len(record)) + record


def _request(frame: bytes) -> Incoming:
    xid, op_code = _REQUEST.unpack_from(frame)
    row = ROWS.get(op_code)
    if row is None:
        return Incoming(xid, op_code, None, ZkErrorCode.UNIMPLEMENTED, None, len(frame))
    try:
        request = row.read_request(Reader(frame, _REQUEST.size))
    except UnknownModeError:
        return Incoming(xid, op_code, None, ZkErrorCode.BADARGUMENTS, row, len(frame))
    except TooManyError:
        return Incoming(xid, op_code, None, ZkErrorCode.QUOTAEXCEEDED, row, len(frame))
    except MarshallingError:
        return Incoming(xid, op_code, None, ZkErrorCode.MARSHALLINGERROR, row, len(frame))
    return Incoming(xid, op_code, request, None, row, len(frame))


class Outcome:
    """What came back for one request."""

    __slots__ = ("reply", "xid")

    def __init__(self, xid: int, reply: Reply) -> None:
        self.xid = xid
        self.reply = reply


class ClientSession:
    """The client's end. Replies come in the order of the requests, so the oldest open request says what is expected."""

    def __init__(self, *, response_max_bytes: int = RESPONSE_MAX_BYTES) -> None:
        self._response_max_bytes = response_max_bytes
        self._connected = False
        self._expected: deque[tuple[int, int]] = deque()

    @staticmethod
    def encode_connect(request: ConnectRequest) -> bytes:
        return _framed(records.write_connect_request(request))

    def encode_request(self, xid: int, request: Request) -> bytes:
        """The frame of a request; `xid` is the caller's number, but where the protocol has one of its own."""
        op_code = code_of(request)
        if isinstance(request, Ping):
            xid = op_codes.PING_XID
        elif isinstance(request, Auth):
            xid = op_codes.AUTH_XID
        elif isinstance(request, SetWatches):
            xid = op_codes.SET_WATCHES_XID
        self._expected.append((xid, op_code))
        body = b"" if isinstance(request, Unknown) else ROWS[op_code].write_request(request)
        return _framed(_REQUEST.pack(xid, op_code) + body)

    def receive(self, view: memoryview) -> tuple[list[ConnectResponse | WatchedEvent | Outcome], int]:
        """What came, in order, and how many bytes of `view` that was.

        Raises:
            ProtocolError: not of this protocol, too large, or not the reply that is due.
        """
        found: list[ConnectResponse | WatchedEvent | Outcome] = []
        consumed = 0
        while len(view) - consumed >= 4:
            end = consumed + 4 + _frame_length(view, consumed, self._response_max_bytes)
            if end > len(view):
                break
            found.append(self._one(bytes(view[consumed + 4 : end])))
            consumed = end
        return found, consumed

    def _one(self, frame: bytes) -> ConnectResponse | WatchedEvent | Outcome:
        reader = Reader(frame)
        if not self._connected:
            self._connected = True
            return records.read_connect_response(reader)
        xid, zxid, error = reader.fields(_REPLY)
        if xid == op_codes.NOTIFICATION_XID:
            return records.read_event(reader, zxid)
        if not self._expected or xid != self._expected[0][0]:
            raise ProtocolError("a reply that nobody waits for")
        _, op_code = self._expected.popleft()
        return Outcome(xid, Reply(zxid=zxid, answer=_answer(op_code, error, reader)))


def _answer(op_code: int, error: int, reader: Reader) -> Answer:
    if error:
        try:
            return ErrorResult(code=ZkErrorCode(error))
        except ValueError:
            raise MarshallingError(f"there is no error {error}") from None
    if op_code not in ROWS:
        raise MarshallingError("an operation that nobody knows was carried out")
    return ROWS[op_code].read_answer(reader)
