"""Both ends of a connection of the native protocol, without a socket: bytes in, values out, and back.

Floor 2, sans-IO. Invariants: no length is believed before it is checked against a limit; nothing but ProtocolError
leaves `receive`; records stay views of what came in. The layout is in docs/protocol.md.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from raftkafka.model import cbor
from raftkafka.model.api import ApiKey, Request, Response
from raftkafka.model.errors import ApiError, ErrorCode, ProtocolError
from raftkafka.model.passing import passing_tuple
from raftkafka.wire.native.apis import APIS, HOMES
from raftkafka.wire.native.fields import Buffer, decode_error, malformed
from raftkafka.wire.native.rows import Api

PREFACE: Final = b"\xafRK1"
REQUEST_HEADER_MAX_BYTES: Final = 1 << 20
ROWS_MAX: Final = 20_000
"""Topics, partitions, groups, keys in a client's request: each costs the event loop some microseconds, and hundreds of
thousands of them fit into a header."""
FIELDS_MAX: Final = 32
"""Of any structure: a longer list is an array."""
RESPONSE_HEADER_MAX_BYTES: Final = 32 << 20
CLIENT_ID_MAX_CHARS: Final = 255
ERROR_MESSAGE_MAX_CHARS: Final = 1_024

_HEAD: Final = struct.Struct(">II")
_UINT32_MAX: Final = (1 << 32) - 1
_START: Final = struct.Struct(">4sI")
_END: Final = struct.Struct(">BI")
_FIXED_MIN: Final = _START.size + _END.size
SEEN_MAX: Final = 256
SEEN_BYTES_MAX: Final = 512
"""How many headers a connection remembers, and how large ones."""
_NO_RECORDS: Final = memoryview(b"")
_Seen = tuple[bytes, str, int, Api, Request, Callable[[Any, memoryview], Request]]
_STRANGERS: Final = (
    (b"\x00", "a Kafka client"),
    (b"\x16\x03", "a TLS client"),
    (b"AMQP", "an AMQP client"),
    (b"GET ", "an HTTP client"),
    (b"POST", "an HTTP client"),
    (b"PUT ", "an HTTP client"),
    (b"HEAD", "an HTTP client"),
    (b"PRI ", "an HTTP/2 client"),
    (b"SSH-", "an SSH client"),
)


class Incoming:
    """One request as it came. `error` is set, and `request` None, where the answer is clear before any handler runs.

    `parts` is how many partitions or topics it asks about, 1 where it asks about none: what its answer costs.
    """

    __slots__ = ("api", "api_key", "client_id", "correlation_id", "error", "parts", "request", "version")

    def __init__(  # noqa: PLR0917 - positional, because it is made for every request
        self,
        correlation_id: int,
        api_key: int,
        version: int,
        client_id: str,
        request: Request | None,
        error: ApiError | None,
        api: Api | None,
    ) -> None:
        self.correlation_id = correlation_id
        self.api_key = api_key
        self.version = version
        self.client_id = client_id
        self.request = request
        self.error = error
        self.api = api
        self.parts = len(getattr(request, "partitions", None) or getattr(request, "topics", None) or (1,))


@passing_tuple
class Received(NamedTuple):
    """`consumed` bytes are done with; `needed` is the size of the unfinished frame behind them, 0 where not yet known."""

    requests: list[Incoming]
    consumed: int
    needed: int


def _check_preface(view: memoryview) -> bool:
    """False while it is incomplete."""
    start = bytes(view[: len(PREFACE)])
    if start == PREFACE:
        return True
    if PREFACE.startswith(start):
        return False
    for prefix, who in _STRANGERS:
        if start.startswith(prefix):
            raise ProtocolError(f"{who} connected to a listener of the raftkafka protocol")
    raise ProtocolError(f"the connection opened with {start.hex()}, not with the raftkafka protocol's preface")


def _head(view: memoryview, start: int, *, frame_max: int, header_max: int) -> tuple[int, int]:
    """Lengths (frame without its first field, header) of the frame at `start`, both within their limits."""
    length, header_bytes = _HEAD.unpack_from(view, start)
    if length > frame_max or header_bytes > header_max or header_bytes + 4 > length:
        raise _out_of_bounds(length, header_bytes, frame_max=frame_max, header_max=header_max)
    return length, header_bytes


def _out_of_bounds(length: int, header_bytes: int, *, frame_max: int, header_max: int) -> ProtocolError:
    if length > frame_max:
        return ProtocolError(f"a frame of {length} bytes exceeds the limit of {frame_max}")
    return ProtocolError(f"a header of {header_bytes} bytes in a frame of {length}, with a limit of {header_max}")


def _frame(header: object, records: list[Buffer]) -> list[Buffer]:
    encoded = cbor.encode(header)
    size = 4 + len(encoded)
    for buffer in records:
        size += len(buffer)
    if size > _UINT32_MAX:
        raise ValueError("a frame holds less than 4 GiB")
    return [_HEAD.pack(size, len(encoded)) + encoded, *records]


class ServerSession:
    """The broker's end. `request_max_bytes` may be raised, and `rows_max` lifted, once the other side has authenticated."""

    def __init__(self, *, request_max_bytes: int, rows_max: int = ROWS_MAX) -> None:
        self.request_max_bytes = request_max_bytes
        self.rows_max = rows_max
        self._opened = False
        self._seen: dict[bytes, _Seen] = {}

    @property
    def opened(self) -> bool:
        """True once the preface has come."""
        return self._opened

    def receive(self, view: memoryview, *, limit: int = 1_000_000) -> Received:
        """The complete requests at the start of `view`, at most `limit`.

        Records of Produce are slices of `view`. A request before a malformed one is still returned; the next call,
        which begins with the malformed one, raises.

        Raises:
            ProtocolError: what stands at the start of `view` is not of this protocol; close the connection.
        """
        consumed, needed, size = 0, 0, len(view)
        if limit == 1 and self._opened and size >= 8:
            # One whole request, as one before: the way of nearly every small one. Whatever else it is goes the longer way.
            length, header_bytes = _HEAD.unpack_from(view)
            records_at = 8 + header_bytes
            consumed = 4 + length
            if records_at <= consumed <= size and length <= self.request_max_bytes and header_bytes <= SEEN_BYTES_MAX:
                repeated = self._repeated(view[8:records_at], view[records_at:consumed])
                if repeated is not None:
                    return Received([repeated], consumed, 0)
            consumed = 0
        requests: list[Incoming] = []
        if not self._opened:
            if not _check_preface(view):
                return Received(requests, 0, len(PREFACE) + 8)
            self._opened = True
            consumed = len(PREFACE)
        while len(requests) < limit and size - consumed >= 4:
            try:
                if size - consumed < 8:
                    (length,) = struct.unpack_from(">I", view, consumed)
                    if length > self.request_max_bytes or length < 4:
                        raise ProtocolError(f"a frame of {length} bytes exceeds the limit of {self.request_max_bytes}")
                    needed = 4 + length
                    break
                length, header_bytes = _head(
                    view, consumed, frame_max=self.request_max_bytes, header_max=REQUEST_HEADER_MAX_BYTES
                )
                end = consumed + 4 + length
                if end > size:
                    needed = 4 + length
                    break
                records_at = consumed + 8 + header_bytes
                header, records = view[consumed + 8 : records_at], view[records_at:end]
                requests.append(self._repeated(header, records) or self._decoded(header, records))
            except ProtocolError:
                if consumed:
                    break
                raise
            consumed = end
        return Received(requests, consumed, needed)

    def _repeated(self, header: memoryview, records: memoryview) -> Incoming | None:
        """A request whose header was seen before, but for its correlation id and its byte count; None: look closer."""
        if not _FIXED_MIN <= len(header) <= SEEN_BYTES_MAX:
            return None
        whole = bytes(header)
        seen = self._seen.get(whole[_START.size : -_END.size])
        if seen is None:
            return None
        began, client_id, key, api, before, repeat = seen
        (start, correlation_id), (kind, count) = (
            _START.unpack_from(whole),
            _END.unpack_from(whole, len(whole) - _END.size),
        )
        if start != began or kind != 0x1A or count != len(records):
            return None
        return Incoming(correlation_id, key, api.max_version, client_id, repeat(before, records), None, api)

    def _decoded(self, header: memoryview, records: memoryview) -> Incoming:
        incoming = _request(header, records, self.rows_max)
        api, request = incoming.api, incoming.request
        if request is None or api is None or api.repeat_request is None or api.pack_request is None:
            return incoming
        packed = api.pack_request(incoming.correlation_id, incoming.client_id, request)
        # Remembered where it is written as we write it: then what may differ is where we look for it.
        if packed is not None and packed[0][8:] == header and len(header) <= SEEN_BYTES_MAX:
            if len(self._seen) >= SEEN_MAX:
                self._seen.clear()
            self._seen[bytes(header[_START.size : -_END.size])] = (
                bytes(header[:4]),
                incoming.client_id,
                incoming.api_key,
                api,
                api.repeat_request(request, _NO_RECORDS),
                api.repeat_request,
            )
        return incoming

    def encode_response(self, incoming: Incoming, response: Response | ApiError) -> list[Buffer]:
        """The frame that answers `incoming`: its header, then the records as they are (not copied).

        An ApiError becomes an error response, which says no more than a code and one line.
        """
        api = incoming.api
        if isinstance(response, ApiError) or api is None:
            assert isinstance(response, ApiError), "an unknown API is answered by an error"
            message = response.message[:ERROR_MESSAGE_MAX_CHARS]
            return _frame([incoming.correlation_id, int(response.code), message], [])
        if api.pack_response is not None:
            packed = api.pack_response(incoming.correlation_id, response)
            if packed is not None:
                return packed
        body, records = api.encode_response(response)
        return _frame([incoming.correlation_id, body], records)


