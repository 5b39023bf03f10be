"""AlterZkSession (10002), ChangeZnodes (10003) and TouchZkSessions (10004).

Floor 2. A change travels as ZooKeeper's own protocol has it: its code in the header, its record behind it.
"""

from __future__ import annotations

from typing import Any, Final

from raftkafka.model.api import Request
from raftkafka.model.api.znodes import (
    AlterZkSession,
    AlterZkSessionResponse,
    ChangeZnodes,
    ChangeZnodesResponse,
    HeardSession,
    SessionStep,
    TouchZkSessions,
    TouchZkSessionsResponse,
)
from raftkafka.model.zookeeper.acl import Identity
from raftkafka.model.zookeeper.ops import Check, Create, Delete, Multi, SetAcl, SetData
from raftkafka.wire.native.fields import (
    BYTES,
    COUNT,
    ERROR,
    INT32,
    INT64,
    OFFSET,
    STRING,
    Buffer,
    Field,
    Shape,
    array,
    malformed,
)
from raftkafka.wire.native.rows import Api, without_records
from raftkafka.wire.zookeeper.jute import Reader
from raftkafka.wire.zookeeper.operations import ROWS, code_of

_CHANGES: Final = (Create, Delete, SetData, SetAcl, Check, Multi)


def _decode_step(value: object) -> SessionStep:
    if type(value) is not int or value not in set(SessionStep):
        malformed("expected a step of a session")
    return SessionStep(value)


_STEP: Final = Field("int8", int, _decode_step)
_IDENTITY: Final = Shape(Identity, scheme=STRING, id=STRING)
_HEARD: Final = Shape(HeardSession, session_id=INT64, age_ms=OFFSET)

ALTER_ZK_SESSION: Final = without_records(
    Shape(AlterZkSession, broker_id=COUNT, session_id=INT64, password=BYTES, timeout_ms=COUNT, step=_STEP),
    Shape(AlterZkSessionResponse, error_code=ERROR, attached=OFFSET),
)
TOUCH_ZK_SESSIONS: Final = without_records(
    Shape(TouchZkSessions, broker_id=COUNT, heard=array(_HEARD.field)),
    Shape(TouchZkSessionsResponse, error_code=ERROR),
)


_HEADER: Final[Shape[dict[str, Any]]] = Shape(
    dict, broker_id=COUNT, session_id=INT64, cxid=OFFSET, identities=array(_IDENTITY.field), change=INT32
)
_RESPONSE: Final = Shape(ChangeZnodesResponse, error_code=ERROR)


def _encode_change(request: ChangeZnodes) -> tuple[object, list[Buffer]]:
    code = code_of(request.change)
    identities = [_IDENTITY.encode(each) for each in request.identities]
    header = [request.broker_id, request.session_id, request.cxid, identities, code]
    return header, [ROWS[code].write_request(request.change)]


def _decode_change(body: object, records: memoryview) -> Request:
    header: dict[str, Any] = _HEADER.decode(body)
    row = ROWS.get(header["change"])
    if row is None or row.request not in _CHANGES:
        malformed(f"operation {header['change']} changes nothing")
    return ChangeZnodes(**{**header, "change": row.read_request(Reader(bytes(records)))})


def _decode_response(body: object, records: memoryview) -> ChangeZnodesResponse:
    if len(records):
        malformed("ChangeZnodesResponse carries no records")
    return _RESPONSE.decode(body)


CHANGE_ZNODES: Final = Api(
    decode_request=_decode_change,
    encode_request=_encode_change,
    encode_response=lambda response: (_RESPONSE.encode(response), []),
    decode_response=_decode_response,
)