def _request(header: memoryview, records: memoryview, rows_max: int) -> Incoming:
    fields = cbor.decode(header, size_max=REQUEST_HEADER_MAX_BYTES)
    if type(fields) is not list or len(fields) != 5:
        malformed("expected a request header of five fields")
    api_key, version, correlation_id, client_id, body = fields
    if type(api_key) is not int or type(version) is not int or not 0 <= api_key < 1 << 15 or not 0 <= version < 1 << 15:
        malformed("API key and version are int16 and not negative")
    if type(correlation_id) is not int or not 0 <= correlation_id <= _UINT32_MAX:
        malformed("the correlation id is an unsigned int32")
    if type(client_id) is not str or len(client_id) > CLIENT_ID_MAX_CHARS:
        malformed(f"the client id is a string of at most {CLIENT_ID_MAX_CHARS} characters")
    api = APIS[api_key] if api_key in HOMES else None
    if api is None or not api.min_version <= version <= api.max_version:
        error = ApiError(ErrorCode.UNSUPPORTED_VERSION, f"version {version} of API {api_key} is not supported here")
        return Incoming(correlation_id, api_key, version, client_id, None, error, None)
    # Each takes a byte or more, so most headers need not be looked at.
    if len(header) > rows_max and (rows := _rows(body)) > rows_max:
        error = ApiError(
            ErrorCode.INVALID_REQUEST,
            f"{rows} topics, partitions, groups or keys in one request, the limit is {rows_max}",
        )
        return Incoming(correlation_id, api_key, version, client_id, None, error, None)
    return Incoming(correlation_id, api_key, version, client_id, api.decode_request(body, records), None, api)


def _rows(item: object) -> int:
    """The elements of all arrays in a body. What has fields is a list, too, but a short one of various kinds."""
    if type(item) is not list:
        return 0
    count = len(item) if len(item) > 1 and len(set(map(type, item))) == 1 and type(item[0]) is not int else 0
    if len(item) > FIELDS_MAX:
        count = len(item)
    return count + sum([_rows(each) for each in item if type(each) is list])


@passing_tuple
class Answer(NamedTuple):
    """What came back for one request: a response, or the error that replaced it."""

    correlation_id: int
    response: Response | ApiError


class ClientSession:
    """The client's end. Responses come in the order of the requests, so the oldest open request says what is expected."""

    def __init__(self, *, response_max_bytes: int) -> None:
        self._response_max_bytes = response_max_bytes
        self._expected: deque[tuple[int, Api]] = deque()

    def encode_request(
        self, correlation_id: int, client_id: str, request: Request, *, expect_answer: bool = True
    ) -> list[Buffer]:
        """The frame of a request; records are passed through as they are. The preface is the caller's to send first."""
        api = APIS[request.api_key]
        frame = None if api.pack_request is None else api.pack_request(correlation_id, client_id, request)
        if frame is None:
            body, records = api.encode_request(request)
            frame = _frame([int(request.api_key), api.max_version, correlation_id, client_id, body], records)
        if expect_answer:
            self._expected.append((correlation_id, api))
        return frame

    def receive(self, view: memoryview, *, stable: bool) -> tuple[list[Answer], int, int]:
        """Answers, bytes consumed, and the size of the unfinished frame behind them (0 where not yet known).

        `stable` False: `view` will be overwritten, so records are copied out of it. True: records stay slices of it.

        Raises:
            ProtocolError: not of this protocol, too large, or not the response that is due.
        """
        answers: list[Answer] = []
        consumed, size = 0, len(view)
        while size - consumed >= 8:
            length, header_bytes = _HEAD.unpack_from(view, consumed)
            if (
                length > self._response_max_bytes
                or header_bytes > RESPONSE_HEADER_MAX_BYTES
                or header_bytes + 4 > length
            ):
                raise _out_of_bounds(
                    length, header_bytes, frame_max=self._response_max_bytes, header_max=RESPONSE_HEADER_MAX_BYTES
                )
            end = consumed + 4 + length
            if end > size:
                return answers, consumed, 4 + length
            records_at = consumed + 8 + header_bytes
            records = _NO_RECORDS
            if records_at < end:
                records = view[records_at:end] if stable else memoryview(bytes(view[records_at:end]))
            header = view[consumed + 8 : records_at]
            answers.append(self._unpack(header, records) or self._answer(header, records))
            consumed = end
        return answers, consumed, 0

    def _unpack(self, header: memoryview, records: memoryview) -> Answer | None:
        """The answer that is due, in its most common form; None: look closer."""
        if not self._expected:
            return None
        correlation_id, api = self._expected[0]
        response = None if api.unpack_response is None else api.unpack_response(header, records, correlation_id)
        if response is None:
            return None
        self._expected.popleft()
        return Answer(correlation_id, response)

    def _answer(self, header: memoryview, records: memoryview) -> Answer:
        fields = cbor.decode(header, size_max=RESPONSE_HEADER_MAX_BYTES)
        if type(fields) is not list or not 2 <= len(fields) <= 3:
            malformed("expected a response header of two or three fields")
        if not self._expected or fields[0] != self._expected[0][0] or type(fields[0]) is not int:
            malformed("a response that nobody waits for")
        correlation_id, api = self._expected.popleft()
        if len(fields) == 2:
            return Answer(correlation_id, api.decode_response(fields[1], records))
        code = decode_error(fields[1])
        if code is ErrorCode.NONE or type(fields[2]) is not str or len(records):
            malformed("expected an error response")
        return Answer(correlation_id, ApiError(code, fields[2]))


def api_name(api_key: int) -> str:
    """The name of an API for logs and metrics; the set of names is bounded whatever a peer sends."""
    return ApiKey(api_key).name if api_key in HOMES else "UNKNOWN"
